package natsstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// What the clients of a bridge have acknowledged is in some subjects of the stream of queues that only
// this bridge writes: 10,000 queues that change every second are 64 messages, and not 10,000. A message
// replaces the one before it, so it has all queues of its shard that have a client on the bridge. A
// bridge that has ended leaves them behind until they are too old; the largest position counts.
//
//	message = version bridge *cursor
//	cursor  = user name position            ; the position as its AppendBinary has it
//	bridge, user, name = length *byte       ; the length is a uvarint
const (
	cursorVersion = 1 // no JSON text begins with it
	shards        = 64
)

// cursors are what the clients of this bridge have acknowledged, except for what another bridge has
// stored as well.
type cursors struct {
	mu     sync.Mutex
	shards [shards]map[history.QueueKey]history.Position
}

func shardOf(key history.QueueKey) int {
	h := fnv.New32a()
	h.Write([]byte(key.User))
	h.Write([]byte(key.Name))
	return int(h.Sum32() % shards)
}

func (c *cursors) set(key history.QueueKey, acked history.Position) (shard int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	shard = shardOf(key)
	if c.shards[shard] == nil {
		c.shards[shard] = make(map[history.QueueKey]history.Position)
	}
	c.shards[shard][key] = acked
	return shard
}

// drop removes a queue without a client here.
func (c *cursors) drop(key history.QueueKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.shards[shardOf(key)], key)
}

// dropBefore removes a queue whose position is before a sequence.
func (c *cursors) dropBefore(key history.QueueKey, sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	shard := c.shards[shardOf(key)]
	if acked, ok := shard[key]; ok && acked.Sequence < sequence {
		delete(shard, key)
	}
}

// encode is encodeCursors of a shard.
func (c *cursors) encode(bridge string, shard, most int) (messages [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return encodeCursors(bridge, c.shards[shard], most)
}

// replacing merges what bridges have stored, and drops the cursors of this bridge that it makes
// superfluous: their queues have moved or were deleted.
type replacing struct {
	queues  merger
	cursors *cursors
	bridge  string // this one
}

// Merge implements merger.
func (r replacing) Merge(key history.QueueKey, state *history.QueueState, deleted uint64, bridge string) (gone bool) {
	gone = r.queues.Merge(key, state, deleted, bridge)
	switch {
	case bridge == r.bridge:
	case gone:
		r.cursors.drop(key)
	case state != nil:
		r.cursors.dropBefore(key, state.Acked.Sequence+1)
	}
	return gone
}

// MergeCursor implements merger.
func (r replacing) MergeCursor(key history.QueueKey, acked history.Position, bridge string) {
	r.queues.MergeCursor(key, acked, bridge)
	if bridge != r.bridge { // if both have the same position, neither drops it: else both would
		r.cursors.dropBefore(key, acked.Sequence)
	}
}

// encodeCursors returns a shard as messages of at most most bytes.
func encodeCursors(bridge string, shard map[history.QueueKey]history.Position, most int) (messages [][]byte) {
	head := appendString([]byte{cursorVersion}, bridge)
	p := append([]byte(nil), head...)
	for key, acked := range shard {
		before := len(p)
		p = appendString(appendString(p, key.User), key.Name)
		p, _ = acked.AppendBinary(p)
		if len(p) > most && before > len(head) {
			messages = append(messages, p[:before:before])
			p = append(append([]byte(nil), head...), p[before:]...)
		}
	}
	return append(messages, p)
}

func appendString(p []byte, s string) []byte {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

var errCursors = errors.New("malformed cursors")

func cutString(p []byte) (s string, rest []byte, err error) {
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return "", nil, errCursors
	}
	return string(p[n : n+int(size)]), p[n+int(size):], nil
}

// mergeCursors gives queues what encodeCursors has made.
func mergeCursors(p []byte, queues merger) error {
	bridge, p, err := cutString(p[1:])
	if err != nil {
		return err
	}
	for len(p) > 0 {
		var key history.QueueKey
		if key.User, p, err = cutString(p); err != nil {
			return err
		}
		if key.Name, p, err = cutString(p); err != nil {
			return err
		}
		var acked history.Position
		if len(p) < history.PositionSize || acked.UnmarshalBinary(p[:history.PositionSize]) != nil {
			return errCursors
		}
		queues.MergeCursor(key, acked, bridge)
		p = p[history.PositionSize:]
	}
	return nil
}

// SaveCursors implements history.CursorStore.
func (q queueStore) SaveCursors(acked map[history.QueueKey]history.Position) error {
	s := q.s
	changed := make(map[int]bool)
	for key, at := range acked {
		changed[s.cursors.set(key, at)] = true
	}
	if !s.conn.IsConnected() {
		return errConnection
	}
	var futures []jetstream.PubAckFuture
	for shard := range changed {
		for i, p := range s.cursors.encode(s.o.Bridge, shard, s.maxMessage()) {
			future, err := s.queueJS.PublishMsgAsync(&nats.Msg{Subject: fmt.Sprintf("%sc-%s-%d-%d", s.queueSubject, escape(s.o.Bridge), shard, i), Data: p})
			if err != nil {
				return err
			}
			if futures, err = s.sent(futures, future); err != nil {
				return err
			}
		}
	}
	return s.await(futures)
}

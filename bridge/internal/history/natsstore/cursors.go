package natsstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

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

// cursors are what the clients of this bridge have acknowledged. Only Save and SaveCursors use them.
type cursors [shards]map[history.QueueKey]history.Position

func shardOf(key history.QueueKey) int {
	h := fnv.New32a()
	h.Write([]byte(key.User))
	h.Write([]byte(key.Name))
	return int(h.Sum32() % shards)
}

func (c *cursors) set(key history.QueueKey, acked history.Position) (shard int) {
	shard = shardOf(key)
	if c[shard] == nil {
		c[shard] = make(map[history.QueueKey]history.Position)
	}
	c[shard][key] = acked
	return shard
}

// drop removes a queue without a client here.
func (c *cursors) drop(key history.QueueKey) { delete(c[shardOf(key)], key) }

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
		for i, p := range encodeCursors(s.o.Bridge, s.cursors[shard], s.maxMessage()) {
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

package backend

import (
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// subscriber is a SUB or XSUB socket (29/PUBSUB). It has one stream: a fan-out on top of it
// does the matching for several clients.
type subscriber struct {
	none
	topics map[string]struct{} // subscribed to, also across reconnects
	bytes  int64               // of topics
}

func newSubscriber(c *core) *subscriber {
	c.subscriber = &subscriber{none: none{c}, topics: make(map[string]struct{})}
	return c.subscriber
}

// subscribe adds or removes subscriptions, which are a set, and passes what changes on to
// the peers. Lock held on entry.
func (s *subscriber) subscribe(topics [][]byte, cancel bool) {
	for _, topic := range topics {
		key := string(topic)
		if _, subscribed := s.topics[key]; subscribed != cancel {
			continue
		}
		if cancel {
			delete(s.topics, key)
			s.bytes -= int64(len(key))
		} else {
			s.topics[key] = struct{}{}
			s.bytes += int64(len(key))
		}
		for _, p := range s.core.peers {
			s.announce(p, key, cancel)
		}
	}
}

// maxPending and maxPendingBytes are how many subscriptions and cancellations may wait for a
// peer, and how many bytes beside the messages of an XSUB, beyond those that it gets when it
// connects. A peer that leaves more unread is taken for lost; after a reconnect it gets those
// that hold then.
const (
	maxPending      = 100_000
	maxPendingBytes = 16 << 20
)

func (s *subscriber) announce(p *peer, topic string, cancel bool) {
	if len(p.queue) >= len(s.topics)+maxPending || p.bytes >= s.bytes+s.core.o.HighWaterBytes+maxPendingBytes {
		p.broken = true
		_ = p.conn.Close()
		return
	}
	kind := subscribeItem
	if cancel {
		kind = unsubscribeItem
	}
	p.push(item{m: zmtp.Message{[]byte(topic)}, kind: kind})
}

// joined sends p all subscriptions.
func (s *subscriber) joined(p *peer) {
	for topic := range s.topics {
		s.announce(p, topic, false)
	}
}

// detached cancels the subscriptions of the stream that has left.
func (s *subscriber) detached(*stream) {
	for _, topic := range slices.Sorted(maps.Keys(s.topics)) {
		s.subscribe([][]byte{[]byte(topic)}, true)
	}
}

// send passes messages of an XSUB on to all peers. For a peer whose queue is full they are
// dropped.
func (s *subscriber) send(st *stream, msgs []zmtp.Message) (int, error) {
	c := s.core
	if c.o.SocketType == zmtp.SUB {
		return 0, ErrCannotSend
	}
	for i, m := range msgs {
		if len(m) == 0 {
			return i, ErrEnvelope
		}
		for _, p := range c.peers {
			switch {
			case p.draining.Load():
			case p.full():
				c.drop(Overflow)
			default:
				p.push(item{m: m, st: st})
			}
		}
	}
	return len(msgs), nil
}

// write writes each run of subscriptions, and each run of messages, in one call.
func (s *subscriber) write(p *peer) (int, error) {
	var run []zmtp.Subscription
	for n := 0; n < len(p.batch); {
		from := n
		if p.batch[n].kind == messageItem {
			for n < len(p.batch) && p.batch[n].kind == messageItem {
				n++
			}
			if written, err := writeAll(p.conn, p.out[from:n]); err != nil {
				return from + written, err
			}
			continue
		}
		run = run[:0]
		for ; n < len(p.batch) && p.batch[n].kind != messageItem; n++ {
			run = append(run, zmtp.Subscription{Topic: p.batch[n].m[0], Cancel: p.batch[n].kind == unsubscribeItem})
		}
		if err := p.conn.WriteSubscriptions(run...); err != nil {
			return from, err
		}
	}
	return len(p.batch), nil
}

func (s *subscriber) receive(p *peer, m zmtp.Message) error {
	if !p.mayPublish(m) {
		return nil
	}
	return s.core.pass(p, m)
}

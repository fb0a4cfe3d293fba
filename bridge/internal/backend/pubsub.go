package backend

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// subscriber is a SUB or XSUB socket (29/PUBSUB). It has one stream: a fan-out on top of it
// does the matching for several clients.
type subscriber struct {
	none
	topics map[string]struct{} // subscribed to, also across reconnects
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
		} else {
			s.topics[key] = struct{}{}
		}
		for _, p := range s.core.peers {
			s.announce(p, key, cancel)
		}
	}
}

// maxPending is how many subscriptions and cancellations may wait for a peer beyond those
// that it gets when it connects. A peer that leaves more unread is taken for lost; after a
// reconnect it gets those that hold then.
const maxPending = 100_000

func (s *subscriber) announce(p *peer, topic string, cancel bool) {
	if len(p.queue) >= len(s.topics)+maxPending {
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
			if p.full() {
				c.drop(Overflow)
			} else {
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

// publisher is a PUB or XPUB socket (29/PUBSUB). What its streams are to receive about the
// peers' subscriptions waits with each of them, so that one whose client does not read
// does not delay the others.
type publisher struct {
	none
	union topics
	count uint64 // of news
}

// news is a subscription of the peers, or its end, that a stream has not received yet.
type news struct {
	zmtp.Subscription
	number uint64 // in the order in which they happened
}

func newPublisher(c *core) *publisher {
	s := &publisher{none: none{c}}
	c.prepare = func(st *stream) { s.inform(st) } // a peer's earlier subscriptions come first
	return s
}

// send gives each message to the peers that are subscribed to it: "SHALL silently drop the
// message if the queue for a subscriber is full. SHALL NOT block on sending."
func (s *publisher) send(st *stream, msgs []zmtp.Message) (int, error) {
	var room [8]*peer
	targets := room[:0]
	for i, m := range msgs {
		if len(m) == 0 {
			return i, ErrEnvelope
		}
		targets = s.union.match(targets[:0], m[0])
		for _, p := range targets {
			if p.full() {
				s.core.drop(Overflow)
			} else {
				p.push(item{m: m, st: st})
			}
		}
	}
	return len(msgs), nil
}

// receive takes a peer's subscriptions. An XPUB passes other messages on too; a PUB "SHALL
// silently discard any messages that subscribers send it".
func (s *publisher) receive(p *peer, m zmtp.Message) error {
	sub, ok := zmtp.ParseSubscription(m)
	if !ok {
		return s.receiveOther(p, m)
	}
	c := s.core
	if !sub.Cancel && p.rights != nil && !p.rights.Subscribe(sub.Topic) {
		c.forbidden(p, sub.Topic)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	topic := string(sub.Topic)
	switch {
	case sub.Cancel:
		if s.union.remove(topic, p) {
			s.announce(topic, true, c.streams...)
		}
	case len(topic) > c.o.MaxTopic:
		return fmt.Errorf("%w: subscription to a topic of %d bytes, at most %d are allowed", zmtp.ErrTooLarge, len(topic), c.o.MaxTopic)
	case len(p.topics) >= c.o.MaxSubscriptions:
		return fmt.Errorf("%w: more than %d subscriptions", zmtp.ErrTooLarge, c.o.MaxSubscriptions)
	default:
		if s.union.add(topic, p) {
			s.announce(topic, false, c.streams...)
		}
	}
	return nil
}

// receiveOther handles a message that is not a subscription.
func (s *publisher) receiveOther(p *peer, m zmtp.Message) error {
	c := s.core
	if c.o.SocketType == zmtp.PUB {
		c.unasked()
		return nil
	}
	if !p.mayPublish(m) {
		return nil
	}
	c.broadcast(p, m)
	return nil
}

// left ends p's subscriptions: "SHALL, if the subscriber peer disconnects prematurely,
// generate a suitable unsubscribe request for the calling application."
func (s *publisher) left(p *peer) {
	for _, topic := range s.union.removeAll(p) {
		s.announce(topic, true, s.core.streams...)
	}
}

// attached gives st the current subscriptions of the peers.
func (s *publisher) attached(st *stream) {
	for topic := range s.union.holders {
		s.announce(topic, false, st)
	}
}

// announce queues a subscription, or its end, for streams. If a stream has not received
// the opposite yet, the two cancel each other out. Lock held on entry.
func (s *publisher) announce(topic string, cancel bool, streams ...*stream) {
	s.count++
	for _, st := range streams {
		if _, pending := st.news[topic]; pending {
			delete(st.news, topic)
			continue
		}
		if st.news == nil {
			st.news = make(map[string]news)
		}
		st.news[topic] = news{zmtp.Subscription{Topic: []byte(topic), Cancel: cancel}, s.count}
		if !st.informing {
			st.informing = true
			s.core.running.Go(func() { s.informAll(st) })
		}
	}
}

// informAll gives st its news until there are none left.
func (s *publisher) informAll(st *stream) {
	for {
		st.turn <- struct{}{}
		more := s.inform(st)
		st.flush()
		<-st.turn
		if !more {
			return
		}
	}
}

// inform gives st its news in the order in which they happened, and reports whether there
// were any. Turn held on entry.
func (s *publisher) inform(st *stream) (some bool) {
	c := s.core
	c.mu.Lock()
	list := slices.SortedFunc(maps.Values(st.news), func(a, b news) int { return cmp.Compare(a.number, b.number) })
	st.news = nil
	st.informing = len(list) > 0
	c.mu.Unlock()
	for _, n := range list {
		st.receive(n.Message())
	}
	return len(list) > 0
}

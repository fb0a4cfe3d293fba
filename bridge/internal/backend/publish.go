package backend

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// publisher is a PUB or XPUB socket (29/PUBSUB). What its streams are to receive about the
// peers' subscriptions waits with each of them, so that one whose client does not read
// does not delay the others.
type publisher struct {
	none
	union   topics
	count   uint64 // of news
	inbound bool   // its peers connect to it, and its streams share them
}

// news is a subscription of the peers, or its end, that a stream has not received yet.
type news struct {
	cancel bool
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
			switch {
			case p.draining.Load():
			case p.full():
				s.core.drop(Overflow)
			default:
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
	name := string(sub.Topic)
	switch {
	case sub.Cancel:
		if last := s.union.remove(name, p); last != nil {
			s.announce(last.name, true, c.streams...)
		}
		return nil
	case len(name) > c.o.MaxTopic:
		return fmt.Errorf("%w: subscription to a topic of %d bytes, at most %d are allowed", zmtp.ErrTooLarge, len(name), c.o.MaxTopic)
	case len(p.topics) >= c.o.MaxSubscriptions:
		return fmt.Errorf("%w: more than %d subscriptions", zmtp.ErrTooLarge, c.o.MaxSubscriptions)
	}
	if err := s.union.room(name, p); err != nil {
		return err
	}
	if first := s.union.add(name, p); first != nil {
		s.announce(first.name, false, c.streams...)
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
	// A libzmq XPUB, which a client can be, takes every frame that begins with 00 or 01 for a
	// subscription or its end: one peer would end those of others.
	if s.inbound && slices.ContainsFunc(m, func(frame []byte) bool { return len(frame) > 0 && frame[0] <= 1 }) {
		c.forbidden(p, m[0])
		return nil
	}
	c.broadcast(p, m)
	return nil
}

// left ends p's subscriptions: "SHALL, if the subscriber peer disconnects prematurely,
// generate a suitable unsubscribe request for the calling application."
func (s *publisher) left(p *peer) {
	for _, last := range s.union.removeAll(p) {
		s.announce(last.name, true, s.core.streams...)
	}
}

// attached gives st the current subscriptions of the peers.
func (s *publisher) attached(st *stream) {
	for name := range s.union.byName {
		s.announce(name, false, st)
	}
}

// announce queues a subscription, or its end, for streams. If a stream has not received
// the opposite yet, the two cancel each other out. Lock held on entry.
func (s *publisher) announce(name string, cancel bool, streams ...*stream) {
	s.count++
	for _, st := range streams {
		if _, pending := st.news[name]; pending {
			delete(st.news, name)
			continue
		}
		if st.news == nil {
			st.news = make(map[string]news)
		}
		st.news[name] = news{cancel, s.count}
		if !st.informing {
			st.informing = true
			s.core.running.Go(func() { s.informAll(st) })
		}
	}
}

// informAll gives st its news until nothing is left.
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
	type named struct {
		name string
		news
	}
	var list []named
	s.core.mu.Lock()
	for name, n := range st.news {
		list = append(list, named{name, n})
	}
	st.news = nil
	st.informing = len(list) > 0
	s.core.mu.Unlock()
	slices.SortFunc(list, func(a, b named) int { return cmp.Compare(a.number, b.number) })
	var frame []byte
	for _, n := range list {
		first := byte(1) // subscribe (29/PUBSUB)
		if n.cancel {
			first = 0
		}
		frame = append(append(frame[:0], first), n.name...)
		st.receive(zmtp.Message{frame})
	}
	return len(list) > 0
}

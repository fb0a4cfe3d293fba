package backend

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The first octet of a subscription as a message (23/ZMTP).
const (
	cancel    = 0
	subscribe = 1
)

// subscription reads a message as a subscription or its end.
func subscription(m zmtp.Message) (topic []byte, on, ok bool) {
	if len(m) != 1 || len(m[0]) == 0 || m[0][0] > subscribe {
		return nil, false, false
	}
	return m[0][1:], m[0][0] == subscribe, true
}

func subscriptionMessage(op byte, topic string) zmtp.Message {
	return zmtp.Message{append([]byte{op}, topic...)}
}

// subscriber is a SUB or XSUB socket (29/PUBSUB).
type subscriber struct {
	none
	union topics[*session]
}

func newSubscriber(c *core) *subscriber { return &subscriber{none: none{c}} }

// send takes subscriptions; an XSUB's other messages go to all peers, and are dropped
// where one's queue is full.
func (s *subscriber) send(x *session, msgs []zmtp.Message) (int, error) {
	c := s.core
	for i, m := range msgs {
		topic, on, ok := subscription(m)
		switch {
		case ok && on:
			if s.union.add(string(topic), x) {
				s.tell(m)
			}
		case ok:
			if s.union.remove(string(topic), x) {
				s.tell(m)
			}
		case c.o.SocketType == zmtp.SUB:
			return i, ErrCannotSend
		case len(m) == 0:
			return i, ErrEnvelope
		default:
			for _, p := range c.peers {
				if p.full() {
					c.drop(Overflow)
				} else {
					p.push(item{m, x})
				}
			}
		}
	}
	return len(msgs), nil
}

// maxUntold is how many subscriptions and cancellations may wait for a peer beyond what
// it is told at first. One that leaves more unread is taken for lost; after a reconnect
// it is told what holds then.
const maxUntold = 100_000

// tell tells all peers of a subscription.
func (s *subscriber) tell(m zmtp.Message) {
	for _, p := range s.core.peers {
		if len(p.queue) >= len(s.union.holders)+maxUntold {
			p.broken = true
			_ = p.conn.Close()
			continue
		}
		p.push(item{m, nil})
	}
}

// joined tells p everything that holds.
func (s *subscriber) joined(p *peer) {
	for topic := range s.union.holders {
		p.push(item{subscriptionMessage(subscribe, topic), nil})
	}
}

func (s *subscriber) detached(x *session) {
	for _, topic := range s.union.removeAll(x) {
		s.tell(subscriptionMessage(cancel, topic))
	}
}

// write writes runs of subscriptions, cancellations and other messages, each in one call.
func (s *subscriber) write(conn *zmtp.Conn, msgs []zmtp.Message) (int, error) {
	kind := func(m zmtp.Message) int {
		if _, on, ok := subscription(m); !ok {
			return 2
		} else if on {
			return subscribe
		}
		return cancel
	}
	var run [][]byte
	for n := 0; n < len(msgs); {
		k, from := kind(msgs[n]), n
		run = run[:0]
		for ; n < len(msgs) && kind(msgs[n]) == k; n++ {
			run = append(run, msgs[n][0][min(1, len(msgs[n][0])):])
		}
		var err error
		switch k {
		case subscribe:
			err = conn.Subscribe(run...)
		case cancel:
			err = conn.Unsubscribe(run...)
		default:
			_, err = writeAll(conn, msgs[from:n])
		}
		if err != nil {
			return from, err
		}
	}
	return len(msgs), nil
}

// receive gives m to the sessions whose subscriptions match, and whatever comes to the
// only session.
func (s *subscriber) receive(p *peer, m zmtp.Message) error {
	c := s.core
	if c.only.Load() != nil {
		return c.pass(p, m)
	}
	c.mu.Lock()
	p.targets = s.union.match(p.targets[:0], m[0])
	c.mu.Unlock()
	for _, x := range p.targets {
		p.deliver(x, m)
	}
	return nil
}

// publisher is a PUB or XPUB socket (29/PUBSUB). What its sessions hear of the peers'
// subscriptions waits with each of them, so that one whose client does not read holds
// nobody.
type publisher struct {
	none
	union topics[*peer]
	count uint64 // of news
}

// news is a subscription, or its end, that a session has not heard of.
type news struct {
	topic  string
	op     byte
	number uint64 // in the order in which they happened
}

func newPublisher(c *core) *publisher { return &publisher{none: none{c}} }

// send gives each message to the peers that want it: "SHALL silently drop the message if
// the queue for a subscriber is full. SHALL NOT block on sending."
func (s *publisher) send(x *session, msgs []zmtp.Message) (int, error) {
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
				p.push(item{m, x})
			}
		}
	}
	return len(msgs), nil
}

// receive takes a peer's subscriptions. An XPUB hands on other messages too; a PUB
// "SHALL silently discard any messages that subscribers send it".
func (s *publisher) receive(p *peer, m zmtp.Message) error {
	c := s.core
	topic, on, ok := subscription(m)
	if !ok {
		return s.other(p, m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !on:
		if s.union.remove(string(topic), p) {
			s.announce(cancel, string(topic), c.sessions...)
		}
	case len(topic) > c.o.MaxTopic:
		return fmt.Errorf("%w: subscription to a topic of %d octets, at most %d are allowed", zmtp.ErrTooLarge, len(topic), c.o.MaxTopic)
	case len(p.topics) >= c.o.MaxSubscriptions:
		return fmt.Errorf("%w: more than %d subscriptions", zmtp.ErrTooLarge, c.o.MaxSubscriptions)
	default:
		if s.union.add(string(topic), p) {
			s.announce(subscribe, string(topic), c.sessions...)
		}
	}
	return nil
}

// other handles a message that is no subscription.
func (s *publisher) other(p *peer, m zmtp.Message) error {
	c := s.core
	if c.o.SocketType == zmtp.PUB {
		c.unasked()
		return nil
	}
	c.mu.Lock()
	p.targets = append(p.targets[:0], c.sessions...)
	c.mu.Unlock()
	for _, x := range p.targets {
		p.turn(x)
		s.inform(x) // of what p has subscribed to before
		x.receive(m)
	}
	return nil
}

// left ends p's subscriptions: "SHALL, if the subscriber peer disconnects prematurely,
// generate a suitable unsubscribe request for the calling application."
func (s *publisher) left(p *peer) {
	for _, topic := range s.union.removeAll(p) {
		s.announce(cancel, topic, s.core.sessions...)
	}
}

// attached tells x what the peers want at present.
func (s *publisher) attached(x *session) {
	for topic := range s.union.holders {
		s.announce(subscribe, topic, x)
	}
}

// announce has sessions told of a subscription or its end. One that has not yet heard of
// the opposite need not hear of either. Lock held.
func (s *publisher) announce(op byte, topic string, sessions ...*session) {
	s.count++
	for _, x := range sessions {
		if _, untold := x.news[topic]; untold {
			delete(x.news, topic)
			continue
		}
		if x.news == nil {
			x.news = make(map[string]news)
		}
		x.news[topic] = news{topic, op, s.count}
		if !x.hears {
			x.hears = true
			s.core.running.Go(func() { s.tell(x) })
		}
	}
}

// tell tells x the news until there are no more.
func (s *publisher) tell(x *session) {
	for {
		x.turn <- struct{}{}
		more := s.inform(x)
		x.flush()
		<-x.turn
		if !more {
			return
		}
	}
}

// inform gives x the news, in the order in which they happened: turn held.
func (s *publisher) inform(x *session) (some bool) {
	c := s.core
	c.mu.Lock()
	list := slices.SortedFunc(maps.Values(x.news), func(a, b news) int { return cmp.Compare(a.number, b.number) })
	x.news = nil
	x.hears = len(list) > 0
	c.mu.Unlock()
	for _, n := range list {
		x.receive(subscriptionMessage(n.op, n.topic))
	}
	return len(list) > 0
}

package zws

import (
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// muxChannel is what a channel of ZWSMUX1.0 has beside a Channel.
type muxChannel struct {
	Channel
	parent  *mux
	number  uint32
	request ChannelRequest

	// ctx ends with the channel; its cause is the channel's.
	ctx    context.Context
	cancel context.CancelCauseFunc

	// arrived holds one token when inbox may hold something; only ReadMessage takes it.
	arrived chan struct{}

	// Guarded by parent.mu.
	gone      bool   // closed by either side
	released  bool   // the caller is done with it
	active    bool   // stands in parent.active
	inbox     []byte // messages of the client, encoded: what they cost is what they take
	allowance int64  // what the client may still send; one message may take it below zero
	consumed  int64  // what the client has not been given back yet
	source    Source
	credit    int64 // what we may still send; one message may take it below zero
	lost      uint64

	// The writer's own.
	budget int64    // credit during a turn
	rest   [][]byte // what the source has given and credit did not suffice for
}

func newMuxChannel(m *mux, f *muxFrame) *muxChannel {
	c := &muxChannel{parent: m, number: f.channel, credit: int64(f.number), arrived: make(chan struct{}, 1)}
	c.Channel.conn, c.Channel.mux = m.conn, c
	c.request = ChannelRequest{
		Route: f.open.Route, Relay: f.open.Relay, SocketType: f.open.SocketType, RoutingID: append([]byte(nil), f.open.RoutingID...),
	}
	for _, topic := range f.open.Subscribe {
		c.request.Subscribe = append(c.request.Subscribe, append([]byte(nil), topic...))
		c.first = append(c.first, subscription(1, topic))
	}
	c.ctx, c.cancel = context.WithCancelCause(m.conn.ctx)
	return c
}

// opened tells the client that its channel is connected, with its credit. It reports
// whether the channel is still open.
func (c *muxChannel) opened(f muxFrame) bool {
	m := c.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.gone || c.ctx.Err() != nil {
		return false
	}
	c.allowance = muxWindow
	f.channel, f.number = c.number, muxWindow
	m.tell(f)
	return true
}

// release counts the channel as one that the caller is done with.
func (c *muxChannel) release() {
	m := c.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if !c.released {
		c.released = true
		m.held--
	}
}

// check tells whether p is messages that the client may send here.
func (c *muxChannel) check(p []byte) error {
	if c.request.Relay != "" {
		return checkRelayed(p, relayLimit(c.parent.options))
	}
	return checkMessages(p, c.conn.tooLarge)
}

// receive queues messages of the client, which it had the credit for.
func (c *muxChannel) receive(p []byte) error {
	m := c.parent
	if err := c.check(p); err != nil {
		return err
	}
	m.mu.Lock()
	for rest := p; len(rest) > 0; {
		if c.allowance <= 0 {
			m.mu.Unlock()
			return muxFault(fmt.Sprintf("channel %d: a message without credit", c.number))
		}
		n := messageSize(rest)
		c.allowance -= int64(n)
		rest = rest[n:]
	}
	if !c.gone {
		c.inbox = append(c.inbox, p...)
	}
	m.mu.Unlock()
	select {
	case c.arrived <- struct{}{}:
	default:
	}
	return nil
}

// readMessage is ReadMessage of a channel.
func (c *muxChannel) readMessage() (zmtp.Message, error) {
	if len(c.first) > 0 {
		m := c.first[0]
		c.first = c.first[1:]
		return m, nil
	}
	for c.ctx.Err() == nil {
		if m := c.take(); m != nil {
			return m, nil
		}
		select {
		case <-c.arrived:
		case <-c.ctx.Done():
		}
	}
	return nil, c.cause()
}

// take takes a message out of the inbox, nil if it is empty, and gives back the credit for
// those before: in large pieces, so that a small message does not cost an answer.
func (c *muxChannel) take() zmtp.Message {
	m := c.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.consumed >= muxWindow/2 && !c.gone {
		c.allowance += c.consumed
		m.tell(muxFrame{op: muxCredit, channel: c.number, number: uint64(c.consumed)})
		c.consumed = 0
	}
	if len(c.inbox) == 0 {
		c.inbox = nil // an idle channel keeps no buffer
		return nil
	}
	n := messageSize(c.inbox)
	message := decodeMessage(c.inbox[:n])
	c.inbox = c.inbox[n:]
	c.consumed += int64(n)
	return message
}

func (c *muxChannel) buffered() bool {
	c.parent.mu.Lock()
	defer c.parent.mu.Unlock()
	return len(c.first) > 0 || len(c.inbox) > 0
}

// granted adds to what we may send.
func (c *muxChannel) granted(octets uint64) error {
	c.parent.mu.Lock()
	defer c.parent.mu.Unlock()
	if c.credit+int64(octets) > maxCredit {
		return tooMuchCredit(c.number)
	}
	c.credit += int64(octets)
	c.parent.activate(c)
	c.conn.out.wake()
	return nil
}

func tooMuchCredit(channel uint32) error {
	return muxFault(fmt.Sprintf("channel %d: more than %d octets of credit", channel, maxCredit))
}

// close closes the channel for a reason of ours, which the client is told.
func (c *muxChannel) close(err error) {
	cause := Cause(err)
	if c.end(cause) {
		c.parent.tell(closing(c.number, cause))
	}
}

// closed closes the channel because the client says so.
func (c *muxChannel) closed(code Code, reason string) {
	c.end(&CloseError{Code: code, Reason: reason, Err: ErrPeerClosed})
}

// end tells whether the channel was open until now.
func (c *muxChannel) end(cause *CloseError) bool {
	m := c.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.gone {
		return false
	}
	c.gone, c.inbox = true, nil
	delete(m.channels, c.number)
	c.cancel(cause)
	return true
}

func (c *muxChannel) cause() *CloseError {
	if c.ctx.Err() == nil {
		return nil
	}
	return Cause(context.Cause(c.ctx))
}

func (c *muxChannel) attach(source Source) {
	c.parent.mu.Lock()
	c.source = source
	c.parent.mu.Unlock()
	c.wake()
}

func (c *muxChannel) loses(n uint64) {
	c.parent.mu.Lock()
	c.lost += n
	c.parent.mu.Unlock()
	c.wake()
}

// wake has the writer look at the channel.
func (c *muxChannel) wake() {
	c.parent.mu.Lock()
	c.parent.activate(c)
	c.parent.mu.Unlock()
	c.conn.out.wake()
}

// fill is the channel's turn in a batch; it tells whether it appended anything.
func (c *muxChannel) fill(b *Batch) bool {
	before := b.size
	m := c.parent
	m.mu.Lock()
	source, lost, credit, gone := c.source, c.lost, c.credit, c.gone
	c.lost = 0
	m.mu.Unlock()
	if gone {
		return false
	}
	if lost > 0 {
		b.mux(muxFrame{op: muxLost, channel: c.number, number: lost})
	}
	if credit <= 0 || source == nil {
		return b.size > before
	}
	c.budget, b.channel = credit, c
	if rest := c.rest; len(rest) > 0 {
		// The source is not asked in this turn: what it has given must stay untouched.
		c.rest = nil
		for _, p := range rest {
			c.deliver(b, p)
		}
	} else {
		source.Next(b)
	}
	b.channel = nil
	m.mu.Lock()
	c.credit -= credit - c.budget
	m.mu.Unlock()
	return b.size > before
}

// deliver appends encoded messages as far as credit goes, and keeps the rest.
func (c *muxChannel) deliver(b *Batch, p []byte) {
	for len(p) > 0 {
		n := 0
		for n < len(p) && n < muxWrite && c.budget > 0 {
			size := messageSize(p[n:])
			n += size
			c.budget -= int64(size)
		}
		if n == 0 {
			c.rest = append(c.rest, p)
			return
		}
		b.encoded(func(dst []byte) []byte { return appendMuxHeader(dst, c.number, n) })
		b.octets(p[:n])
		p = p[n:]
	}
}

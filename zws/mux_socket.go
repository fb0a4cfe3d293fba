package zws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// MuxChannel is one socket on a MuxClient: it is open from when Open has returned until
// Close, or until the server ends it. It does not reconnect. One goroutine at a time may
// call Recv, and one Send, Subscribe and Unsubscribe; Close may be called by any.
type MuxChannel struct {
	client *MuxClient
	number uint32
	window int64
	// relayed: each message is a frame, flag octet and body, for a peer behind a relay.
	relayed bool

	mu      sync.Mutex
	changed chan struct{} // one token: something below is new
	room    chan struct{} // one token: credit has come
	opened  bool
	minor   byte   // of ZMTP 3, which the peer behind a relay speaks
	inbox   []byte // messages, encoded; the credit that the server has bounds them
	taken   int64  // what the server has not been given back yet
	credit  int64  // what we may still send
	err     error  // why it is over
	done    chan struct{}
}

// ChannelOptions says what [MuxClient.Open] opens.
type ChannelOptions struct {
	// Route is the path of a route of the server.
	Route string
	// SocketType is ours; empty leaves it to the route.
	SocketType zmtp.SocketType
	// RoutingID is what we call ourselves there, 0 to 255 octets.
	RoutingID []byte
	// Subscribe are the first subscriptions, for SUB and XSUB, each of at most 65535 octets.
	Subscribe [][]byte
	// Window is how many octets the server may send before Recv takes them. One message
	// may always be sent, whatever its size. 0 means DefaultWindow; the most is 2^31-1.
	Window int
}

// maxField is how long a route or a first subscription may be, whose length stands in two
// octets before it.
const maxField = 1<<16 - 1

// check tells what of o cannot be said to the server.
func (o *ChannelOptions) check() error {
	switch {
	case len(o.SocketType) > 255:
		return fmt.Errorf("zws: %.16q… is no socket type", o.SocketType)
	case len(o.RoutingID) > MaxRoutingID:
		return fmt.Errorf("zws: routing id of %d octets, allowed are %d", len(o.RoutingID), MaxRoutingID)
	}
	for _, topic := range o.Subscribe {
		if len(topic) > maxField {
			return fmt.Errorf("zws: a first subscription of %d octets, allowed are %d", len(topic), maxField)
		}
	}
	return nil
}

// DefaultWindow is the credit of a channel in octets, as long as nothing else is said.
const DefaultWindow = 256 << 10

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *MuxChannel) granted(f *muxFrame) {
	c.mu.Lock()
	c.credit += int64(f.number)
	if f.op != muxCredit {
		c.opened, c.minor = true, f.minor
	}
	c.mu.Unlock()
	signal(c.changed)
	signal(c.room)
}

// check tells whether p is messages that are taken here.
func (c *MuxChannel) check(p []byte) error {
	o := c.client.options
	if c.relayed {
		return checkRelayed(p, max(o.MaxMessage, DefaultMaxHandshake))
	}
	return checkMessages(p, func(size int64, frames int) error {
		if size > o.MaxMessage || frames > o.MaxFrames {
			return fmt.Errorf("zws: %w: message of more than %d octets or %d frames", zmtp.ErrTooLarge, o.MaxMessage, o.MaxFrames)
		}
		return nil
	})
}

func (c *MuxChannel) receive(p []byte) error {
	if err := c.check(p); err != nil {
		return err
	}
	c.mu.Lock()
	c.inbox = append(c.inbox, p...)
	c.mu.Unlock()
	signal(c.changed)
	return nil
}

func (c *MuxChannel) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// Recv returns the next message, which is the caller's. What came before the end is still
// returned; then the error is a *CloseError if the server ended the channel or the
// connection.
func (c *MuxChannel) Recv() (zmtp.Message, error) {
	for {
		m, back, err := c.take()
		if back > 0 {
			// A connection that is over shows in take.
			_ = c.client.tell(muxFrame{op: muxCredit, channel: c.number, number: uint64(back)})
		}
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-c.changed:
		case <-c.done:
		}
	}
}

// take takes a message out of the inbox; back is the credit to give to the server.
func (c *MuxChannel) take() (m zmtp.Message, back int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) == 0 {
		c.inbox = nil
		return nil, 0, c.err
	}
	n := messageSize(c.inbox)
	m = decodeMessage(c.inbox[:n])
	c.inbox = c.inbox[n:]
	if c.taken += int64(n); c.taken >= c.window/2 {
		back, c.taken = c.taken, 0
	}
	return m, back, nil
}

// Send writes one message, when the server has given credit for it: it waits for that, and
// at most DialOptions.WriteTimeout for the system. Its frames are not kept.
func (c *MuxChannel) Send(ctx context.Context, m zmtp.Message) error {
	if len(m) == 0 {
		return errors.New("zws: a message has at least one frame")
	}
	p := muxCodec{}.AppendMessage(nil, m)
	for {
		c.mu.Lock()
		err, may := c.err, c.credit > 0
		if may && err == nil {
			c.credit -= int64(len(p))
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if may {
			return c.client.explain(c.client.tell(muxFrame{op: muxMessages, channel: c.number, messages: p}))
		}
		select {
		case <-c.room:
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Subscribe asks for the messages that begin with any of the topics.
func (c *MuxChannel) Subscribe(ctx context.Context, topics ...[]byte) error {
	return c.subscriptions(ctx, 1, topics)
}

// Unsubscribe takes back what Subscribe asked for with the same topics.
func (c *MuxChannel) Unsubscribe(ctx context.Context, topics ...[]byte) error {
	return c.subscriptions(ctx, 0, topics)
}

func (c *MuxChannel) subscriptions(ctx context.Context, first byte, topics [][]byte) error {
	for _, topic := range topics {
		if err := c.Send(ctx, subscription(first, topic)); err != nil {
			return err
		}
	}
	return nil
}

// Close tells the server; the connection stays. Messages that have come are still returned
// by Recv, and then io.EOF.
func (c *MuxChannel) Close() error {
	m := c.client
	m.mu.Lock()
	open := m.channels[c.number] == c
	delete(m.channels, c.number)
	m.mu.Unlock()
	if !open {
		return nil
	}
	c.end(io.EOF)
	return m.tell(muxFrame{op: muxClose, channel: c.number, code: CodeNormal})
}

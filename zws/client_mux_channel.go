package zws

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// MuxChannel is one socket on a MuxClient, open until Close or until the server ends it. It
// does not reconnect. One goroutine at a time may call Recv, and one Send, Subscribe and
// Unsubscribe; Close may be called by any.
type MuxChannel struct {
	client *MuxClient
	number uint32
	window int64
	// relayed is set if each message is a frame, flag byte and body, of the backend of a
	// relay.
	relayed bool
	*clientHistory

	mu      sync.Mutex
	changed chan struct{} // holds one token when something below has changed
	room    chan struct{} // holds one token when credit has arrived
	opened  bool
	minor   byte            // version of ZMTP 3 that the backend of a relay uses
	inbox   []byte          // messages, encoded; the server's credit bounds them
	reached between[[]byte] // positions that the server has named
	taken   int64           // what Recv has taken since the server last got credit
	credit  int64           // what the client may still send
	err     error           // why the channel has ended
	done    chan struct{}
}

// DefaultWindow is the default of [ChannelOptions] and [RelayOptions], in bytes.
const DefaultWindow = 256 << 10

// ChannelOptions configure [MuxClient.Open].
type ChannelOptions struct {
	// Route is the path of a route of the server.
	Route string
	// SocketType is the client's; empty leaves it to the route.
	SocketType zmtp.SocketType
	// RoutingID is the client's, 0 to 255 bytes.
	RoutingID []byte
	// Subscribe are the first subscriptions, for SUB and XSUB, each of at most 65535 bytes.
	Subscribe [][]byte
	// History and Queue are those of DialOptions, for this channel. The first subscriptions come
	// before anything else, so leave Subscribe empty to use Resume.
	History bool
	Queue   *string
	// Window is how many bytes the server may send before Recv takes them. One message may
	// always be sent, whatever its size. 0 means DefaultWindow; the maximum is 2^31-1.
	Window int
}

// check checks that o fits into a frame.
func (o *ChannelOptions) check() error {
	switch {
	case len(o.SocketType) > muxframe.MaxShort:
		return fmt.Errorf("zws: unknown socket type %.16q…", o.SocketType)
	case len(o.RoutingID) > MaxRoutingID:
		return fmt.Errorf("zws: routing id of %d bytes: at most %d are allowed", len(o.RoutingID), MaxRoutingID)
	case o.Queue != nil && len(*o.Queue) > MaxQueueName:
		return fmt.Errorf("zws: queue name of %d bytes: at most %d are allowed", len(*o.Queue), MaxQueueName)
	}
	for _, topic := range o.Subscribe {
		if len(topic) > muxframe.MaxLong {
			return fmt.Errorf("zws: first subscription of %d bytes: at most %d are allowed", len(topic), muxframe.MaxLong)
		}
	}
	return nil
}

// newMuxClientChannel makes the channel that f asks for.
func newMuxClientChannel(m *MuxClient, window int, f *muxframe.Frame) (*MuxChannel, error) {
	window = cmp.Or(window, DefaultWindow)
	switch {
	case len(f.Open.Route) > muxframe.MaxLong:
		return nil, fmt.Errorf("zws: route of %d bytes: at most %d are allowed", len(f.Open.Route), muxframe.MaxLong)
	case window < 0 || window > muxframe.MaxCredit:
		return nil, fmt.Errorf("zws: window of %d bytes: 1 to %d are allowed", window, muxframe.MaxCredit)
	}
	c := &MuxChannel{
		client: m, window: int64(window), relayed: f.Op == muxframe.Relay,
		changed: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.clientHistory = &clientHistory{queue: f.Open.Queue != nil, plain: c.Subscribe}
	c.clientHistory.send = c.sendRequest
	return c, nil
}

// sendRequest sends what the client asks of a history, which needs no credit.
func (c *MuxChannel) sendRequest(ctx context.Context, r *HistoryRequest) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.client.send(r.frame(c.number))
}

// addCredit adds to what the client may send. Any other op than Credit opens the channel.
func (c *MuxChannel) addCredit(f *muxframe.Frame) {
	c.mu.Lock()
	c.credit += int64(f.Number)
	if f.Op != muxframe.Credit && !c.opened {
		c.opened, c.minor = true, f.Minor
		c.kept = f.Op == muxframe.OpenedHistory && f.Flags&muxframe.FlagHistory != 0
	}
	c.mu.Unlock()
	signal(c.changed)
	signal(c.room)
}

// check checks messages that the server has sent.
func (c *MuxChannel) check(f *muxframe.Frame) error {
	o := c.client.options
	if marked := f.Op == muxframe.Marked; marked != c.kept {
		return fmt.Errorf("%w: op %02x on channel %d", zmtp.ErrProtocol, f.Op, c.number)
	}
	limit := func(size int64, frames int) error {
		if size > o.MaxMessage || frames > o.MaxFrames {
			return tooLargeForClient(o)
		}
		return nil
	}
	switch {
	case c.relayed:
		return checkRelayed(f.Messages, max(o.MaxMessage, DefaultMaxHandshake))
	case c.kept:
		return muxError(muxframe.CheckMarked(f.Messages, limit))
	}
	return muxError(muxframe.CheckMessages(f.Messages, limit))
}

func (c *MuxChannel) receive(f *muxframe.Frame) error {
	if err := c.check(f); err != nil {
		return err
	}
	p := f.Messages
	c.mu.Lock()
	if len(c.inbox) == 0 && len(p) > keptScratch {
		c.inbox = p
	} else {
		c.inbox = append(c.inbox, p...)
	}
	c.mu.Unlock()
	signal(c.changed)
	return nil
}

// reach notes a position that the server has named behind what waits.
func (c *MuxChannel) reach(at []byte) {
	c.mu.Lock()
	c.reached.put(at, len(c.inbox), func([]byte) bool { return true }) // the last one counts
	c.mu.Unlock()
	signal(c.changed)
}

func (c *MuxChannel) end(err error) {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// Recv returns the next message, which the caller owns. After the end of the channel it
// returns what arrived before, and then an error: a *CloseError if the server ended the
// channel or the connection, io.EOF after Close. The end of ctx ends the wait.
func (c *MuxChannel) Recv(ctx context.Context) (zmtp.Message, error) {
	c.next()
	for {
		m, back, err := c.take()
		if back > 0 {
			// If the connection has ended, take returns why.
			_ = c.client.send(muxframe.Frame{Op: muxframe.Credit, Channel: c.number, Number: uint64(back)})
		}
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-c.changed:
		case <-c.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// take takes a message out of the inbox. back is the credit to give to the server.
func (c *MuxChannel) take() (m zmtp.Message, back int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, ok := c.reached.take(); ok; at, ok = c.reached.take() {
		c.clientHistory.reach(at)
	}
	if len(c.inbox) == 0 {
		c.inbox = nil
		return nil, 0, c.err
	}
	var k mark
	n := 0 // bytes of the mark
	if c.kept {
		at, micros, rest := muxframe.CutMark(c.inbox)
		k = mark{bytes.Clone(at), micros}
		n = len(c.inbox) - len(rest)
		c.inbox = rest
	}
	size := muxframe.Size(c.inbox)
	m, c.inbox = takeMessage(c.inbox, size)
	n += size
	c.reached.passed(n)
	c.clientHistory.take(k)
	if c.taken += int64(n); c.taken >= c.window/2 {
		back, c.taken = c.taken, 0
	}
	return m, back, nil
}

// Send sends one message. It waits for credit until ctx ends, and then for the system, for
// at most DialOptions.WriteTimeout. The frames of m are not kept.
func (c *MuxChannel) Send(ctx context.Context, m zmtp.Message) error {
	if len(m) == 0 {
		return errEmptyMessage
	}
	p := muxframe.AppendMessage(nil, m)
	for {
		c.mu.Lock()
		err, room := c.err, c.credit > 0
		if room && err == nil {
			c.credit -= int64(len(p))
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if room {
			return c.write(ctx, p)
		}
		select {
		case <-c.room:
		case <-c.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// write writes an encoded message.
func (c *MuxChannel) write(ctx context.Context, p []byte) error {
	err := c.client.send(muxframe.Frame{Op: muxframe.Messages, Channel: c.number, Messages: p})
	if errors.Is(err, websocket.ErrCloseSent) {
		return c.client.ended(ctx) // with the reason of the server's close frame
	}
	return err
}

// Subscribe asks for the messages that begin with any of the topics. It waits as Send does.
func (c *MuxChannel) Subscribe(ctx context.Context, topics ...[]byte) error {
	return c.sendSubscriptions(ctx, false, topics)
}

// Unsubscribe ends subscriptions to the same topics. It waits as Send does.
func (c *MuxChannel) Unsubscribe(ctx context.Context, topics ...[]byte) error {
	return c.sendSubscriptions(ctx, true, topics)
}

func (c *MuxChannel) sendSubscriptions(ctx context.Context, cancel bool, topics [][]byte) error {
	for _, topic := range topics {
		if err := c.Send(ctx, zmtp.Subscription{Topic: topic, Cancel: cancel}.Message()); err != nil {
			return err
		}
	}
	return nil
}

// Close tells the server and ends the channel; the connection stays. Recv still returns
// messages that have arrived, and then io.EOF.
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
	return m.send(muxframe.Frame{Op: muxframe.Close, Channel: c.number, Code: uint16(CodeNormal)})
}

// signal puts a token into a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

package zws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	// muxWindow is the credit of a client for a new channel, in bytes.
	muxWindow = 64 << 10
	// muxWrite is the size from which no more messages are added to a WebSocket message, in
	// bytes.
	muxWrite = 16 << 10
	// muxShared is the size from which messages have a WebSocket message of their own, for which
	// they need not be copied, in bytes.
	muxShared = 4 << 10
	// muxMark is how long the mark of a message can be, in bytes.
	muxMark = 1 + muxframe.MaxShort + 8
	// maxControl limits the answers that wait for a client that does not read them, in
	// bytes.
	maxControl = 256 << 10
)

// ChannelRequest is what a client of ZWSMUX1.0 opens a channel for.
type ChannelRequest struct {
	// Route names what the channel is to be connected with: for a bridge, a path. It is empty if
	// the client wants that of the WebSocket.
	Route string
	// SocketType is the client's; empty if it leaves that to the route.
	SocketType zmtp.SocketType
	// RoutingID is the client's, 0 to 255 bytes.
	RoutingID []byte
	// Relay is the mechanism that the client uses with the backend; empty for a channel that
	// is not relayed. A relayed channel only has a Route, the rest is left to the handshake
	// with the backend.
	Relay zap.Mechanism
	// Subscribe are the channel's first subscriptions, which it returns as its first
	// messages. If SocketType is empty, the caller checks that the route's clients
	// subscribe.
	Subscribe [][]byte
	// History is set if the client asks for positions and may resume at one. Queue is the name
	// of the queue that it asks for; nil if it names none.
	History bool
	Queue   *string
}

// muxCodec is the codec of messages on channels. WebSocket header, op and channel are added
// for each client, to as many messages as go together.
type muxCodec struct {
	marks bool // for channels with a history, where each message has a mark
}

// AppendMessage implements Codec.
func (c muxCodec) AppendMessage(dst []byte, m zmtp.Message, at []byte) []byte {
	if c.marks {
		return muxframe.AppendMarked(dst, m, at, 0)
	}
	return muxframe.AppendMessage(dst, m)
}

// mux is the state of a connection of ZWSMUX1.0. It is the Source of the connection's
// writer, which takes from one channel after the other.
type mux struct {
	conn    *Conn
	options *keptOptions
	opened  func(*PendingChannel) // see Conn.ServeChannels

	mu       sync.Mutex
	channels []*muxChannel // that are open, by number
	last     uint32        // the highest number that the client has opened
	held     int           // channels that the caller has not yet closed or rejected
	active   muxLine       // channels that may have something to write

	departing map[*muxChannel]bool // that the client has closed, and whose reader is not done
}

// awaitMuxLogin is the first-message rule of ZWSMUX1.0: a login, which startMux answers.
func (h *handshake) awaitMuxLogin(ctx context.Context) error {
	f, err := h.receiveMuxLogin()
	if err != nil {
		return err
	}
	if m := f.Login.Mechanism; m != zap.NULL && m != zap.PLAIN && m != zap.BEARER {
		return notAccepted(fmt.Sprintf("this route does not accept %.16s logins", m)) // whatever the route accepts elsewhere
	}
	if err := h.useCredentials(credentials{f.Login.Mechanism, f.Login.Frames}); err != nil {
		return err
	}
	return h.authenticate(ctx)
}

// startMux prepares the connection for channels and answers the login.
func (h *handshake) startMux(AcceptOptions) {
	m := &mux{conn: h.conn, options: h.conn.renewal.options}
	h.conn.mux.Store(m)
	h.conn.channel.Attach(m)
	m.sendReady()
}

func (h *handshake) receiveMuxLogin() (muxframe.Frame, error) {
	defer h.waitForClient()()
	p, err := h.conn.readWebSocket(websocket.BinaryMessage, func() int64 { return h.options.MaxHandshake })
	if err != nil {
		return muxframe.Frame{}, err
	}
	defer p.free()
	f, err := muxframe.Parse(append([]byte(nil), p.data...)) // the token outlives the buffer
	if err == nil && f.Op != muxframe.Login {
		return f, protocolError("the first frame must be a login")
	}
	return f, muxError(err)
}

// muxError makes a CloseError of errors of package muxframe.
func muxError(err error) error {
	if fault, ok := errors.AsType[*muxframe.Error](err); ok {
		return protocolError(fault.Error())
	}
	return err
}

// sendReady answers a login or a renewal.
func (m *mux) sendReady() {
	m.send(muxframe.Frame{Op: muxframe.Ready, Number: uint64(m.options.maxChannels)})
}

// send queues a frame, before data.
func (m *mux) send(f muxframe.Frame) {
	if m.conn.life.over() {
		return // the close frame follows
	}
	if m.conn.out.answers() > maxControl {
		m.conn.Close(&CloseError{Code: CodeTooSlow, Reason: "the client does not read the answers to what it sends"})
		return
	}
	m.conn.enqueue(f.WebSocket())
}

// read reads one frame and acts on it. It returns the channel that the frame opens, if it
// opens one.
func (m *mux) read() (*muxChannel, error) {
	c := m.conn
	p, err := c.readWebSocket(websocket.BinaryMessage, m.readLimit)
	if err != nil {
		return nil, err
	}
	defer p.free()
	f, err := muxframe.Parse(p.data)
	if err != nil {
		return nil, muxError(err)
	}
	switch f.Op {
	case muxframe.Open, muxframe.OpenHistory, muxframe.Relay:
		return m.open(&f)
	}
	return nil, m.handle(&f, p)
}

// readLimit is how long the next WebSocket message can be, in bytes. Channels that are relays keep
// the limits of the options.
func (m *mux) readLimit() int64 {
	c := m.conn
	return max(muxLimit(c.maxMessage.Load(), c.maxFrames.Load()), muxLimit(m.options.maxMessage, 0), m.options.maxHandshake)
}

// muxLimit is how long a WebSocket message with one message can be, in bytes.
func muxLimit(maxMessage, maxFrames int64) int64 {
	return maxMessage + 4*maxFrames + frameOverhead
}

// handle acts on a frame that does not open a channel. It was read from raw.
func (m *mux) handle(f *muxframe.Frame, raw pooled) error {
	switch f.Op {
	case muxframe.Login:
		if f.Login.Mechanism != zap.BEARER || m.conn.Login().Mechanism != zap.BEARER {
			return errSecondLogin
		}
		return m.conn.renew(f.Login.Frames[0])
	case muxframe.Ping:
		return m.conn.answerHeartbeat(f.Context)
	case muxframe.Messages, muxframe.Credit, muxframe.Close, muxframe.Resume, muxframe.Ack, muxframe.Last:
		ch, err := m.find(f.Channel)
		if ch == nil {
			return err
		}
		switch f.Op {
		case muxframe.Messages:
			return ch.receive(f.Messages, raw)
		case muxframe.Credit:
			return ch.addCredit(f.Number)
		case muxframe.Close:
			ch.closed(Code(f.Code), f.Reason)
			return nil
		}
		return ch.receiveRequest(f, len(raw.data))
	}
	return protocolError(fmt.Sprintf("only servers send op %02x", f.Op))
}

// find returns an open channel; nil if it was closed, because the client may not know yet.
func (m *mux) find(number uint32) (*muxChannel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if number == 0 || number > m.last {
		return nil, protocolError(fmt.Sprintf("channel %d was never opened", number))
	}
	if i, found := m.index(number); found {
		return m.channels[i], nil
	}
	return nil, nil
}

// index returns the place of an open channel. Lock held on entry.
func (m *mux) index(number uint32) (i int, found bool) {
	return slices.BinarySearchFunc(m.channels, number, func(ch *muxChannel, n uint32) int { return cmp.Compare(ch.number, n) })
}

// remove removes an open channel. Lock held on entry.
func (m *mux) remove(ch *muxChannel) {
	if i, found := m.index(ch.number); found {
		m.channels = slices.Delete(m.channels, i, i+1)
	}
}

// open makes a channel; nil if the client was told why not. Numbers must increase, so that
// what was sent to a closed channel never reaches another.
func (m *mux) open(f *muxframe.Frame) (*muxChannel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.Channel <= m.last {
		return nil, protocolError(fmt.Sprintf("channel %d: numbers must increase, and %d was opened", f.Channel, m.last))
	}
	if f.Number > muxframe.MaxCredit {
		return nil, tooMuchCredit(f.Channel)
	}
	m.last = f.Channel
	if refusal := m.refusal(f); refusal != nil {
		m.send(closing(f.Channel, refusal))
		return nil, nil
	}
	ch := newMuxChannel(m, f)
	m.channels = append(m.channels, ch) // numbers increase
	m.held++
	return ch, nil
}

// refusal returns why a channel is refused without asking the caller; nil if it is not.
// Lock held on entry.
func (m *mux) refusal(f *muxframe.Frame) *CloseError {
	t := f.Open.SocketType
	if f.Op == muxframe.Relay {
		if err := checkRelayedMechanism(f.Open.Relay, m.options.confidential); err != nil {
			return Cause(err)
		}
	}
	switch {
	case len(m.channels) >= m.options.maxChannels, m.held >= 2*m.options.maxChannels:
		return &CloseError{Code: CodeTooMany, Reason: fmt.Sprintf("more than %d channels on a connection", m.options.maxChannels)}
	case t != "" && !t.Valid():
		return Cause(notAccepted(fmt.Sprintf("unknown socket type %.16q", t)))
	case len(f.Open.Subscribe) > 0 && t != "" && !t.Subscribes():
		return Cause(notAccepted("only SUB and XSUB have subscriptions"))
	}
	return nil
}

// closing returns the frame that closes a channel.
func closing(channel uint32, cause *CloseError) muxframe.Frame {
	return muxframe.Frame{Op: muxframe.Close, Channel: channel, Code: uint16(cause.Code), Reason: cause.wireReason()}
}

// muxNotifier is the notifier of ZWSMUX1.0. Losses belong to channels, see fill.
type muxNotifier struct{ noNotifications }

func (muxNotifier) enabled(*Login) bool { return true }

func (muxNotifier) expiring(b *Batch, seconds uint32) error {
	b.muxFrame(muxframe.Frame{Op: muxframe.Expiring, Number: uint64(seconds)})
	return nil
}

func (muxNotifier) pong(b *Batch, context []byte) error {
	b.muxFrame(muxframe.Frame{Op: muxframe.Pong, Context: context})
	return nil
}

// unsubscribed is about the channel whose turn it is.
func (muxNotifier) unsubscribed(b *Batch, topic []byte) error {
	b.muxFrame(muxframe.Frame{Op: muxframe.Unsubscribed, Channel: b.channel.number, Topic: topic})
	return nil
}

func (muxNotifier) renewed(c *Conn) { c.mux.Load().sendReady() }

// muxFrame appends a frame that needs no credit.
func (b *Batch) muxFrame(f muxframe.Frame) {
	if len(f.Topic) >= muxShared {
		b.endShared()
	}
	b.bundled(func() { b.bundle.Add(&f) })
}

// muxMessages appends encoded messages for the channel whose turn it is.
func (b *Batch) muxMessages(p []byte) {
	op, channel := b.channel.op(), b.channel.number
	if len(p) < muxShared {
		b.bundled(func() { b.bundle.AddMessages(op, channel, p) })
		return
	}
	b.endShared()
	b.encode(func(dst []byte) []byte { return muxframe.AppendHeader(dst, op, channel, len(p)) })
	b.bytes(p)
}

// bundled calls add, which adds to the bundle.
func (b *Batch) bundled(add func()) {
	before := b.bundle.Len()
	add()
	b.size += b.bundle.Len() - before
	if b.bundle.Len() >= muxWrite {
		b.endShared()
	}
}

// muxMessage appends a message for the channel whose turn it is.
func (b *Batch) muxMessage(m zmtp.Message, k mark) error {
	if b.channel.history.marked {
		b.Encoded(muxframe.AppendMarked(nil, m, k.at, k.micros))
	} else {
		b.Encoded(muxframe.AppendMessage(nil, m))
	}
	return nil
}

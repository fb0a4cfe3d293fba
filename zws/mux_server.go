package zws

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	// muxWindow is the credit that a client gets for a new channel, in octets.
	muxWindow = 64 << 10
	// muxWrite is from how many octets on messages of a channel go into a WebSocket
	// message of their own.
	muxWrite = 16 << 10
	// maxControl is how many octets of answers may wait for a client that asks and does not
	// read.
	maxControl = 256 << 10
)

// mux is the channels of a session of ZWSMUX1.0. It is the Source of the session's writer,
// which takes from one channel after the other.
type mux struct {
	conn    *Conn
	options *Options

	mu       sync.Mutex
	channels map[uint32]*muxChannel
	last     uint32        // the highest number that the client has opened
	held     int           // channels that the caller has, those that were closed included
	active   []*muxChannel // may have something to write, in turn
}

// awaitMuxLogin is the first-message rule of ZWSMUX1.0: a login, which startMux answers.
func (h *handshake) awaitMuxLogin(ctx context.Context) error {
	f, err := h.receiveMux()
	if err != nil {
		return err
	}
	if m := f.login.mechanism; m != zap.NULL && m != zap.PLAIN && m != zap.BEARER {
		return notTaken(fmt.Sprintf("%.16s is not taken here", m)) // whatever the route takes of others
	}
	if err := h.chooseCredentials(f.login); err != nil {
		return err
	}
	return h.authenticate(ctx)
}

// startMux makes the connection ready for channels.
func (h *handshake) startMux(AcceptOptions) {
	m := &mux{conn: h.conn, options: h.options, channels: make(map[uint32]*muxChannel)}
	h.conn.mux = m
	h.conn.channel.Attach(m)
	m.ready()
}

// receiveMux reads the login.
func (h *handshake) receiveMux() (muxFrame, error) {
	defer h.waitForClient()()
	p, err := h.conn.readOctets(websocket.BinaryMessage, h.options.MaxHandshake)
	if err != nil {
		return muxFrame{}, err
	}
	defer p.free()
	f, err := parseMuxFrame(append([]byte(nil), p.octets...)) // the token outlives the buffer
	if err == nil && f.op != muxLogin {
		err = muxFault("the first frame has to be a login")
	}
	return f, err
}

// ready tells that a login was taken.
func (m *mux) ready() { m.tell(muxFrame{op: muxReady, number: uint64(m.options.MaxChannels)}) }

// tell queues a frame before data.
func (m *mux) tell(f muxFrame) {
	if m.conn.ctx.Err() != nil {
		return // the close frame says it all
	}
	out := &m.conn.out
	out.mu.Lock()
	waiting := len(out.control)
	out.mu.Unlock()
	if waiting > maxControl {
		m.conn.Close(&CloseError{Code: CodeTooSlow, Reason: "the client asks and does not read the answers"})
		return
	}
	m.conn.enqueue(f.webSocket())
}

// read reads one frame and does what it says. It returns the channel that the frame opens,
// if it does.
func (m *mux) read() (*muxChannel, error) {
	s := m.conn
	p, err := s.readOctets(websocket.BinaryMessage, max(muxLimit(s.maxMessage, s.maxFrames), m.options.MaxHandshake))
	if err != nil {
		return nil, err
	}
	defer p.free()
	f, err := parseMuxFrame(p.octets)
	if err != nil {
		return nil, err
	}
	if f.op == muxOpen || f.op == muxRelay {
		return m.open(&f)
	}
	return nil, m.act(&f)
}

// muxLimit is how long a WebSocket message may be that carries a message.
func muxLimit(maxMessage int64, maxFrames int) int64 {
	return maxMessage + 4*int64(maxFrames) + frameOverhead
}

// act does what a frame of the client says that opens no channel.
func (m *mux) act(f *muxFrame) error {
	switch f.op {
	case muxLogin:
		if f.login.mechanism != zap.BEARER || m.conn.Login().Mechanism != zap.BEARER {
			return muxFault("a second login: only one by token can be renewed, by a token")
		}
		return m.conn.renew(f.login.frames[0])
	case muxMessages, muxCredit, muxClose:
		c, err := m.channel(f.channel)
		if c == nil {
			return err
		}
		switch f.op {
		case muxMessages:
			return c.receive(f.messages)
		case muxCredit:
			return c.granted(f.number)
		}
		c.closed(f.code, f.reason)
		return nil
	}
	return muxFault(fmt.Sprintf("op %02x is for servers", f.op))
}

// channel finds an open channel; nil if it is one that was closed, for what was under way.
func (m *mux) channel(number uint32) (*muxChannel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if number == 0 || number > m.last {
		return nil, muxFault(fmt.Sprintf("channel %d was never opened", number))
	}
	return m.channels[number], nil
}

// open makes a channel, or nil after the client was told why not. Numbers go up, so that
// what is under way for a closed channel is never taken for another's.
func (m *mux) open(f *muxFrame) (*muxChannel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.channel <= m.last {
		return nil, muxFault(fmt.Sprintf("channel %d: numbers go up, and %d was opened", f.channel, m.last))
	}
	if f.number > maxCredit {
		return nil, tooMuchCredit(f.channel)
	}
	m.last = f.channel
	if refusal := m.refusal(f); refusal != nil {
		m.tell(closing(f.channel, refusal))
		return nil, nil
	}
	c := newMuxChannel(m, f)
	m.channels[f.channel] = c
	m.held++
	return c, nil
}

// refusal is what speaks against a channel at once. Lock held on entry.
func (m *mux) refusal(f *muxFrame) *CloseError {
	t := f.open.SocketType
	if f.op == muxRelay {
		if err := relayTaken(f.open.Relay, m.options); err != nil {
			return Cause(err)
		}
	}
	switch {
	case len(m.channels) >= m.options.MaxChannels, m.held >= 2*m.options.MaxChannels:
		return &CloseError{Code: CodeTooMany, Reason: fmt.Sprintf("more than %d channels on a connection", m.options.MaxChannels)}
	case t != "" && !t.Valid():
		return Cause(notTaken(fmt.Sprintf("%.16q is no socket type", t)))
	case len(f.open.Subscribe) > 0 && t != "" && !t.Subscribes():
		return Cause(notTaken("only SUB and XSUB have subscriptions"))
	}
	return nil
}

// closing tells the client that a channel is closed.
func closing(channel uint32, cause *CloseError) muxFrame {
	return muxFrame{op: muxClose, channel: channel, code: cause.Code, reason: cutReason(cause.Reason)}
}

// activate has the writer look at c. Lock held on entry.
func (m *mux) activate(c *muxChannel) {
	if !c.active && !c.gone {
		c.active = true
		m.active = append(m.active, c)
	}
}

// Next implements Source. Each channel gets one turn in a batch, since what its source gave
// has to be written before the source is asked again. Those that gave something stand at
// the end of the line then.
func (m *mux) Next(b *Batch) {
	m.mu.Lock()
	turns := len(m.active)
	m.mu.Unlock()
	for ; turns > 0 && !b.Full(); turns-- {
		m.mu.Lock()
		c := m.active[0]
		m.active = m.active[1:]
		c.active = false
		m.mu.Unlock()
		if c.fill(b) {
			m.mu.Lock()
			m.activate(c)
			m.mu.Unlock()
		}
	}
}

// muxTeller tells clients of ZWSMUX1.0 what is no message; losses are told by channel.
type muxTeller struct{ silence }

func (muxTeller) listens(*Login) bool { return true }

func (muxTeller) expiring(b *Batch, seconds uint32) error {
	b.mux(muxFrame{op: muxExpiring, number: uint64(seconds)})
	return nil
}

// unsubscribed is about the channel whose turn it is.
func (muxTeller) unsubscribed(b *Batch, topic []byte) error {
	b.mux(muxFrame{op: muxUnsubscribed, channel: b.channel.number, topic: topic})
	return nil
}

func (muxTeller) renewed(s *Conn) { s.mux.ready() }

// mux appends a frame that costs no credit.
func (b *Batch) mux(f muxFrame) {
	b.encoded(func(dst []byte) []byte { return append(dst, f.webSocket()...) })
}

// muxMessage appends a message for the channel whose turn it is.
func (b *Batch) muxMessage(m zmtp.Message) error {
	b.Octets(muxCodec{}.AppendMessage(nil, m))
	return nil
}

// appendMuxHeader appends what stands before n octets of messages for a channel.
func appendMuxHeader(dst []byte, channel uint32, n int) []byte {
	dst = appendDataHeader(dst, wsBinary, 5+n)
	return binary.BigEndian.AppendUint32(append(dst, muxMessages), channel)
}

package zws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// MuxClient is one login on one WebSocket with any number of channels (ZWSMUX1.0), made by
// DialMux. All methods may be called by any goroutine.
type MuxClient struct {
	ws      *websocket.Conn
	options *DialOptions
	running sync.WaitGroup // the reader

	writing sync.Mutex

	mu       sync.Mutex
	channels map[uint32]*MuxChannel
	last     uint32
	err      error         // why it is over
	done     chan struct{} // closed then
}

// MuxChannel is one socket on a MuxClient: it is open from when Open has returned until
// Close, or until the server ends it. It does not reconnect. One goroutine at a time may
// call Recv, one Send; Close may be called by any.
type MuxChannel struct {
	client *MuxClient
	number uint32
	window int64

	mu      sync.Mutex
	changed chan struct{} // one token: something below is new
	room    chan struct{} // one token: credit has come
	opened  bool
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
	// Subscribe are the first subscriptions, for SUB and XSUB.
	Subscribe [][]byte
	// Window is how many octets the server may send before Recv takes them. One message
	// always may be sent, whatever its size. 0 means DefaultWindow.
	Window int
}

// DefaultWindow is the credit of a channel in octets, as long as nothing else is said.
const DefaultWindow = 256 << 10

// DialMux connects to a ws:// or wss:// URL, which names a route of the ZAP domain to log
// in to, and logs in once for all channels. Of o.Security it takes zmtp.Null, Plain and
// Bearer, nil meaning Null; o.SocketType and o.RoutingID are not used; o.Notice is called
// by a goroutine of the client. If the server refuses, the error is a *CloseError. The
// caller closes the client.
func DialMux(ctx context.Context, rawURL string, o DialOptions) (*MuxClient, error) {
	login, err := muxCredentials(o.Security)
	if err != nil {
		return nil, err
	}
	o.SocketType = zmtp.DEALER // one has to be named, none is told
	if err := o.complete(rawURL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, zmtp.ErrHandshakeTimeout)
	defer cancel()
	ws, err := o.upgrade(ctx, rawURL, "ZWSMUX1.0")
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(muxWrite + muxLimit(o.MaxMessage, o.MaxFrames)) // small messages before a large one
	m := &MuxClient{ws: ws, options: &o, channels: make(map[uint32]*MuxChannel), done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { ws.NetConn().Close() })
	defer stop()
	if err := m.login(login); err != nil {
		ws.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("zws: %w", context.Cause(ctx))
		}
		return nil, err
	}
	m.running.Go(m.read)
	return m, nil
}

func muxCredentials(s zmtp.ClientSecurity) (credentials, error) {
	switch s := s.(type) {
	case nil, zmtp.Null:
		return credentials{mechanism: zap.NULL}, nil
	case zmtp.Plain:
		if len(s.User) > maxPlain || len(s.Password) > maxPlain {
			return credentials{}, fmt.Errorf("zws: user name or password longer than %d octets", maxPlain)
		}
		return credentials{zap.PLAIN, [][]byte{[]byte(s.User), []byte(s.Password)}}, nil
	case zmtp.Bearer:
		return bearer(s.Token), nil
	}
	return credentials{}, fmt.Errorf("zws: a login with %s for several channels: want NULL, PLAIN or BEARER", s.Name())
}

func (m *MuxClient) login(c credentials) error {
	if err := m.tell(muxFrame{op: muxLogin, login: c}); err != nil {
		return err
	}
	f, err := m.receive()
	if err == nil && f.op != muxReady {
		err = muxFault("something else than ready after the login")
	}
	return err
}

// Open opens a channel and returns when the server has connected it. If the server refuses
// it, the error is a *CloseError. ctx ends the waiting.
func (m *MuxClient) Open(ctx context.Context, o ChannelOptions) (*MuxChannel, error) {
	setDefault(&o.Window, DefaultWindow)
	if len(o.RoutingID) > MaxRoutingID || len(o.Route) > 1<<16-1 || o.Window > maxCredit {
		return nil, errors.New("zws: routing id, route or window too large")
	}
	c := &MuxChannel{
		client: m, window: int64(o.Window), changed: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := m.open(c, o); err != nil {
		return nil, err
	}
	for {
		c.mu.Lock()
		opened, err := c.opened, c.err
		c.mu.Unlock()
		if opened || err != nil {
			return c, err
		}
		select {
		case <-c.changed:
		case <-c.done:
		case <-ctx.Done():
			c.Close()
			return nil, ctx.Err()
		}
	}
}

// open gives c the next number and asks for it; the numbers have to arrive in order.
func (m *MuxClient) open(c *MuxChannel, o ChannelOptions) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	if m.err != nil {
		defer m.mu.Unlock()
		return m.err
	}
	m.last++
	c.number = m.last
	m.channels[c.number] = c
	m.mu.Unlock()
	return m.write(muxFrame{op: muxOpen, channel: c.number, number: uint64(o.Window), open: ChannelRequest{
		Route: o.Route, SocketType: o.SocketType, RoutingID: o.RoutingID, Subscribe: o.Subscribe,
	}})
}

// Renew sends another token for a login with zmtp.Bearer. The answer is a Notice with
// Renewed, or the end with CodeExpired.
func (m *MuxClient) Renew(token string) error {
	return m.tell(muxFrame{op: muxLogin, login: bearer(token)})
}

// Close closes all channels and the connection, and returns when the client's goroutine has
// ended.
func (m *MuxClient) Close() error {
	deadline := time.Now().Add(m.options.WriteTimeout)
	_ = m.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	err := m.ws.Close()
	m.running.Wait()
	return err
}

// tell writes a frame.
func (m *MuxClient) tell(f muxFrame) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.write(f)
}

// write is tell with writing held.
func (m *MuxClient) write(f muxFrame) error {
	m.ws.SetWriteDeadline(time.Now().Add(m.options.WriteTimeout))
	if err := m.ws.WriteMessage(websocket.BinaryMessage, f.append(nil)); err != nil {
		return fmt.Errorf("zws: %w", err)
	}
	return nil
}

// receive reads one frame.
func (m *MuxClient) receive() (muxFrame, error) {
	kind, r, err := m.ws.NextReader()
	if err != nil {
		return muxFrame{}, clientReadError(err)
	}
	p, err := io.ReadAll(r)
	if err != nil {
		return muxFrame{}, clientReadError(err)
	}
	if kind != websocket.BinaryMessage {
		return muxFrame{}, fmt.Errorf("%w: text frame", zmtp.ErrProtocol)
	}
	return parseMuxFrame(p)
}

// read is the client's goroutine: it takes in whatever comes, at once, so that a channel
// that nobody reads holds up no other.
func (m *MuxClient) read() {
	for {
		f, err := m.receive()
		if err == nil {
			err = m.act(&f)
		}
		if err != nil {
			m.end(err)
			return
		}
	}
}

// end tells all channels that the connection is over.
func (m *MuxClient) end(err error) {
	m.mu.Lock()
	m.err = err
	channels := m.channels
	m.channels = nil
	m.mu.Unlock()
	for _, c := range channels {
		c.end(err)
	}
	m.ws.Close()
	close(m.done)
}

func (m *MuxClient) act(f *muxFrame) error {
	switch f.op {
	case muxReady:
		m.notice(Notice{Renewed: true})
		return nil
	case muxExpiring:
		m.notice(Notice{Expiring: time.Duration(f.number) * time.Second})
		return nil
	}
	m.mu.Lock()
	c := m.channels[f.channel]
	if f.op == muxClose {
		delete(m.channels, f.channel)
	}
	m.mu.Unlock()
	if c == nil {
		return nil // under way when we closed it
	}
	switch f.op {
	case muxOpened, muxCredit:
		c.granted(f)
	case muxMessages:
		return c.receive(f.messages)
	case muxClose:
		c.end(&CloseError{Code: f.code, Reason: f.reason})
	case muxLost:
		m.notice(Notice{Lost: f.number})
	}
	return nil
}

func (m *MuxClient) notice(n Notice) {
	if m.options.Notice != nil {
		m.options.Notice(n)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *MuxChannel) granted(f *muxFrame) {
	c.mu.Lock()
	c.credit += int64(f.number)
	c.opened = true
	c.mu.Unlock()
	signal(c.changed)
	signal(c.room)
}

func (c *MuxChannel) receive(p []byte) error {
	o := c.client.options
	if err := checkMessages(p, func(size int64, frames int) error {
		if size > o.MaxMessage || frames > o.MaxFrames {
			return fmt.Errorf("zws: %w: message of more than %d octets or %d frames", zmtp.ErrTooLarge, o.MaxMessage, o.MaxFrames)
		}
		return nil
	}); err != nil {
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
			return c.client.tell(muxFrame{op: muxMessages, channel: c.number, messages: p})
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

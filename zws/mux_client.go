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

// DialMux connects to a ws:// or wss:// URL, which names a route of the ZAP domain to log
// in to, and logs in once for all channels. Of o.Security it takes zmtp.Null, Plain and
// Bearer, nil meaning Null; o.SocketType and o.RoutingID are not used; o.Notice is called
// by the goroutine that reads, so of the client it may call Renew only. If the server
// refuses, the error is a *CloseError. The caller closes the client.
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
		if len(s.User) > zmtp.MaxPlain || len(s.Password) > zmtp.MaxPlain {
			return credentials{}, fmt.Errorf("zws: user name or password longer than %d octets", zmtp.MaxPlain)
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
	if err := o.check(); err != nil {
		return nil, err
	}
	return m.openWith(ctx, o.Window, muxFrame{op: muxOpen, open: ChannelRequest{
		Route: o.Route, SocketType: o.SocketType, RoutingID: o.RoutingID, Subscribe: o.Subscribe,
	}})
}

// openWith opens a channel by f, to which number and credit are added.
func (m *MuxClient) openWith(ctx context.Context, window int, f muxFrame) (*MuxChannel, error) {
	setDefault(&window, DefaultWindow)
	switch {
	case len(f.open.Route) > maxField:
		return nil, fmt.Errorf("zws: route of %d octets, allowed are %d", len(f.open.Route), maxField)
	case window < 0 || window > maxCredit:
		return nil, fmt.Errorf("zws: window of %d octets, allowed are 1 to %d", window, maxCredit)
	}
	c := &MuxChannel{
		client: m, window: int64(window), relayed: f.op == muxRelay,
		changed: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := m.open(c, f); errors.Is(err, websocket.ErrCloseSent) {
		return nil, m.ended(ctx)
	} else if err != nil {
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
func (m *MuxClient) open(c *MuxChannel, f muxFrame) error {
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
	f.channel, f.number = c.number, uint64(c.window)
	return m.write(f)
}

// ended is why the connection is over, of which the reader is about to hear: the library has
// answered the server's close frame before it gives it out.
func (m *MuxClient) ended(ctx context.Context) error {
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
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

// explain puts why the connection is over in the place of a write's error that the close
// frame was sent already: it answered the server's, which the reader is about to tell of.
func (m *MuxClient) explain(err error) error {
	if !errors.Is(err, websocket.ErrCloseSent) {
		return err
	}
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
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
	case muxOpened, muxRelayed, muxCredit:
		c.granted(f)
	case muxMessages:
		return c.receive(f.messages)
	case muxClose:
		c.end(&CloseError{Code: f.code, Reason: f.reason})
	case muxLost:
		m.notice(Notice{Lost: f.number, Channel: c})
	case muxUnsubscribed:
		m.notice(Notice{Unsubscribed: f.topic, Channel: c})
	}
	return nil
}

func (m *MuxClient) notice(n Notice) {
	if m.options.Notice != nil {
		m.options.Notice(n)
	}
}

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
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// MuxClient is one login on one WebSocket with any number of channels (ZWSMUX1.0). DialMux
// makes it. All methods may be called by any goroutine.
type MuxClient struct {
	ws       *websocket.Conn
	patience patience
	options  *DialOptions
	running  sync.WaitGroup // the reader

	writing sync.Mutex

	mu       sync.Mutex
	channels map[uint32]*MuxChannel
	last     uint32
	err      error         // why the connection has ended
	done     chan struct{} // closed when it has
}

// DialMux connects to a ws:// or wss:// URL, which names a route of the ZAP domain to log
// in to, and logs in once for all channels. o.Security is zmtp.Null, Plain or Bearer; nil
// means Null. o.SocketType, o.RoutingID, o.History and o.Queue are not used. The goroutine
// that reads calls o.Notify, which must not wait for the client. If the server refuses, the
// error is a *CloseError. The caller closes the client.
func DialMux(ctx context.Context, rawURL string, o DialOptions) (*MuxClient, error) {
	login, err := muxCredentials(o.Security)
	if err != nil {
		return nil, err
	}
	o.SocketType = zmtp.DEALER // required by complete; not sent
	o.History, o.Queue = false, nil
	if err := o.complete(rawURL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, zmtp.ErrHandshakeTimeout)
	defer cancel()
	ws, err := o.upgrade(ctx, rawURL, "ZWSMUX1.0")
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(muxWrite + muxShared + muxMark + muxLimit(o.MaxMessage, int64(o.MaxFrames))) // small messages before a large one
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

func muxCredentials(s zmtp.ClientSecurity) (muxframe.Credentials, error) {
	switch s := s.(type) {
	case nil, zmtp.Null:
		return muxframe.Credentials{Mechanism: zap.NULL}, nil
	case zmtp.Plain:
		if len(s.User) > zmtp.MaxPlain || len(s.Password) > zmtp.MaxPlain {
			return muxframe.Credentials{}, fmt.Errorf("zws: user name or password longer than %d bytes", zmtp.MaxPlain)
		}
		return muxframe.Credentials{Mechanism: zap.PLAIN, Frames: [][]byte{[]byte(s.User), []byte(s.Password)}}, nil
	case zmtp.Bearer:
		return muxBearer(s.Token), nil
	}
	return muxframe.Credentials{}, fmt.Errorf("zws: %s cannot log in to several channels (one of NULL, PLAIN, BEARER)", s.Name())
}

func muxBearer(token string) muxframe.Credentials {
	return muxframe.Credentials{Mechanism: zap.BEARER, Frames: [][]byte{[]byte(token)}}
}

func (m *MuxClient) login(c muxframe.Credentials) error {
	if err := m.send(muxframe.Frame{Op: muxframe.Login, Login: c}); err != nil {
		return err
	}
	f, err := m.receive()
	if err == nil && f.Op != muxframe.Ready {
		err = protocolError("the answer to a login must be ready")
	}
	return err
}

// Open opens a channel and returns when the server has connected it. If the server refuses
// it, the error is a *CloseError. The end of ctx ends the wait.
func (m *MuxClient) Open(ctx context.Context, o ChannelOptions) (*MuxChannel, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	f := muxframe.Frame{Op: muxframe.Open, Open: muxframe.Request{
		Route: o.Route, SocketType: o.SocketType, RoutingID: o.RoutingID, Subscribe: o.Subscribe,
	}}
	if o.History || o.Queue != nil {
		f.Op, f.Open.History, f.Open.Queue = muxframe.OpenHistory, true, o.Queue
	}
	return m.openWith(ctx, o.Window, f)
}

// openWith opens a channel by f, to which number and credit are added.
func (m *MuxClient) openWith(ctx context.Context, window int, f muxframe.Frame) (*MuxChannel, error) {
	c, err := newMuxClientChannel(m, window, &f)
	if err != nil {
		return nil, err
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
			return nil, context.Cause(ctx)
		}
	}
}

// open gives c the next number and sends f. Frames must be sent in the order of their
// numbers.
func (m *MuxClient) open(c *MuxChannel, f muxframe.Frame) error {
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
	f.Channel, f.Number = c.number, uint64(c.window)
	return m.write(f)
}

// ended waits until the reader knows why the connection has ended: the library answers the
// server's close frame before it returns it.
func (m *MuxClient) ended(ctx context.Context) error {
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Renew sends another token for a login with zmtp.Bearer. The answer is a Notification with
// Renewed, or the end with CodeExpired. A write goes on for at most
// DialOptions.WriteTimeout, also when ctx ends.
func (m *MuxClient) Renew(ctx context.Context, token string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return m.send(muxframe.Frame{Op: muxframe.Login, Login: muxBearer(token)})
}

// Close closes all channels and the connection, and returns when the client's goroutine has
// ended. It waits for the server's answer for at most two seconds: a connection that is closed while
// something arrives is reset, and the server might not get what was sent.
func (m *MuxClient) Close() error {
	if sendClose(m.ws, m.options) == nil { // else the server may have closed first
		late := time.NewTimer(lingerTime)
		defer late.Stop()
		select {
		case <-m.done:
		case <-late.C:
		}
	}
	err := m.ws.Close()
	m.running.Wait()
	return err
}

// send writes a frame.
func (m *MuxClient) send(f muxframe.Frame) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.write(f)
}

// write writes a frame. m.writing held on entry.
func (m *MuxClient) write(f muxframe.Frame) error {
	m.ws.SetWriteDeadline(time.Now().Add(m.options.WriteTimeout))
	if err := m.ws.WriteMessage(websocket.BinaryMessage, f.Append(nil)); err != nil {
		return fmt.Errorf("zws: %w", err)
	}
	return nil
}

// receive reads one frame.
func (m *MuxClient) receive() (muxframe.Frame, error) {
	kind, r, err := m.ws.NextReader()
	if err != nil {
		return muxframe.Frame{}, clientReadError(err)
	}
	m.patience.begin(m.ws, m.options)
	p, err := io.ReadAll(r)
	err = m.patience.end(err)
	if err != nil {
		return muxframe.Frame{}, clientReadError(err)
	}
	if kind != websocket.BinaryMessage {
		return muxframe.Frame{}, fmt.Errorf("%w: text frame", zmtp.ErrProtocol)
	}
	f, err := muxframe.Parse(p)
	return f, muxError(err)
}

// read is the client's goroutine. It takes in whatever arrives at once, so that a channel
// that nobody reads does not hold up others.
func (m *MuxClient) read() {
	for {
		f, err := m.receive()
		if err == nil {
			err = m.handle(&f)
		}
		if err != nil {
			m.end(err)
			return
		}
	}
}

// end ends all channels.
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

func (m *MuxClient) handle(f *muxframe.Frame) error {
	switch f.Op {
	case muxframe.Bundle:
		return m.handleBundle(f.Bundle)
	case muxframe.Ready:
		m.notify(Notification{Renewed: true})
		return nil
	case muxframe.Expiring:
		m.notify(Notification{Expiring: time.Duration(f.Number) * time.Second})
		return nil
	}
	m.mu.Lock()
	c := m.channels[f.Channel]
	if f.Op == muxframe.Close {
		delete(m.channels, f.Channel)
	}
	m.mu.Unlock()
	if c == nil {
		return nil // sent before the server knew that the channel is closed
	}
	switch f.Op {
	case muxframe.Opened, muxframe.Relayed, muxframe.OpenedHistory, muxframe.Credit:
		c.addCredit(f)
	case muxframe.Messages, muxframe.Marked:
		return c.receive(f)
	case muxframe.Close:
		c.end(receivedClose(Code(f.Code), f.Reason))
	case muxframe.Lost:
		m.notify(Notification{Lost: f.Number, Channel: c})
	case muxframe.Unsubscribed:
		m.notify(Notification{Unsubscribed: f.Topic, Channel: c})
	case muxframe.Resumed:
		c.reach(f.At)
		m.notify(Notification{Resumed: resumed(f.Flags), Channel: c})
	case muxframe.Live:
		c.reach(f.At)
		m.notify(Notification{Live: true, Channel: c})
	}
	return nil
}

// handleBundle acts on the frames of a bundle in their order.
func (m *MuxClient) handleBundle(p []byte) error {
	for {
		f, rest, err := muxframe.Unbundle(p)
		if err != nil {
			return muxError(err)
		}
		if err := m.handle(&f); err != nil || len(rest) == 0 {
			return err
		}
		p = rest
	}
}

func (m *MuxClient) notify(n Notification) {
	if m.options.Notify != nil {
		m.options.Notify(n)
	}
}

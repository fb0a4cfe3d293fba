package zmtp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// pipeListener is a net.Listener whose connections are pipes, so that tests of timeouts can
// run in a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv6loopback, Port: 1} }

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) dial() net.Conn {
	a, b := net.Pipe()
	l.conns <- b
	return a
}

// hostileLimits are the limits of the hostile tests.
var hostileLimits = Limits{Frame: 1000, Message: 1500, Frames: 4, Handshake: 500}

// echoServer is a listener whose connections send back what they receive.
type echoServer struct {
	*Listener
	pipes *pipeListener
	ended chan error // the errors of handshakes and connections
	conns sync.WaitGroup
}

func newEchoServer(t *testing.T, l login, o ListenOptions) *echoServer {
	t.Helper()
	s := &echoServer{pipes: newPipeListener(), ended: make(chan error, 100)}
	var err error
	if o.Options, err = o.Options.withDefaults(); err != nil {
		t.Fatal(err)
	}
	setDefault(&o.Handshakes, DefaultHandshakes)
	o.Refused = func(_ net.Addr, err error) { s.ended <- err }
	s.Listener = serve(s.pipes, l.mechanism, l.server, o)
	s.conns.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() {
				defer c.Close()
				s.ended <- echo(c)
			})
		}
	})
	return s
}

func echo(c *Conn) error {
	for {
		m, err := c.ReadMessage()
		if err == nil {
			err = c.Write(m)
		}
		if err != nil {
			return err
		}
	}
}

func (s *echoServer) close() {
	s.Close()
	s.conns.Wait()
}

// client connects a good peer.
func (s *echoServer) client(t *testing.T, l login) *Conn {
	t.Helper()
	c, err := Client(t.Context(), s.pipes.dial(), l.client, Options{SocketType: DEALER})
	if err != nil {
		t.Fatalf("a good peer is not served: %v", err)
	}
	return c
}

// checkEcho checks that c is still served.
func checkEcho(t *testing.T, c *Conn) {
	t.Helper()
	want := []byte("ping")
	if err := c.Write(Message{want}); err != nil {
		t.Fatalf("a good peer is not served: %v", err)
	}
	if got, err := c.ReadMessage(); err != nil || len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Fatalf("a good peer is not served: %q, %v", got, err)
	}
}

// The bytes of a NULL client.
var (
	nullGreeting = string(greeting{3, 1, zap.NULL, false}.marshal())
	nullReady    = ready(zap.Metadata{{Name: "Socket-Type", Value: "DEALER"}})
	nullLogin    = nullGreeting + nullReady
)

func ready(m zap.Metadata) string { return command(cmdReady, string(m.Append(nil))) }

func command(name, data string) string {
	return string(AppendFrame(nil, Frame{Command: true, Body: Command{name, []byte(data)}.Append(nil)}))
}

func frame(more bool, size int) string {
	return string(AppendFrame(nil, Frame{More: more, Body: make([]byte, size)}))
}

// wants reports whether err is the error that a test expects: errors.Is finds want, or for a
// pointer to an error type err is of that type.
func wants(err, want error) bool {
	switch want.(type) {
	case *MechanismError:
		_, ok := errors.AsType[*MechanismError](err)
		return ok
	case *SocketTypeError:
		_, ok := errors.AsType[*SocketTypeError](err)
		return ok
	case *RefusedError:
		_, ok := errors.AsType[*RefusedError](err)
		return ok
	}
	return errors.Is(err, want)
}

var (
	aMechanismError  = (*MechanismError)(nil)
	aSocketTypeError = (*SocketTypeError)(nil)
	aRefusedError    = (*RefusedError)(nil)
)

// hostileClients have one defect each. After they have sent it they close the connection, or
// with linger keep it open and silent.
var hostileClients = []struct {
	name   string
	send   string
	linger bool // keep the connection open
	slow   bool // one byte per second
	want   error
}{
	{name: "mute", linger: true, want: ErrHandshakeTimeout},
	{name: "closes at once", want: ErrClosedDuringLogin},
	{name: "greets byte by byte", send: nullLogin, slow: true, linger: true, want: ErrHandshakeTimeout},
	{name: "greeting and no more", send: nullGreeting, linger: true, want: ErrHandshakeTimeout},
	{name: "half a greeting", send: nullGreeting[:40], linger: true, want: ErrHandshakeTimeout},
	{name: "half a greeting, then closes", send: nullGreeting[:40], want: ErrClosedDuringLogin},
	{name: "HTTP", send: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", linger: true, want: ErrNotZMTP},
	{name: "ZMTP 1.0", send: "\x01\x00", linger: true, want: ErrVersion},
	{name: "ZMTP 2.0", send: "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x05\x00\x00", linger: true, want: ErrVersion},
	{name: "another mechanism", send: string(greeting{3, 1, zap.CURVE, false}.marshal()), linger: true, want: aMechanismError},
	{name: "message in the handshake", send: nullGreeting + frame(false, 1), linger: true, want: ErrProtocol},
	{name: "2^62 bytes in the handshake", send: nullGreeting + "\x06\x40\x00\x00\x00\x00\x00\x00\x00", linger: true, want: ErrTooLarge},
	{name: "command over the limit in the handshake", send: nullGreeting + "\x06\x00\x00\x00\x00\x00\x00\x01\xf5", linger: true, want: ErrTooLarge},
	{name: "reserved flags in the handshake", send: nullGreeting + "\x14\x00", linger: true, want: ErrProtocol},
	{name: "empty command in the handshake", send: nullGreeting + "\x04\x00", linger: true, want: ErrProtocol},
	{name: "command name beyond the command", send: nullGreeting + "\x04\x03\x05RE", linger: true, want: ErrProtocol},
	{name: "another command than READY", send: nullGreeting + command("HELLO", ""), linger: true, want: ErrProtocol},
	{name: "truncated metadata", send: nullGreeting + command(cmdReady, "\x0bSocket-Type\x00\x00\x00\x09DEALER"), linger: true, want: ErrProtocol},
	{name: "no socket type", send: nullGreeting + ready(nil), linger: true, want: aSocketTypeError},
	{name: "a socket type that is not accepted", send: nullGreeting + ready(zap.Metadata{{Name: "Socket-Type", Value: "SUB"}}), linger: true, want: aSocketTypeError},
	{name: "a socket type that does not exist", send: nullGreeting + ready(zap.Metadata{{Name: "Socket-Type", Value: "dealer"}}), linger: true, want: aSocketTypeError},
	{name: "routing id of 256 bytes", send: nullGreeting + ready(zap.Metadata{{Name: "Socket-Type", Value: "DEALER"}, {Name: "Identity", Value: strings.Repeat("x", 256)}}), linger: true, want: ErrProtocol},
	{name: "ERROR instead of READY", send: nullGreeting + command(cmdError, "\x03400"), linger: true, want: aRefusedError},

	{name: "closes after READY", send: nullLogin, want: io.EOF},
	{name: "2^62 bytes", send: nullLogin + "\x02\x40\x00\x00\x00\x00\x00\x00\x00", linger: true, want: ErrTooLarge},
	{name: "2^63 bytes", send: nullLogin + "\x02\x80\x00\x00\x00\x00\x00\x00\x00", linger: true, want: ErrProtocol},
	{name: "frame over the limit", send: nullLogin + frame(false, 1001), linger: true, want: ErrTooLarge},
	{name: "message over the limit", send: nullLogin + frame(true, 1000) + frame(false, 501), linger: true, want: ErrTooLarge},
	{name: "too many frames", send: nullLogin + strings.Repeat(frame(true, 0), 5), linger: true, want: ErrTooLarge},
	{name: "command over the limit", send: nullLogin + "\x06\x00\x00\x00\x00\x00\x00\x03\xe9", linger: true, want: ErrTooLarge},
	{name: "reserved flags", send: nullLogin + "\x40\x00", linger: true, want: ErrProtocol},
	{name: "command with MORE", send: nullLogin + "\x05\x06\x04PING\x00", linger: true, want: ErrProtocol},
	{name: "empty command", send: nullLogin + "\x04\x00", linger: true, want: ErrProtocol},
	{name: "PING without time-to-live", send: nullLogin + command(cmdPing, "\x00"), linger: true, want: ErrProtocol},
	{name: "PING with a context of 17 bytes", send: nullLogin + command(cmdPing, "\x00\x00"+strings.Repeat("x", 17)), linger: true, want: ErrProtocol},
	{name: "PING with a time-to-live, then silence", send: nullLogin + command(cmdPing, "\x00\x0a"), linger: true, want: ErrSilent},
	{name: "ERROR after READY", send: nullLogin + command(cmdError, "\x03400"), linger: true, want: aRefusedError},
	{name: "malformed ERROR after READY", send: nullLogin + command(cmdError, "\x09400"), linger: true, want: ErrProtocol},
	{name: "half a header", send: nullLogin + "\x02\x00\x00", want: io.ErrUnexpectedEOF},
	{name: "half a message", send: nullLogin + frame(true, 3), want: io.ErrUnexpectedEOF},
}

// TestHostileClients checks that a peer with a defect loses its own connection and affects no
// other.
func TestHostileClients(t *testing.T) {
	l := logins(t)[0]
	for _, h := range hostileClients {
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newEchoServer(t, l, ListenOptions{Options: Options{SocketType: ROUTER, Limits: hostileLimits}})
				good := s.client(t, l)
				checkEcho(t, good)

				nc := s.pipes.dial()
				var peer sync.WaitGroup
				peer.Go(func() { io.Copy(io.Discard, nc) })
				peer.Go(func() {
					misbehaveOn(nc, h.send, h.slow)
					if !h.linger {
						synctest.Wait() // for the answers
						nc.Close()
					}
				})
				if err := <-s.ended; !wants(err, h.want) {
					t.Errorf("ended with %v, want %v", err, h.want)
				}
				checkEcho(t, good)
				next := s.client(t, l)
				checkEcho(t, next)

				nc.Close()
				peer.Wait()
				good.Close()
				next.Close()
				s.close()
			})
		})
	}
}

func misbehaveOn(nc net.Conn, send string, slow bool) {
	if send != "" && !slow {
		io.WriteString(nc, send)
	} else {
		for i := range send {
			time.Sleep(time.Second)
			if _, err := io.WriteString(nc, send[i:i+1]); err != nil {
				break
			}
		}
	}
}

// hostileServers have one defect each, which they show to a client of mechanism.
var hostileServers = []struct {
	name      string
	mechanism zap.Mechanism
	send      string
	linger    bool
	want      error
}{
	{"mute", zap.NULL, "", true, ErrHandshakeTimeout},
	{"closes at once", zap.NULL, "", false, ErrClosedBeforeGreeting},
	{"closes at once, PLAIN", zap.PLAIN, "", false, ErrClosedBeforeGreeting},
	{"closes at once, CURVE", zap.CURVE, "", false, ErrClosedBeforeGreeting},
	{"closes in the greeting, NULL", zap.NULL, nullGreeting[:63], false, ErrClosedBeforeGreeting},
	{"closes in the greeting, CURVE", zap.CURVE, greetingOf(zap.CURVE)[:20], false, ErrClosedBeforeGreeting},
	{"HTTP", zap.NULL, "HTTP/1.1 400 Bad Request\r\n\r\n", false, ErrNotZMTP},
	{"SSH", zap.NULL, "SSH-2.0-OpenSSH\r\n", true, ErrNotZMTP},
	{"ZMTP 1.0", zap.NULL, "\x01\x00", true, ErrVersion},
	{"ZMTP 2.0", zap.NULL, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x05\x00\x00", true, ErrVersion},
	{"another mechanism", zap.PLAIN, nullGreeting, true, aMechanismError},
	{"greets only", zap.NULL, nullGreeting, true, ErrHandshakeTimeout},
	{"greets and closes", zap.NULL, nullGreeting, false, ErrClosedDuringLogin},
	{"closes instead of WELCOME, PLAIN", zap.PLAIN, greetingOf(zap.PLAIN), false, ErrClosedDuringLogin},
	{"closes instead of WELCOME, CURVE", zap.CURVE, greetingOf(zap.CURVE), false, ErrClosedBeforeWelcome},
	{"half a WELCOME, CURVE", zap.CURVE, greetingOf(zap.CURVE) + "\x04\xa8\x07WEL", false, ErrClosedBeforeWelcome},
	{"closes after WELCOME", zap.PLAIN, greetingOf(zap.PLAIN) + command(cmdWelcome, ""), false, ErrClosedDuringLogin},
	{"behaves as a client", zap.PLAIN, string(greeting{3, 1, zap.PLAIN, false}.marshal()) + command("HELLO", "\x00\x00"), true, ErrProtocol},
	{"ERROR 400", zap.PLAIN, greetingOf(zap.PLAIN) + command(cmdError, "\x03400"), false, &RefusedError{Status: 400}},
	{"ERROR 300", zap.PLAIN, greetingOf(zap.PLAIN) + command(cmdError, "\x03300"), false, &RefusedError{Status: 300}},
	{"libzmq's ERROR", zap.PLAIN, greetingOf(zap.PLAIN) + "\x04\x09^RROR\x03400", true, &RefusedError{Status: 400}},
	{"ERROR with a text", zap.NULL, nullGreeting + command(cmdError, "\x07go away"), false, &RefusedError{Reason: "go away"}},
	{"a socket type that is not accepted", zap.NULL, nullGreeting + ready(zap.Metadata{{Name: "Socket-Type", Value: "PUB"}}), true, aSocketTypeError},
	{"no socket type", zap.NULL, nullGreeting + ready(nil), true, aSocketTypeError},
	{"2^62 bytes", zap.NULL, nullGreeting + "\x06\x40\x00\x00\x00\x00\x00\x00\x00", true, ErrTooLarge},
	{"two servers", zap.PLAIN, greetingOf(zap.PLAIN) + command(cmdWelcome, "") + command(cmdWelcome, ""), true, ErrProtocol},
}

func greetingOf(m zap.Mechanism) string {
	return string(greeting{3, 1, m, true}.marshal())
}

// TestHostileServers checks that a client fails in time, with the right error, whatever a server
// does wrong.
func TestHostileServers(t *testing.T) {
	clients := map[zap.Mechanism]login{}
	for _, l := range logins(t) {
		clients[l.mechanism] = l
	}
	for _, h := range hostileServers {
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				var peer sync.WaitGroup
				peer.Go(func() { io.Copy(io.Discard, b) })
				peer.Go(func() {
					misbehaveOn(b, h.send, false)
					if !h.linger {
						b.Close()
					}
				})
				c, err := Client(t.Context(), a, clients[h.mechanism].client, Options{SocketType: DEALER, Limits: hostileLimits})
				if c != nil || !wants(err, h.want) {
					t.Errorf("got %v, want %v", err, h.want)
				}
				if want, ok := h.want.(*RefusedError); ok && want != nil {
					if got, ok := errors.AsType[*RefusedError](err); !ok || *got != *want {
						t.Errorf("got %#v, want %#v", got, want)
					}
				}
				b.Close()
				peer.Wait()
			})
		})
	}
}

// TestTwoServersMeet checks that two servers recognise each other by as-server.
func TestTwoServersMeet(t *testing.T) {
	l := logins(t)[1]
	synctest.Test(t, func(t *testing.T) {
		s := newEchoServer(t, l, ListenOptions{Options: Options{SocketType: ROUTER}})
		nc := s.pipes.dial()
		var peer sync.WaitGroup
		peer.Go(func() { io.Copy(io.Discard, nc) })
		peer.Go(func() { io.WriteString(nc, greetingOf(zap.PLAIN)) })
		if err := <-s.ended; !errors.Is(err, ErrProtocol) {
			t.Errorf("got %v, want a protocol error", err)
		}
		nc.Close()
		peer.Wait()
		s.close()
	})
}

package zmtp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// rawPeer is the peer of a Conn; tests send and receive its bytes.
type rawPeer struct {
	net.Conn
	t *testing.T
	r *reader
}

// newRawPeer completes a NULL handshake as a client that speaks ZMTP 3.minor.
func newRawPeer(t *testing.T, minor byte, socketType SocketType, o Options) (*Conn, *rawPeer) {
	t.Helper()
	a, b := net.Pipe()
	p := &rawPeer{Conn: b, t: t, r: newReader(b, 0)}
	served := make(chan *Conn)
	go func() {
		l := logins(t)[0]
		c, err := Server(t.Context(), a, l.mechanism, l.server, o)
		if err != nil {
			t.Error(err)
		}
		served <- c
	}()
	p.send(string(greeting{3, minor, zap.NULL, false}.marshal()))
	read(t, b, greetingSize)
	p.send(ready(zap.Metadata{{Name: "Socket-Type", Value: string(socketType)}}))
	p.receive()
	c := <-served
	if c == nil {
		t.FailNow()
	}
	return c, p
}

func (p *rawPeer) send(b string) { write(p.t, p.Conn, []byte(b)) }

// receive returns the next frame, encoded.
func (p *rawPeer) receive() string {
	p.t.Helper()
	f, err := readFrame(p.r)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(AppendFrame(nil, f))
}

func (p *rawPeer) expect(want string) {
	p.t.Helper()
	if got := p.receive(); got != want {
		p.t.Errorf("the peer received %q, want %q", got, want)
	}
}

// TestIgnoredCommands checks that commands without a meaning here are ignored, between and
// inside messages.
func TestIgnoredCommands(t *testing.T) {
	c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER})
	defer c.Close()
	go p.send(command("SUBSCRIBE", "a") + command("JOIN", "g") + "\x01\x01a" + command("PONG", "") + command("NEW", "") + "\x00\x01b")
	if m, err := c.ReadMessage(); err != nil || len(m) != 2 || string(m[0]) != "a" || string(m[1]) != "b" {
		t.Errorf("%q, %v", m, err)
	}
}

// TestBuffered checks that Buffered reports frames of messages and not the commands between
// them.
func TestBuffered(t *testing.T) {
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			c, s, err := overPipe(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER})
			if err != nil {
				t.Fatal(err)
			}
			if s.Buffered() {
				t.Error("buffered before anything was sent")
			}
			go io.Copy(io.Discard, c.nc) // the PONGs
			ping := Frame{Command: true, Body: Command{cmdPing, []byte{0, 0}}.Append(nil)}
			sent := make(chan error, 1)
			go func() {
				// In one write, so that all of it is in the buffer once the first frame is read.
				sent <- c.writeFrames(ping, Frame{More: true, Body: []byte("a")}, ping, Frame{Body: []byte("b")}, ping, ping)
			}()
			for _, want := range []string{"a", "b"} {
				f, err := s.ReadFrame()
				if err != nil || string(f.Body) != want {
					t.Fatalf("%q, %v; want %q", f.Body, err, want)
				}
				if want == "b" {
					break
				}
				for range 2 { // Buffered does not consume anything
					if !s.Buffered() {
						t.Error("the second frame is not reported as buffered")
					}
				}
			}
			if s.Buffered() {
				t.Error("commands are reported as buffered")
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBufferedError checks that Buffered reports a protocol error, and that it is final.
func TestBufferedError(t *testing.T) {
	c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER})
	defer c.Close()
	go p.send("\x00\x01a\x80")
	if _, err := c.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	if !c.Buffered() {
		t.Error("a protocol error is not reported as buffered")
	}
	if _, err := c.ReadFrame(); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v, want a protocol error", err)
	}
	if err := c.Write(Message{nil}); !errors.Is(err, ErrProtocol) {
		t.Errorf("a write after the error: got %v, want the same", err)
	}
}

// countingConn counts writes.
type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// TestOneWrite checks that all frames of all messages of a Write are sent in one system call.
func TestOneWrite(t *testing.T) {
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			a, b := net.Pipe()
			counting := &countingConn{Conn: a}
			c, s, err := handshakeOver(t, counting, b, l, Options{SocketType: DEALER}, Options{SocketType: DEALER})
			if err != nil {
				t.Fatal(err)
			}
			counting.writes = 0
			exchange(t, c, s, []Message{{[]byte("a"), []byte("b")}, {make([]byte, 3000)}, {[]byte{}, []byte("c")}})
			if counting.writes != 1 {
				t.Errorf("%d writes, want 1", counting.writes)
			}
		})
	}
}

// TestConcurrentWriters checks that messages of different goroutines are not mixed.
func TestConcurrentWriters(t *testing.T) {
	const writers, each = 8, 50
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			c, s, err := overListener(func(testing.TB) string { return "tcp://127.0.0.1:0" })(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER})
			if err != nil {
				t.Fatal(err)
			}
			var running sync.WaitGroup
			for w := range writers {
				running.Go(func() {
					for i := range each {
						m := Message{[]byte{byte(w)}, []byte{byte(i)}, bytes.Repeat([]byte{byte(w)}, 100*w*i)}
						if err := c.Write(m, m); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			var next [writers]int
			for range 2 * writers * each {
				m, err := s.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				w := int(m[0][0])
				if i := int(m[1][0]); i != next[w]/2 || !bytes.Equal(m[2], bytes.Repeat([]byte{byte(w)}, 100*w*i)) {
					t.Fatalf("writer %d: message %d with %d bytes after %d", w, i, len(m[2]), next[w])
				}
				next[w]++
			}
			running.Wait()
		})
	}
}

// TestWriteTimeout checks that a peer that does not read is disconnected.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, WriteTimeout: 3 * time.Second})
		defer p.Close()
		start := time.Now()
		if err := c.Write(Message{[]byte("nobody reads this")}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want os.ErrDeadlineExceeded", err)
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("failed after %v, want 3s", got)
		}
		if _, err := c.ReadFrame(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read after the error: got %v, want the same", err)
		}
		c.Close()
	})
}

// TestEmptyMessageIsRefused checks that a message without a frame leaves the connection usable.
func TestEmptyMessageIsRefused(t *testing.T) {
	c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER})
	defer c.Close()
	if err := c.Write(Message{[]byte("a")}, Message{}); !errors.Is(err, errNoFrame) {
		t.Errorf("got %v, want %v", err, errNoFrame)
	}
	go c.Write(Message{[]byte("b")})
	p.expect("\x00\x01b")
}

// TestClose checks that Close ends a read and a write in progress.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER})
		defer p.Close()
		var running sync.WaitGroup
		running.Go(func() {
			if _, err := c.ReadFrame(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read: got %v, want net.ErrClosed", err)
			}
		})
		running.Go(func() {
			if err := c.Write(Message{nil}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write: got %v, want net.ErrClosed", err)
			}
		})
		synctest.Wait()
		c.Close()
		running.Wait()
		c.Close()
	})
}

package zmtp

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

const overTCP = "tcp://127.0.0.1:0"

// readiness is the user of a parked connection.
type readiness chan struct{}

func (r readiness) Ready() { r <- struct{}{} }

// parkedPair returns a connection that is left to a poller, and its peer, which listened on endpoint.
func parkedPair(t *testing.T, endpoint string, patience time.Duration) (c, peer *Conn, park func() bool, ready readiness) {
	t.Helper()
	poller, err := poll.New()
	if err != nil {
		t.Skip(err)
	}
	l, err := Listen(endpoint, logins(t)[0].mechanism, logins(t)[0].server, ListenOptions{Options: Options{SocketType: ROUTER}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Dial(t.Context(), l.Endpoint(), logins(t)[0].client, Options{SocketType: DEALER}); err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		peer.Close()
		l.Close()
		poller.Close()
	})
	c.in.patience = patience
	ready = make(readiness, 10)
	park = func() bool { return c.Park(poller, ready) }
	idle(t, c)
	if !park() {
		t.Fatal("not parked")
	}
	return c, peer, park, ready
}

func idle(t *testing.T, c *Conn) {
	t.Helper()
	if !c.Idle(time.Millisecond) {
		t.Fatal("not idle")
	}
}

// TestPark: a parked connection is resumed, once, by everything that a reader would have noticed.
func TestPark(t *testing.T) {
	for name, tt := range map[string]struct {
		patience time.Duration
		event    func(c, peer *Conn)
		want     error
	}{
		"message": {0, func(_, peer *Conn) { peer.Write(Message{[]byte("m")}) }, nil},
		"command": {0, func(_, peer *Conn) {
			peer.writeFrames(Frame{Command: true, Body: Command{cmdError, []byte{0}}.Append(nil)})
		}, &RefusedError{}},
		"peer closed":     {0, func(_, peer *Conn) { peer.Close() }, io.EOF},
		"closed":          {0, func(c, _ *Conn) { c.Close() }, net.ErrClosed},
		"silence":         {200 * time.Millisecond, func(_, _ *Conn) {}, ErrSilent},
		"message in time": {time.Hour, func(_, peer *Conn) { peer.Write(Message{[]byte("m")}) }, nil},
	} {
		for _, network := range []struct{ name, endpoint string }{{"tcp", overTCP}, {"ipc", "ipc://" + filepath.Join(t.TempDir(), "s")}} {
			t.Run(name+"/"+network.name, func(t *testing.T) {
				c, peer, park, ready := parkedPair(t, network.endpoint, tt.patience)
				tt.event(c, peer)
				<-ready
				if c.Idle(time.Millisecond) {
					t.Fatal("idle")
				}
				f, err := c.ReadFrame()
				if _, refused := tt.want.(*RefusedError); refused {
					_, refused = errors.AsType[*RefusedError](err)
					if !refused {
						t.Errorf("%v, want a RefusedError", err)
					}
				} else if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if err != nil {
					if park() {
						t.Error("a connection that has ended can be parked")
					}
				} else if string(f.Body) != "m" {
					t.Errorf("read %q", f.Body)
				}
				if len(ready) > 0 {
					t.Error("resumed twice")
				}
			})
		}
	}
}

// TestParkPing: a PING is answered, also if it comes in pieces, and shows that the peer is not silent, and the connection can be parked
// again after it.
func TestParkPing(t *testing.T) {
	c, peer, park, ready := parkedPair(t, overTCP, time.Hour)
	for _, piecewise := range []bool{false, true, false, true} {
		before := c.in.silent
		ping := AppendFrame(nil, Frame{Command: true, Body: Command{cmdPing, []byte("\x00\x00context")}.Append(nil)})
		if piecewise {
			go writePieces(peer, ping)
		} else {
			peer.writeRaw(ping)
		}
		<-ready
		idle(t, c)
		if !c.in.silent.After(before) {
			t.Error("the silence of the peer goes on")
		}
		h, err := peer.in.header()
		if err != nil {
			t.Fatal(err)
		}
		if pong, err := peer.in.body(h); err != nil || string(pong) != "\x04PONGcontext" {
			t.Errorf("the peer got %q, %v, want a PONG", pong, err)
		}
		if !park() {
			t.Fatal("not parked")
		}
	}
}

// writePieces writes p one byte at a time.
func writePieces(c *Conn, p []byte) {
	for i := range p {
		c.writeRaw(p[i : i+1])
		runtime.Gosched()
	}
}

// TestParkPieces: a message that begins with one byte is read whole, and in the middle of one the connection
// is not idle.
func TestParkPieces(t *testing.T) {
	c, peer, park, ready := parkedPair(t, overTCP, 0)
	for range 3 {
		first := AppendFrame(nil, Frame{More: true, Body: []byte("first")})
		go writePieces(peer, first)
		<-ready
		if c.Idle(time.Millisecond) {
			t.Fatal("idle inside a frame")
		}
		if f, err := c.ReadFrame(); err != nil || string(f.Body) != "first" {
			t.Fatalf("read %q, %v", f.Body, err)
		}
		written := make(chan bool)
		go func() {
			<-written
			writePieces(peer, AppendFrame(nil, Frame{Body: []byte("last")}))
		}()
		time.AfterFunc(10*time.Millisecond, func() { close(written) }) // so that Idle can give up if it is wrong
		if c.Idle(time.Millisecond) {
			t.Fatal("idle inside a message")
		}
		if f, err := c.ReadFrame(); err != nil || string(f.Body) != "last" {
			t.Fatalf("read %q, %v", f.Body, err)
		}
		idle(t, c)
		if !park() {
			t.Fatal("not parked")
		}
	}
}

// TestParkLate: what has come in time is read even if the process was too busy to read it in time.
func TestParkLate(t *testing.T) {
	c, peer, _, ready := parkedPair(t, overTCP, time.Hour)
	peer.Write(Message{[]byte("m")})
	<-ready
	c.in.silent = time.Now().Add(-2 * time.Hour)
	if c.Idle(time.Millisecond) {
		t.Fatal("idle")
	}
	if f, err := c.ReadFrame(); err != nil || string(f.Body) != "m" {
		t.Errorf("read %q, %v", f.Body, err)
	}
}

// TestNotIdle: a connection inside a wrapper, such as TLS, is read as usual.
func TestNotIdle(t *testing.T) {
	ours, theirs := net.Pipe()
	peer := make(chan *Conn, 1)
	go func() {
		c, _ := Server(t.Context(), theirs, logins(t)[0].mechanism, logins(t)[0].server, Options{SocketType: ROUTER})
		peer <- c
		time.AfterFunc(10*time.Millisecond, func() { c.Write(Message{[]byte("m")}) }) // so that Idle can give up if it is wrong
	}()
	c, err := Client(t.Context(), ours, logins(t)[0].client, Options{SocketType: DEALER})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	defer (<-peer).Close()
	if c.Idle(time.Millisecond) {
		t.Fatal("idle")
	}
	if f, err := c.ReadFrame(); err != nil || string(f.Body) != "m" {
		t.Errorf("read %q, %v", f.Body, err)
	}
}

// TestParkEnds: whichever of messages, silence, the end of the peer and Close come together, the goroutine
// that owns the connection learns of the end, and nothing of the connection stays with the poller.
func TestParkEnds(t *testing.T) {
	for i := range 100 {
		c, peer, _, ready := parkedPair(t, overTCP, 0)
		poller := c.parking.poller
		var all sync.WaitGroup
		all.Go(func() {
			for {
				<-ready
				c.in.patience = time.Duration(1+i%2) * 10 * time.Millisecond
				for {
					if c.Idle(time.Microsecond) {
						if c.Park(poller, ready) {
							break
						}
					} else if _, err := c.ReadFrame(); err != nil {
						return
					}
				}
			}
		})
		all.Go(func() {
			for range i {
				peer.Write(Message{[]byte("m")})
			}
		})
		all.Go(func() {
			for range i * 10 {
				runtime.Gosched()
			}
			if i%3 == 0 {
				peer.Close()
			} else if i%3 == 1 {
				c.Close()
			}
		})
		all.Wait()
		c.Close()
		if len(ready) > 0 {
			t.Fatal("resumed after the end")
		}
		if c.parking.user != nil {
			t.Fatal("the connection is still parked")
		}
	}
}

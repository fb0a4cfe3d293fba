package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

var errCut = errors.New("connection cut")

// cutConn fails after room bytes, unless that is negative.
type cutConn struct {
	net.Conn
	room atomic.Int64
}

func (c *cutConn) Write(p []byte) (int, error) {
	room := c.room.Load()
	if room < 0 || room >= int64(len(p)) {
		if room >= 0 {
			c.room.Add(-int64(len(p)))
		}
		return c.Conn.Write(p)
	}
	if room == 0 {
		return 0, errCut
	}
	n, _ := c.Conn.Write(p[:room])
	return n, errCut
}

// TestWriteError cuts a connection at many places of a write and checks that WriteError counts
// the messages that the peer received completely.
func TestWriteError(t *testing.T) {
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			for room := int64(0); room < 150; room += 1 + room%7 {
				t.Run(fmt.Sprint(room), func(t *testing.T) { testCut(t, l, room) })
			}
		})
	}
	t.Run("large frames", func(t *testing.T) {
		large := Message{bytes.Repeat([]byte("x"), 5000), []byte("y")}
		for _, room := range []int64{0, 1, 5008, 5009, 5010, 5011, 5012, 10023} {
			testCut(t, logins(t)[0], room, large, large)
		}
	})
}

func testCut(t *testing.T, l login, room int64, msgs ...Message) {
	if msgs == nil {
		msgs = []Message{{[]byte("one")}, {[]byte("two"), {}}, {{}}}
	}
	var cut *cutConn
	over := func(t testing.TB, l login, client, server Options) (*Conn, *Conn, error) {
		a, b := net.Pipe()
		cut = &cutConn{Conn: a}
		cut.room.Store(-1)
		return handshakeOver(t, cut, b, l, client, server)
	}
	c, s, err := over(t, l, Options{SocketType: PUSH}, Options{SocketType: PULL})
	if err != nil {
		t.Fatal(err)
	}
	cut.room.Store(room)
	failed := make(chan error, 1)
	go func() {
		err := c.Write(msgs...)
		c.Close()
		failed <- err
	}()
	got := 0
	for {
		if _, err := s.ReadMessage(); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			break
		}
		got++
	}
	err = <-failed
	if err == nil {
		if got != len(msgs) {
			t.Errorf("no error, but %d of %d messages were received", got, len(msgs))
		}
		return
	}
	failure, ok := errors.AsType[*WriteError](err)
	if !ok || !errors.Is(err, errCut) {
		t.Fatalf("got %v, want a WriteError that wraps that of the transport", err)
	}
	if failure.Written != got {
		t.Errorf("%d messages counted as written, %d received", failure.Written, got)
	}
}

// TestWriteTimeoutDirect checks that Options.WriteTimeout applies to a peer over TCP that stops
// reading, although most writes have no deadline.
func TestWriteTimeoutDirect(t *testing.T) {
	c, p := newTCPPeer(t, Options{SocketType: ROUTER, WriteTimeout: 100 * time.Millisecond})
	read(t, p.Conn, greetingSize)
	p.receive()
	for {
		err := c.Write(Message{make([]byte, 4000)})
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a deadline that was exceeded", err)
		}
		return
	}
}

// newTCPPeer is newRawPeer over TCP, for a peer of ZMTP 3.1 that is a DEALER.
func newTCPPeer(t *testing.T, o Options) (*Conn, *rawPeer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{Conn: b, t: t, r: newReader(b, 0)}
	p.send(string(greeting{3, 1, zap.NULL, false}.marshal()) + ready(zap.Metadata{{Name: "Socket-Type", Value: "DEALER"}}))
	login := logins(t)[0]
	c, err := Server(t.Context(), a, login.mechanism, login.server, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		p.Close()
	})
	return c, p
}

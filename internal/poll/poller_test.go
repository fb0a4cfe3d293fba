//go:build linux

package poll_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newPoller returns a Poller that is closed at the end of the test.
func newPoller(t *testing.T) *poll.Poller {
	p, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (server, client *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); c.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

// echo watches one end of a new connection, sends back what arrives there after calling before, if
// that is not nil, and returns the other end. ended is closed when the turn has returned false.
func echo(t *testing.T, p *poll.Poller, before func(*poll.Watch)) (client *net.TCPConn, ended chan struct{}) {
	server, client := pair(t)
	raw := poll.Direct(server)
	ended = make(chan struct{})
	var busy atomic.Bool
	_, err := p.Watch(raw, func(w *poll.Watch) bool {
		if !busy.CompareAndSwap(false, true) {
			t.Error("two goroutines run a turn")
		}
		defer busy.Store(false)
		buffer := make([]byte, 1024)
		for {
			n, err := poll.Read(raw, buffer)
			switch {
			case err == poll.ErrAgain:
				return true
			case err != nil:
				server.Close()
				close(ended)
				return false
			}
			if before != nil {
				before(w)
			}
			if _, err := poll.Write(raw, buffer[:n]); err != nil {
				t.Error(err)
			}
			if n < len(buffer) {
				return true
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, ended
}

// trip sends n bytes and waits for them to come back.
func trip(t *testing.T, client net.Conn, n int) {
	sent := bytes.Repeat([]byte{byte(n)}, n)
	got := make([]byte, n)
	if _, err := client.Write(sent); err != nil {
		t.Error(err)
		return
	}
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(sent, got) {
		t.Errorf("got %d bytes, error %v", len(got), err)
	}
}

func TestEcho(t *testing.T) {
	p := newPoller(t)
	var clients sync.WaitGroup
	for range 20 {
		client, ended := echo(t, p, nil)
		clients.Go(func() {
			for i := range 200 {
				trip(t, client, 1+i*37)
			}
			client.Close()
			<-ended
		})
	}
	clients.Wait()
}

// TestWaitingTurn: a turn that waits, with and without yielding, does not keep others from theirs.
func TestWaitingTurn(t *testing.T) {
	for name, before := range map[string]func(*poll.Watch){
		"yields":   (*poll.Watch).Yield,
		"detaches": (*poll.Watch).Detach,
		"does not": func(*poll.Watch) {},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t)
			release := make(chan struct{})
			var waits []net.Conn
			for range 10 { // more than there are loops, if this has fewer processors than that
				client, ended := echo(t, p, func(w *poll.Watch) { before(w); <-release })
				client.Write([]byte("wait"))
				waits = append(waits, client)
				defer func() { client.Close(); <-ended }()
			}
			client, ended := echo(t, p, nil)
			for range 100 {
				trip(t, client, 10)
			}
			client.Close()
			<-ended
			close(release)
			for _, c := range waits {
				if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
					t.Error(err)
				}
				trip(t, c, 10)
			}
		})
	}
}

// TestEndAfterData: what arrives together with the end of the connection is read, and then the end.
func TestEndAfterData(t *testing.T) {
	p := newPoller(t)
	for range 200 {
		client, ended := echo(t, p, nil)
		client.Write([]byte("last words"))
		client.CloseWrite()
		if got, err := io.ReadAll(client); err != nil || string(got) != "last words" {
			t.Fatalf("%q, %v", got, err)
		}
		<-ended
	}
}

// TestWake: the turn is called for what has happened elsewhere, once more than it runs already.
func TestWake(t *testing.T) {
	p := newPoller(t)
	server, _ := pair(t)
	calls := make(chan struct{})
	stop := make(chan struct{})
	w, err := p.Watch(poll.Direct(server), func(w *poll.Watch) bool {
		w.Yield()
		select {
		case calls <- struct{}{}:
			return true
		case <-stop:
			return false
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-calls
	for range 100 {
		w.Wake()
		<-calls
	}
	close(stop)
	w.Wake()
}

// TestClosedSocket: a closed socket is not watched.
func TestClosedSocket(t *testing.T) {
	p := newPoller(t)
	server, _ := pair(t)
	server.Close()
	if _, err := p.Watch(poll.Direct(server), func(*poll.Watch) bool { return false }); err == nil {
		t.Fatal("a closed socket is watched")
	}
}

package backend

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// needPoller skips a test on systems without one.
func needPoller(t *testing.T) {
	if poller == nil {
		t.Skip("this system has no poller")
	}
}

// parked waits until no goroutine of an endpoint is left.
func parked(t *testing.T) {
	t.Helper()
	eventually(t, "the connections are left to the poller", func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !bytes.Contains(stacks, []byte("(*endpoint)"))
	})
}

// state waits until the first endpoint has that state, and returns its status.
func state(t *testing.T, s *Dedicated, want State) (status Status) {
	t.Helper()
	eventually(t, "the endpoint is "+want.String(), func() bool {
		status = s.Status()[0]
		return status.State == want
	})
	return status
}

// TestParked: an idle connection has no goroutine, and works as before when there is something to do.
func TestParked(t *testing.T) {
	needPoller(t)
	n := newNative(t, zmtp.ROUTER)
	o := options(zmtp.DEALER, n)
	box := newInbox()
	s := dial(t, o, box)
	backend := n.accept()
	for i := range 5 {
		parked(t)
		backend.Write(message("", fmt.Sprint("news ", i)), message("", "more"))
		want(t, box.next(t), fmt.Sprint("|news ", i))
		want(t, box.next(t), "|more")
		parked(t)
		send(t, s, message("", "request"))
		want(t, read(t, backend), "|request")
	}

	// A frame that comes in pieces, with pauses, and one that is larger than every buffer.
	parked(t)
	large := strings.Repeat("large", 100_000)
	backend.Write(message("first", large, "last"))
	want(t, box.next(t), "first|"+large+"|last")

	// The backend goes, and comes back.
	parked(t)
	backend.Close()
	backend = n.accept()
	state(t, s, Connected)
	if got := s.Status()[0].Reconnects; got != 1 {
		t.Errorf("%d reconnects, want 1", got)
	}
	parked(t)
	backend.Write(message("back"))
	want(t, box.next(t), "back")

	// What is sent is written, and the connection ends, although nobody reads it.
	parked(t)
	send(t, s, message("last"))
	parked(t)
	s.Close()
	want(t, read(t, backend), "last")
	if _, err := backend.ReadMessage(); err == nil {
		t.Error("a message after the end")
	}
}

// TestParkedRemoved: an endpoint that is removed while its connection is parked is closed, at once or when
// its last answer has come.
func TestParkedRemoved(t *testing.T) {
	needPoller(t)
	for _, asked := range []bool{false, true} {
		t.Run(fmt.Sprint("asked=", asked), func(t *testing.T) {
			a, b := newNative(t, zmtp.ROUTER), newNative(t, zmtp.ROUTER)
			o := options(zmtp.DEALER, a)
			gone := make(chan struct{})
			o.Event = func(st Status) {
				if st.State == Gone && st.Address == a.endpoint().Address {
					close(gone)
				}
			}
			box := newInbox()
			s := dial(t, o, box)
			first := a.accept()
			if asked {
				send(t, s, message("request"))
				want(t, read(t, first), "request")
			}
			parked(t)
			if err := s.SetEndpoints([]Endpoint{b.endpoint()}); err != nil {
				t.Fatal(err)
			}
			second := b.accept()
			if asked {
				first.Write(message("answer"))
				want(t, box.next(t), "answer")
			}
			receiveWithin(t, gone)
			send(t, s, message("another"))
			want(t, read(t, second), "another")
		})
	}
}

// TestParkedSilent: a peer that answers no PING is lost although nobody reads its connection.
func TestParkedSilent(t *testing.T) {
	needPoller(t)
	n := newNative(t, zmtp.ROUTER)
	o := options(zmtp.DEALER, n)
	o.Heartbeat = 50 * time.Millisecond
	lost := make(chan error, 100)
	o.Event = func(st Status) {
		if st.State == Waiting {
			lost <- st.Err
		}
	}
	dial(t, o, newInbox())
	n.accept() // is not read
	if err := receiveWithin(t, lost); !errors.Is(err, zmtp.ErrSilent) {
		t.Errorf("lost with %v, want ErrSilent", err)
	}
	n.accept()
}

// TestParkedTypes: sockets of all types with one stream keep what they need between messages.
func TestParkedTypes(t *testing.T) {
	needPoller(t)
	for _, tt := range []struct {
		ours, theirs zmtp.SocketType
		asks         zmtp.Message // we send; nil: the backend sends without
		asked        string       // the backend reads
		answers      zmtp.Message // the backend sends; nil: none
		answered     string       // we receive
		replies      zmtp.Message // we send then; nil: none
		replied      string       // the backend reads
	}{
		{zmtp.DEALER, zmtp.ROUTER, message("a", "b"), "a|b", message("c", "d"), "c|d", nil, ""},
		{zmtp.REQ, zmtp.REP, message("", "a"), "|a", message("", "b"), "|b", nil, ""},
		{zmtp.PAIR, zmtp.PAIR, message("a"), "a", message("b"), "b", nil, ""},
		{zmtp.ROUTER, zmtp.DEALER, message("id", "a"), "a", message("b"), "id|b", nil, ""},
		{zmtp.REP, zmtp.REQ, nil, "", message("", "a"), "|a", message("", "b"), "|b"},
		{zmtp.PULL, zmtp.PUSH, nil, "", message("a"), "a", nil, ""},
		{zmtp.PUSH, zmtp.PULL, message("a"), "a", nil, "", nil, ""},
	} {
		t.Run(string(tt.ours), func(t *testing.T) {
			n := listenNative(t, zmtp.Options{SocketType: tt.theirs, RoutingID: []byte("id")}, "")
			o := options(tt.ours, n)
			o.MayReceive = func(zmtp.Message) bool { return true }
			box := newInbox()
			s := dial(t, o, box)
			backend := n.accept()
			for range 3 {
				parked(t)
				if tt.asks != nil {
					send(t, s, clone(tt.asks))
					want(t, read(t, backend), tt.asked)
					parked(t)
				}
				if tt.answers != nil {
					backend.Write(tt.answers)
					want(t, box.next(t), tt.answered)
					parked(t)
				}
				if tt.replies != nil {
					send(t, s, clone(tt.replies))
					want(t, read(t, backend), tt.replied)
				}
			}
		})
	}
}

// TestParkedLinger: Close waits for what is not written yet, although nobody reads the connection.
func TestParkedLinger(t *testing.T) {
	needPoller(t)
	n := newNative(t, zmtp.ROUTER)
	o := options(zmtp.DEALER, n)
	o.Linger = time.Minute
	o.HighWaterBytes = 1 << 30
	s := dial(t, o, newInbox())
	backend := n.accept()
	parked(t)
	const count = 200 // more than the system takes
	var msgs []zmtp.Message
	for i := range count {
		msgs = append(msgs, message(fmt.Sprint(i), strings.Repeat("x", 100_000)))
	}
	sent := make(chan error, 1)
	go func() {
		sent <- s.Send(t.Context(), msgs...)
		s.Close()
		close(sent)
	}()
	for i := range count {
		if got, _, _ := strings.Cut(read(t, backend), "|"); got != fmt.Sprint(i) {
			t.Fatalf("got message %s, want %d", got, i)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	<-sent
}

// TestParkedDecision: a connection is not left to the poller while a receiver decides on a message, and
// Close waits for that.
func TestParkedDecision(t *testing.T) {
	needPoller(t)
	n := newNative(t, zmtp.REQ)
	o := options(zmtp.REP, n)
	asked, decided := make(chan bool), make(chan bool)
	o.MayReceive = func(zmtp.Message) bool {
		asked <- true
		return <-decided
	}
	box := newInbox()
	s := dial(t, o, box)
	backend := n.accept()
	for i := range 3 {
		parked(t)
		backend.Write(message("", fmt.Sprint(i)))
		<-asked
		decided <- true
		want(t, box.next(t), fmt.Sprint("|", i))
		send(t, s, message("", "answer"))
		want(t, read(t, backend), "|answer")
	}
	parked(t)
	backend.Write(message("", "late"))
	<-asked
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	if _, err := backend.ReadMessage(); err == nil {
		t.Error("a message after the end")
	}
	decided <- true
	<-closed
}

// TestParkedEnds: whatever ends a connection together with Close, the socket's goroutines end.
func TestParkedEnds(t *testing.T) {
	needPoller(t)
	for i := range 60 {
		n := newNative(t, zmtp.ROUTER)
		o := options(zmtp.DEALER, n)
		s := dial(t, o, newInbox())
		backend := n.accept()
		if i%2 == 0 {
			parked(t)
		}
		var all sync.WaitGroup
		for at, end := range []func(){
			func() { backend.Write(message("m")) },
			func() { backend.Close() },
			func() { _ = s.SetEndpoints(nil) },
			func() { s.Close() },
		} {
			if (i>>at)&1 == 0 || at == 3 {
				all.Go(end)
			}
		}
		all.Wait()
		s.Close()
	}
}

// TestNoPoller: without a poller a socket works as well, with a goroutine for each connection.
func TestNoPoller(t *testing.T) {
	n := newNative(t, zmtp.ROUTER)
	o := options(zmtp.DEALER, n)
	o.Poller = nil
	box := newInbox()
	s := dial(t, o, box)
	backend := n.accept()
	for range 3 {
		send(t, s, message("question"))
		want(t, read(t, backend), "question")
		backend.Write(message("answer"))
		want(t, box.next(t), "answer")
	}
}

package backend

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// stuck is a receiver whose client does not read: Flush returns when free is closed.
type stuck struct {
	free    chan struct{}
	waiting chan struct{} // gets a value at each Flush
}

func newStuck() *stuck { return &stuck{make(chan struct{}), make(chan struct{}, 10000)} }

func (r *stuck) Message(zmtp.Message) error { return nil }

func (*stuck) Discarded(zmtp.Message) {}

func (r *stuck) Flush() {
	r.waiting <- struct{}{}
	<-r.free
}

// attachStuck attaches a stream that is stuck until the test ends.
func attachStuck(t *testing.T, s *Shared) *stuck {
	t.Helper()
	r := newStuck()
	st, err := s.Attach(r, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(r.free) // before Close, as a client's queue is closed
		st.Close()
	})
	return r
}

// TestPullStalled checks that a stream that is stuck gets nothing more, and others get the rest.
func TestPullStalled(t *testing.T) {
	s := listen(t, zmtp.PULL)
	r := attachStuck(t, s)
	a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUSH})
	a.Write(message("one"))
	receiveWithin(t, r.waiting)
	_, in := attach(t, s)
	for i := range 3000 {
		a.Write(message(fmt.Sprint(i)))
	}
	for i := range 3000 {
		want(t, in.next(t), fmt.Sprint(i))
	}
}

// TestPubStalled checks that streams receive any number of the peers' subscriptions while another
// stream is stuck.
func TestPubStalled(t *testing.T) {
	s := listen(t, zmtp.XPUB)
	_, in1 := attach(t, s)
	a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.XSUB})
	a.Subscribe([]byte("0"))
	want(t, in1.next(t), "\x010")
	r := attachStuck(t, s) // receives it too
	receiveWithin(t, r.waiting)
	for i := range 3000 {
		a.Subscribe(fmt.Append(nil, "t", i))
		want(t, in1.next(t), fmt.Sprint("\x01t", i))
	}
	_, in2 := attach(t, s)
	for range 3001 {
		in2.next(t)
	}
	in2.empty(t)
}

// TestPubPending checks that a subscription and its end cancel each other out for a stream that
// has not received the first.
func TestPubPending(t *testing.T) {
	s := listen(t, zmtp.PUB)
	_, good := attach(t, s)
	r := attachStuck(t, s)
	a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.SUB})
	a.Subscribe([]byte("first"))
	want(t, good.next(t), "\x01first")
	receiveWithin(t, r.waiting)
	for range 1000 {
		a.Subscribe([]byte("again"))
		want(t, good.next(t), "\x01again")
		a.Unsubscribe([]byte("again"))
		want(t, good.next(t), "\x00again")
	}
	a.Subscribe([]byte("last"))
	want(t, good.next(t), "\x01last")
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	if n := len(s.core.streams[1].news); n != 1 {
		t.Errorf("%d subscriptions wait, want 1", n)
	}
}

// quitter is a receiver that takes nothing.
type quitter struct{ refused chan struct{} }

func (r quitter) Message(zmtp.Message) error {
	r.refused <- struct{}{}
	return ErrClosed
}

func (quitter) Discarded(zmtp.Message) {}

func (quitter) Flush() {}

// TestPullGivenBack checks that a message that a stream does not take goes to the next stream.
func TestPullGivenBack(t *testing.T) {
	s := listen(t, zmtp.PULL)
	a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUSH})
	a.Write(message("1"), message("2"), message("3"))
	for range 2 {
		r := quitter{make(chan struct{}, 10)}
		st, err := s.Attach(r, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		receiveWithin(t, r.refused)
		st.Close()
		if len(r.refused) > 0 {
			t.Error("a stream that takes nothing gets more")
		}
	}
	_, in := attach(t, s)
	var got []string
	for range 3 {
		got = append(got, in.next(t))
	}
	want(t, sorted(got), "[1 2 3]")
}

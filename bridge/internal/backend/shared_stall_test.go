package backend

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// stuck is a receiver whose client does not read: Flush does not return before free is
// closed.
type stuck struct {
	free    chan struct{}
	waiting chan struct{} // gets a value at each Flush
}

func newStuck() *stuck { return &stuck{make(chan struct{}), make(chan struct{}, 10000)} }

func (r *stuck) Message(zmtp.Message) error { return nil }

func (r *stuck) Flush() {
	r.waiting <- struct{}{}
	<-r.free
}

// attachStuck attaches a session that will be stuck until the test has ended.
func attachStuck(t *testing.T, s *Shared) *stuck {
	t.Helper()
	r := newStuck()
	x, err := s.Attach(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(r.free) // first, as a channel closes its queue
		x.Close()
	})
	return r
}

// TestPullStalled: a session that takes no more gets no more, and the others get the rest.
func TestPullStalled(t *testing.T) {
	s := listen(t, zmtp.PULL)
	r := attachStuck(t, s)
	a := dialIn(t, s, zmtp.Options{SocketType: zmtp.PUSH})
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

// TestPubStalled: sessions hear what the peers want, however many topics that are, and
// whether or not others listen.
func TestPubStalled(t *testing.T) {
	s := listen(t, zmtp.XPUB)
	_, in1 := attach(t, s)
	a := dialIn(t, s, zmtp.Options{SocketType: zmtp.XSUB})
	a.Subscribe([]byte("0"))
	want(t, in1.next(t), "\x010")
	r := attachStuck(t, s) // is told of it
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

// TestPubUntold: a session that has not heard of a subscription need not hear of its end.
func TestPubUntold(t *testing.T) {
	s := listen(t, zmtp.PUB)
	_, good := attach(t, s)
	r := attachStuck(t, s)
	a := dialIn(t, s, zmtp.Options{SocketType: zmtp.SUB})
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
	if n := len(s.core.sessions[1].news); n != 1 {
		t.Errorf("%d news wait, want 1", n)
	}
}

// quitter is a receiver that has ended without being closed: it takes nothing.
type quitter struct{ refused chan struct{} }

func (r quitter) Message(zmtp.Message) error {
	r.refused <- struct{}{}
	return ErrClosed
}

func (quitter) Flush() {}

// TestPullGivenBack: what a session was given that had ended is for the next, and goes first.
func TestPullGivenBack(t *testing.T) {
	s := listen(t, zmtp.PULL)
	a := dialIn(t, s, zmtp.Options{SocketType: zmtp.PUSH})
	a.Write(message("1"), message("2"), message("3"))
	for range 2 {
		r := quitter{make(chan struct{}, 10)}
		x, err := s.Attach(r)
		if err != nil {
			t.Fatal(err)
		}
		receiveWithin(t, r.refused)
		x.Close()
		if len(r.refused) > 0 {
			t.Error("who takes nothing is given more")
		}
	}
	_, in := attach(t, s)
	var got []string
	for range 3 {
		got = append(got, in.next(t))
	}
	want(t, sorted(got), "[1 2 3]")
}

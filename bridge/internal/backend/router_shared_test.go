package backend

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func router1(t testing.TB) *inbound {
	return newInbound(t, ListenOptions{Options: Options{SocketType: zmtp.ROUTER}, TurnTimeout: 3 * time.Second})
}

// write has a peer send messages; with net.Pipe it returns when they were read.
func write(t testing.TB, c *zmtp.Conn, msgs ...zmtp.Message) {
	t.Helper()
	if err := c.Write(msgs...); err != nil {
		t.Fatal(err)
	}
}

// reads reads everything that c is sent, until it ends.
func reads(c *zmtp.Conn) <-chan string {
	got := make(chan string, 1000)
	go func() {
		defer close(got)
		for {
			m, err := c.ReadMessage()
			if err != nil {
				return
			}
			got <- text(m)
		}
	}()
	return got
}

// nothing checks that nothing is in a channel.
func nothing[T any](t testing.TB, c <-chan T, why string) {
	t.Helper()
	select {
	case v, ok := <-c:
		if ok {
			t.Errorf("%s: got %v, want nothing", why, v)
		}
	default:
	}
}

// TestTurnAnswer checks that an answer reaches the client that has asked, although another one
// has written to the peer since.
func TestTurnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := router1(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		got := reads(h)
		bob, toBob := s.attach(AttachOptions{})
		mallory, toMallory := s.attach(AttachOptions{})
		send(t, bob, message("h1", "is the door shut?"))
		send(t, mallory, message("h1", "anything"), message("h1", "more"))
		want(t, <-got, "is the door shut?")
		synctest.Wait()
		nothing(t, got, "in bob's turn")
		if n := s.Stats().Waiting; n != 2 {
			t.Errorf("%d messages wait, want 2", n)
		}
		write(t, h, message("it is"))
		want(t, toBob.next(t), "h1|it is")
		want(t, <-got, "anything")
		want(t, <-got, "more")
		write(t, h, message("1"), message("2"))
		want(t, toMallory.next(t), "h1|1")
		want(t, toMallory.next(t), "h1|2")
		toBob.empty(t)
		write(t, h, message("fire")) // nobody's turn
		want(t, toBob.next(t), "h1|fire")
		want(t, toMallory.next(t), "h1|fire")
	})
}

// TestTurnEnds checks what ends a turn: silence since the last message either way, and the
// client's end together with its answer.
func TestTurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := router1(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		bob, toBob := s.attach(AttachOptions{})
		alice, toAlice := s.attach(AttachOptions{})
		send(t, bob, message("h1", "b1"), message("h1", "b2"))
		send(t, alice, message("h1", "a"))
		time.Sleep(time.Minute) // the peer reads nothing: its time has not begun
		got := reads(h)
		want(t, <-got, "b1")
		want(t, <-got, "b2")
		time.Sleep(2900 * time.Millisecond)
		write(t, h, message("B1"))
		want(t, toBob.next(t), "h1|B1")
		time.Sleep(2900 * time.Millisecond)
		nothing(t, got, "before the time-out")
		time.Sleep(200 * time.Millisecond)
		want(t, <-got, "a")
		bob.Close()
		alice.Close() // before its answer
		carol, toCarol := s.attach(AttachOptions{})
		send(t, carol, message("h1", "c"))
		synctest.Wait()
		nothing(t, got, "the answer to alice has not come")
		write(t, h, message("A"))
		want(t, <-got, "c")
		toCarol.empty(t)
		toAlice.empty(t)
		if n := s.Stats().Unroutable; n != 1 {
			t.Errorf("%d dropped, want alice's answer", n)
		}
		carol.Close() // and h1 does not answer
		dave, toDave := s.attach(AttachOptions{})
		send(t, dave, message("h1", "d"))
		time.Sleep(2900 * time.Millisecond)
		nothing(t, got, "before the time-out")
		time.Sleep(200 * time.Millisecond)
		want(t, <-got, "d")
		write(t, h, message("D"))
		want(t, toDave.next(t), "h1|D")
	})
}

// TestTurnRoundRobin checks that waiting clients are served in turn, each with all that it has
// waiting, and that what a client has sent before it left is still sent.
func TestTurnRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := router1(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		got := reads(h)
		one, _ := s.attach(AttachOptions{})
		two, _ := s.attach(AttachOptions{})
		three, _ := s.attach(AttachOptions{})
		four, _ := s.attach(AttachOptions{})
		send(t, one, message("h1", "1"))
		send(t, two, message("h1", "2a"))
		send(t, three, message("h1", "3a"))
		send(t, one, message("h1", "1b"))
		send(t, two, message("h1", "2b"))
		send(t, four, message("h1", "4a"))
		send(t, three, message("h1", "3b"))
		three.Close()
		four.Close()
		var order []string
		for range 7 {
			select {
			case m := <-got:
				order = append(order, m)
			case <-time.After(time.Second):
				t.Fatalf("stuck after %v", order)
			}
			write(t, h, message("answer"))
		}
		if fmt.Sprint(order) != "[1 2a 2b 1b 3a 3b 4a]" {
			t.Errorf("order %v", order)
		}
	})
}

// TestTurnBounds checks that one client has at most the high-water mark waiting, and that this
// takes nothing from another.
func TestTurnBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ListenOptions{Options: Options{SocketType: zmtp.ROUTER, HighWaterMark: 5}}
		s := newInbound(t, o)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		got := reads(h)
		bob, _ := s.attach(AttachOptions{})
		mallory, _ := s.attach(AttachOptions{})
		alice, _ := s.attach(AttachOptions{})
		send(t, bob, message("h1", "b"))
		want(t, <-got, "b")
		for i := range 20 {
			send(t, mallory, message("h1", fmt.Sprint("m", i)))
		}
		send(t, alice, message("h1", "a"))
		if st := s.Stats(); st.Overflow != 15 || st.Waiting != 6 || s.Status()[0].Waiting != 6 {
			t.Errorf("%+v, want 15 dropped and 6 waiting", st)
		}
		write(t, h, message("B"))
		for i := range 5 {
			want(t, <-got, fmt.Sprint("m", i))
			write(t, h, message("M"))
		}
		want(t, <-got, "a")
		h.Close()
		synctest.Wait()
		send(t, alice, message("h1", "gone"))
		if n := s.Stats().Unroutable; n != 1 {
			t.Errorf("%d unroutable, want 1", n)
		}
	})
}

// TestTurnPeerGone checks that what waits for a peer that leaves is counted.
func TestTurnPeerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := router1(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		bob, _ := s.attach(AttachOptions{})
		alice, _ := s.attach(AttachOptions{})
		send(t, bob, message("h1", "1"))
		synctest.Wait() // it is being written
		send(t, bob, message("h1", "2"))
		send(t, alice, message("h1", "3"), message("h1", "4"))
		h.Close()
		synctest.Wait()
		if st := s.Stats(); st.Unroutable != 4 || st.Queued != 0 || st.Waiting != 0 {
			t.Errorf("%+v, want 4 unroutable and none waiting", st)
		}
	})
}

// TestUnaskedRouter checks that a peer's unasked message goes to every client that may send to
// the peer and to no other, and waits while there is none.
func TestUnaskedRouter(t *testing.T) {
	for _, envelope := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newInbound(t, ListenOptions{Envelope: envelope, Options: Options{SocketType: zmtp.ROUTER, HighWaterMark: 3}})
			defer s.close()
			h1, h2 := s.connect("h1", controller("h1")), s.connect("h2", controller("h2"))
			_, toEve := s.attach(only("h2"))
			for i := range 5 {
				write(t, h1, message(fmt.Sprint(i)))
			}
			write(t, h2, message("for eve"))
			want(t, toEve.next(t), "h2|for eve")
			synctest.Wait()
			if st := s.Stats(); st.Waiting != 3 || st.Unroutable != 2 {
				t.Errorf("%+v, want 3 waiting and 2 dropped", st)
			}
			_, toAlice := s.attach(only("h1", "h2"))
			for i := range 3 {
				want(t, toAlice.next(t), fmt.Sprint("h1|", i+2))
			}
			_, toBob := s.attach(only("h1"))
			write(t, h1, message("", "x"))
			want(t, toAlice.next(t), "h1||x")
			want(t, toBob.next(t), "h1||x")
			write(t, h2, message("y"))
			want(t, toAlice.next(t), "h2|y")
			want(t, toEve.next(t), "h2|y")
			synctest.Wait()
			for _, in := range []*inbox{toEve, toAlice, toBob} {
				in.empty(t)
			}
			if n := s.Stats().Waiting; n != 0 {
				t.Errorf("%d wait, want none", n)
			}
		})
	}
}

// TestRecheckAddress checks that MayAddress is asked once for each peer, and again after
// Recheck, which also offers what waits.
func TestRecheckAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := router1(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		var may atomic.Bool
		var asked atomic.Int32
		eve, toEve := s.attach(AttachOptions{MayAddress: func([]byte) bool {
			time.Sleep(time.Second) // as if a network were asked
			asked.Add(1)
			return may.Load()
		}})
		for range 3 {
			write(t, h, message("fire"))
		}
		time.Sleep(time.Minute)
		toEve.empty(t)
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		may.Store(true)
		eve.Recheck()
		for range 3 {
			want(t, toEve.next(t), "h1|fire")
		}
		may.Store(false)
		eve.Recheck()
		write(t, h, message("fire"))
		time.Sleep(time.Minute)
		toEve.empty(t)
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
	})
}

// TestRouterEnvelope checks that many clients ask a peer at once and each gets its own answers,
// and that a peer cannot use an envelope of another one or of a client that has left.
func TestRouterEnvelope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newInbound(t, ListenOptions{Envelope: true, Options: Options{SocketType: zmtp.ROUTER}})
		defer s.close()
		h1, h2 := s.connect("h1", controller("h1")), s.connect("h2", controller("h2"))
		bob, toBob := s.attach(AttachOptions{})
		mallory, toMallory := s.attach(AttachOptions{})
		ask := func(st Socket, h *zmtp.Conn, id string, frames ...string) []byte {
			send(t, st, append(message(id), message(frames...)...))
			m, err := h.ReadMessage()
			if err != nil || len(m) != 1+len(frames) || !isEnvelope(m[0]) || text(m[1:]) != text(message(frames...)) {
				t.Fatalf("%q (%v), want an envelope and %q", m, err, frames)
			}
			return m[0]
		}
		b1 := ask(bob, h1, "h1", "", "door?")
		m1 := ask(mallory, h1, "h1", "anything")
		b2 := ask(bob, h2, "h2", "x")
		if string(b1) == string(b2) || string(ask(bob, h1, "h1", "again")) != string(b1) {
			t.Error("envelopes are not one for each client and peer")
		}
		write(t, h1, zmtp.Message{b1, nil, []byte("shut")}, zmtp.Message{m1, []byte("yes")})
		want(t, toBob.next(t), "h1||shut")
		want(t, toMallory.next(t), "h1|yes")
		write(t, h2, zmtp.Message{b1, []byte("forged")}, message("\x00abcdefgh", "guessed"), zmtp.Message{b2, []byte("y")})
		want(t, toBob.next(t), "h2|y")
		bob.Close()
		write(t, h1, zmtp.Message{b1, []byte("too late")})
		synctest.Wait()
		toBob.empty(t)
		toMallory.empty(t)
		if n := s.Stats().Unroutable; n != 3 {
			t.Errorf("%d unroutable, want 3", n)
		}
		mallory.Close()
		h1.Close()
		h2.Close()
		synctest.Wait()
	})
}

// TestClaimedIDs checks who may have which routing id, and who takes it over from whom.
func TestClaimedIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newInbound(t, ListenOptions{OwnsID: ownsID, Options: Options{SocketType: zmtp.ROUTER}})
		defer s.close()
		for _, c := range []struct {
			user, id string
			ok       bool
		}{
			{"h1", "h1", true}, {"h2", "h2/cellar", true}, {"evil", "h1", false}, {"evil", "h1/x", false},
			{"h", "h1", false}, {"", "h1", false}, {"", "guest", true}, {"evil", "guest", false},
			{"evil", "", true}, {"evil", "\x00abcd", true}, {"", "", true},
		} {
			conn, err := s.tryConnect(c.user, controller(c.id))
			var refused *zmtp.RefusedError
			if (err == nil) != c.ok || !c.ok && (!errors.As(err, &refused) || refused.Status != zap.Refused) {
				t.Errorf("user %q, id %q: %v, want accepted %v", c.user, c.id, err, c.ok)
			}
			if conn != nil {
				conn.Close()
			}
			synctest.Wait()
		}
	})
}

// TestTakeOver checks that the user who comes back gets its routing id from its old
// connection, which is closed first, and that a user gets one from a peer without a user.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := router1(t) // any peer may claim any id
		defer s.close()
		alice, toAlice := s.attach(AttachOptions{})
		says := func(c *zmtp.Conn, id string) {
			t.Helper()
			write(t, c, message("hello"))
			m := receiveWithin(t, toAlice.arrived)
			if got := string(m[0]); got != id && (id != "" || got[0] != 0) {
				t.Errorf("routing id %q, want %q", got, id)
			}
		}
		guest := s.connect("", controller("h1"))
		says(guest, "h1")
		says(s.connect("", controller("h1")), "") // first come
		old := s.connect("h1", controller("h1"))
		if _, err := guest.ReadMessage(); err == nil {
			t.Error("the peer without a user keeps its connection")
		}
		says(old, "h1")
		says(s.connect("", controller("h1")), "")
		says(s.connect("evil", controller("h1")), "")
		send(t, alice, message("h1", "?"))
		want(t, read(t, old), "?")
		again := s.connect("h1", controller("h1"))
		if _, err := old.ReadMessage(); err == nil {
			t.Error("the old connection stays")
		}
		says(again, "h1")
		send(t, alice, message("h1", "?"))
		want(t, read(t, again), "?")
	})
}

// TestRouterFirstMessages checks that what a peer sends before any client is attached reaches
// the first one, on every kind of shared ROUTER.
func TestRouterFirstMessages(t *testing.T) {
	s := router1(t)
	h := s.connect("h1", controller("h1"))
	for i := range 50 {
		write(t, h, message(fmt.Sprint(i)))
	}
	_, in := s.attach(AttachOptions{})
	for i := range 50 {
		write(t, h, message(fmt.Sprint(50+i)))
	}
	for i := range 100 {
		want(t, in.next(t), fmt.Sprint("h1|", i))
	}
}

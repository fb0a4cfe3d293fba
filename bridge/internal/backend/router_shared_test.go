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
		s := routerSocket(t)
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
		s := routerSocket(t) // any peer may claim any id
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
	s := routerSocket(t)
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

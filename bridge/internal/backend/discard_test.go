package backend

import (
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// smallLimits are the limits of these tests.
var smallLimits = zmtp.Limits{Frame: 100, Message: 100, Discard: 10_000}

var huge = strings.Repeat("x", 5000)

// TestTooLarge sends a message beyond the limits to a socket of every type, between others. It is
// lost alone, and the stream is told.
func TestTooLarge(t *testing.T) {
	for _, tc := range []struct {
		ours, peer zmtp.SocketType
		ask        zmtp.Message // what the stream sends before
		message    zmtp.Message
		told       string // "" if nobody is
	}{
		{zmtp.SUB, zmtp.PUB, nil, message("topic", huge), "topic"},
		{zmtp.SUB, zmtp.PUB, nil, message("topic" + huge), ("topic" + huge)[:1024]},
		{zmtp.XSUB, zmtp.XPUB, nil, message("topic", "small", huge), "topic|small"},
		{zmtp.PULL, zmtp.PUSH, nil, message("job", huge), "job"},
		{zmtp.PAIR, zmtp.PAIR, nil, message("a", huge, "b"), "a"},
		{zmtp.DEALER, zmtp.ROUTER, nil, message("", huge), ""},
		{zmtp.DEALER, zmtp.ROUTER, nil, message("a", huge), "a"},
		{zmtp.ROUTER, zmtp.DEALER, nil, message("a", huge), "peer|a"},
		{zmtp.REP, zmtp.DEALER, nil, message("id", "", huge), "id|"},
		{zmtp.REQ, zmtp.ROUTER, message("", "?"), message("", huge), ""},
		{zmtp.REQ, zmtp.ROUTER, message("id", "", "?"), message("id", "", huge), "id|"},
		{zmtp.REQ, zmtp.ROUTER, message("id", "", "?"), message("other", "", huge), "nobody"},
		{zmtp.REQ, zmtp.ROUTER, nil, message("", huge), "nobody"},
		{zmtp.PUSH, zmtp.PULL, nil, message("a", huge), "nobody"},
		{zmtp.PUB, zmtp.XSUB, nil, message("a", huge), "nobody"},
		{zmtp.XPUB, zmtp.XSUB, nil, message("a", huge), "a"},
	} {
		t.Run(string(tc.ours)+" "+text(tc.message)[:2], func(t *testing.T) {
			n := listenNative(t, zmtp.Options{SocketType: tc.peer, RoutingID: []byte("peer")}, "")
			in := newInbox()
			o := options(tc.ours, n)
			o.Limits = smallLimits
			s := dial(t, o, in)
			c := n.accept()
			if tc.ask != nil {
				send(t, s, tc.ask)
				read(t, c)
			}
			if err := c.Write(tc.message); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is counted", func() bool { return s.Stats().TooLarge == 1 })
			if tc.told != "nobody" {
				want(t, in.next(t), "discarded|"+tc.told)
			}
			if tc.ours == zmtp.REQ { // the next request
				send(t, s, message("", "again"))
				read(t, c)
			}
			c.Write(message("", "next"))
			if s.Status()[0].State != Connected || s.Status()[0].Reconnects > 0 {
				t.Errorf("%+v, want the connection to last", s.Status()[0])
			}
			switch tc.ours {
			case zmtp.PUSH, zmtp.PUB:
				eventually(t, "the next is read", func() bool { return s.Stats().Unasked == 1 })
			case zmtp.ROUTER:
				want(t, in.next(t), "peer||next")
			default:
				want(t, in.next(t), "|next")
			}
			in.empty(t)
		})
	}
}

// TestBindTooLarge checks who of several streams is told.
func TestBindTooLarge(t *testing.T) {
	listenSmall := func(t *testing.T, ours zmtp.SocketType, envelope bool) *Shared {
		t.Helper()
		s, err := Listen(ListenOptions{
			Options: Options{SocketType: ours, Limits: smallLimits}, Addresses: []string{"tcp://127.0.0.1:0"},
			Mechanism: "NULL", Security: open, Envelope: envelope,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	for _, tc := range []struct {
		name       string
		ours, peer zmtp.SocketType
		envelope   bool
	}{
		{"DEALER", zmtp.DEALER, zmtp.ROUTER, false},
		{"REQ", zmtp.REQ, zmtp.ROUTER, false},
		{"ROUTER in turn", zmtp.ROUTER, zmtp.DEALER, false},
		{"ROUTER with envelopes", zmtp.ROUTER, zmtp.DEALER, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := listenSmall(t, tc.ours, tc.envelope)
			c := connectPeer(t, s, zmtp.Options{SocketType: tc.peer, RoutingID: []byte("peer")})
			one, inOne := attach(t, s)
			_, inTwo := attach(t, s)
			request, prefix := message("", "?"), ""
			if tc.ours == zmtp.ROUTER {
				request, prefix = message("peer", "", "?"), "peer|"
			}
			send(t, one, request)
			m, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			c.Write(append(m[:len(m)-1:len(m)-1], []byte(huge)))
			want(t, inOne.next(t), "discarded|"+prefix)
			send(t, one, request)
			if m, err = c.ReadMessage(); err != nil {
				t.Fatal(err)
			}
			c.Write(m)
			want(t, inOne.next(t), prefix+"|?")
			if tc.ours == zmtp.ROUTER { // unasked
				c.Write(message("alarm", huge))
				want(t, inOne.next(t), "discarded|peer|alarm")
				want(t, inTwo.next(t), "discarded|peer|alarm")
			}
			inOne.empty(t)
			inTwo.empty(t)
		})
	}
	t.Run("PULL", func(t *testing.T) {
		s := listenSmall(t, zmtp.PULL, false)
		c := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUSH})
		inOne, inTwo := newInbox(), newInbox()
		for _, st := range []struct {
			in   *inbox
			jobs string
		}{{inOne, "a"}, {inTwo, "b"}} {
			if _, err := s.Attach(st.in, AttachOptions{MayReceive: func(m zmtp.Message) bool { return string(m[0]) == st.jobs }}); err != nil {
				t.Fatal(err)
			}
		}
		jobs := s.core.pattern.(*pull).jobs
		eventually(t, "both are idle", func() bool {
			s.core.mu.Lock()
			defer s.core.mu.Unlock()
			return len(jobs.idle) == 2
		})
		c.Write(message("b", huge), message("c", huge), message("a"), message("b"))
		want(t, inTwo.next(t), "discarded|b")
		want(t, inTwo.next(t), "b")
		want(t, inOne.next(t), "a")
		if got := s.Stats().TooLarge; got != 2 {
			t.Errorf("%d counted, want 2", got)
		}
	})
	t.Run("XPUB", func(t *testing.T) {
		s := listenSmall(t, zmtp.XPUB, false)
		c := connectPeer(t, s, zmtp.Options{SocketType: zmtp.XSUB})
		_, inOne := attach(t, s)
		_, inTwo := attach(t, s)
		c.Write(message("a", huge))
		want(t, inOne.next(t), "discarded|a")
		want(t, inTwo.next(t), "discarded|a")
		c.Write(message("\x01" + huge))
		eventually(t, "a subscription that is too large ends the connection", func() bool { return len(s.Status()) == 0 })
	})
}

// TestFarTooLarge checks that a message beyond Limits.Discard costs the connection.
func TestFarTooLarge(t *testing.T) {
	n := newNative(t, zmtp.PUB)
	o := options(zmtp.SUB, n)
	o.Limits = smallLimits
	s := dial(t, o, newInbox())
	n.accept().Write(message("topic", strings.Repeat(huge, 3)))
	n.accept()
	eventually(t, "it is connected again", func() bool { return s.Status()[0].Reconnects == 1 })
}

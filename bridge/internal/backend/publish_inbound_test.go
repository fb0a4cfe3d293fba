package backend

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var subPeer = zmtp.Options{SocketType: zmtp.SUB}

func publisherSocket(t testing.TB, most int64) *inbound {
	return newInbound(t, ListenOptions{Options: Options{SocketType: zmtp.XPUB}, MaxSubscriptionBytes: most})
}

// gone reads from c until the other side closes it, and closes the channel then.
func gone(c *zmtp.Conn) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			if _, err := c.ReadFrame(); err != nil {
				return
			}
		}
	}()
	return over
}

func isGone(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// TestSubscriptionBytes checks that one user has at most a tenth of the bound, over all of its
// connections, and that all users together have the bound at most.
func TestSubscriptionBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := publisherSocket(t, 10_000)
		defer s.close()
		_, in := s.attach(AttachOptions{})
		topic := func(i int) []byte { return fmt.Appendf(nil, "%036d", i) } // counts 100
		subscribeTo := func(c *zmtp.Conn, from, to int) {
			for i := from; i < to; i++ {
				if c.Subscribe(topic(i)) != nil {
					return
				}
			}
			synctest.Wait()
		}
		h1, again := s.connect("h1", subPeer), s.connect("h1", subPeer)
		over1, overAgain := gone(h1), gone(again)
		subscribeTo(h1, 0, 8)
		subscribeTo(h1, 0, 8) // counts once
		subscribeTo(again, 0, 2)
		if isGone(over1) || isGone(overAgain) {
			t.Fatal("a tenth is refused")
		}
		subscribeTo(again, 2, 3)
		if !isGone(overAgain) || isGone(over1) {
			t.Error("the connection beyond the tenth stays, or the other does not")
		}
		h1.Unsubscribe(topic(0))
		subscribeTo(h1, 8, 11) // its own connection that has gone counts no longer
		if isGone(over1) {
			t.Error("what was given back is refused")
		}
		for i := range 9 {
			c := s.connect(fmt.Sprint("other", i), subPeer)
			over := gone(c)
			subscribeTo(c, 100*i+100, 100*i+110)
			if isGone(over) {
				t.Errorf("user %d has no room", i)
			}
		}
		late := s.connect("late", subPeer)
		overLate := gone(late)
		subscribeTo(late, 0, 1)
		if !isGone(overLate) {
			t.Error("more than all together may have")
		}
		if n := s.Stats().SubscriptionBytes; n != 100*(10+90) {
			t.Errorf("%d bytes are counted, want 10000", n)
		}
		if n := len(in.arrived); n != 8+1+3+90 {
			t.Errorf("%d subscriptions and ends received, want 102", n)
		}
	})
}

// TestSubscriptionMemory checks that the memory of a peer's subscriptions is given back when
// it leaves, and that streams hold no copies of the topics.
func TestSubscriptionMemory(t *testing.T) {
	const number, length = 5_000, 900
	s := newInbound(t, ListenOptions{Options: Options{SocketType: zmtp.XPUB}, MaxSubscriptionBytes: 1 << 30})
	for range 5 {
		if _, err := s.Attach(drain{}, AttachOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	before := heap()
	h := s.connect("h1", subPeer)
	over := gone(h)
	for i := range number {
		if err := h.Subscribe(fmt.Appendf(nil, "%06d%s", i, strings.Repeat("x", length-6))); err != nil {
			t.Fatal(err)
		}
	}
	if used := heap() - before; used > 2*number*length {
		t.Errorf("%d MB for %d MB of topics", used>>20, number*length>>20)
	}
	h.Close()
	<-over
	eventually(t, "the peer is gone", func() bool { return len(s.Status()) == 0 })
	eventually(t, "the memory is given back", func() bool { return heap()-before < number*length/20 })
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	if union := &s.core.pattern.(*publisher).union; union.peak > minPeak || union.bytes != 0 {
		t.Errorf("map for %d topics, %d bytes counted", union.peak, union.bytes)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// drain is a receiver that forgets what it gets.
type drain struct{}

func (drain) Message(zmtp.Message) error { return nil }
func (drain) Discarded(zmtp.Message)     {}
func (drain) Flush()                     {}

// TestXPubMessages checks that a peer's messages go to all clients, and wait for the first one.
func TestXPubMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := publisherSocket(t, 0)
		defer s.close()
		h := s.connect("h1", zmtp.Options{SocketType: zmtp.XSUB})
		if err := h.Subscribe([]byte("a")); err != nil {
			t.Fatal(err)
		}
		write(t, h, message("first"), message("second", "x"))
		one, toOne := s.attach(AttachOptions{})
		for _, m := range []string{"\x01a", "first", "second|x"} {
			want(t, toOne.next(t), m)
		}
		_, toTwo := s.attach(AttachOptions{})
		want(t, toTwo.next(t), "\x01a")
		write(t, h, message("third"))
		want(t, toOne.next(t), "third")
		want(t, toTwo.next(t), "third")
		one.Close()
		write(t, h, message("fourth"))
		want(t, toTwo.next(t), "fourth")
		toOne.empty(t)
	})
}

// TestPeerRights checks for each socket type what a peer may send to clients and subscribe to.
// What it may not is dropped, counted and reported.
func TestPeerRights(t *testing.T) {
	for _, c := range []struct {
		ours, theirs  zmtp.SocketType
		good, bad     zmtp.Message
		goodIs, topic string // good as clients get it, and bad's topic
		ask           zmtp.Message
		envelope      bool // that of ask goes in front
	}{
		{ours: zmtp.SUB, theirs: zmtp.PUB, good: message("house/h1/t", "1"), bad: message("house/alice/door"), goodIs: "house/h1/t|1", topic: "house/alice/door"},
		{ours: zmtp.SUB, theirs: zmtp.PUB, good: message("house/h1/"), bad: message("", "house/h1/"), goodIs: "house/h1/"},
		{ours: zmtp.XSUB, theirs: zmtp.XPUB, good: message("house/h1/t"), bad: message("house/h2"), goodIs: "house/h1/t", topic: "house/h2"},
		{ours: zmtp.PULL, theirs: zmtp.PUSH, good: message("house/h1/job"), bad: message("house/h12"), goodIs: "house/h1/job", topic: "house/h12"},
		{ours: zmtp.XPUB, theirs: zmtp.XSUB, good: message("house/h1/up"), bad: message("up"), goodIs: "house/h1/up", topic: "up"},
		{ours: zmtp.XPUB, theirs: zmtp.SUB, good: message("\x01command/h1/x"), bad: message("\x01command/"), goodIs: "\x01command/h1/x", topic: "command/"},
		{ours: zmtp.PUB, theirs: zmtp.SUB, good: message("\x01command/h1/"), bad: message("\x01"), goodIs: "\x01command/h1/"},
		{ours: zmtp.ROUTER, theirs: zmtp.DEALER, good: message("house/h1/t"), bad: message("other"), goodIs: "h1|house/h1/t", topic: "other"},
		{ours: zmtp.ROUTER, theirs: zmtp.DEALER, good: message("", "house/h1/t"), bad: message("", "other", "house/h1/"), goodIs: "h1||house/h1/t", topic: "other", ask: message("h1", "?")},
		{ours: zmtp.DEALER, theirs: zmtp.ROUTER, good: message("", "house/h1/t"), bad: message("x", "", "house/h1/t"), goodIs: "|house/h1/t", topic: "x", ask: message("?"), envelope: true},
		{ours: zmtp.REQ, theirs: zmtp.ROUTER, good: message("", "house/h1/t"), bad: message("", "other"), goodIs: "|house/h1/t", topic: "other", ask: message("", "?"), envelope: true},
	} {
		t.Run(fmt.Sprint(c.ours, c.goodIs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reported := make(violations, 10)
				s := newInbound(t, ListenOptions{
					Options:   Options{SocketType: c.ours},
					Forbidden: reported.report,
					Rights: func(r *zap.Reply) PeerRights {
						return prefixes{"house/" + r.UserID + "/", "command/" + r.UserID + "/"}
					},
				})
				defer s.close()
				h := s.connect("h1", zmtp.Options{SocketType: c.theirs, RoutingID: []byte("h1")})
				alice, toAlice := s.attach(AttachOptions{})
				says := func(m zmtp.Message) {
					if c.ask != nil {
						send(t, alice, clone(c.ask))
						asked, err := h.ReadMessage()
						if err != nil {
							t.Fatal(err)
						}
						if c.envelope {
							m = append(zmtp.Message{asked[0]}, m...)
						}
					}
					write(t, h, m)
					synctest.Wait()
				}
				says(c.bad)
				want(t, <-reported, "h1: "+c.topic)
				toAlice.empty(t)
				says(c.good) // on REQ, the next request may be sent although no answer came
				want(t, toAlice.next(t), c.goodIs)
				nothing(t, reported, "it is allowed")
				if st := s.Stats(); st.Forbidden != 1 || st.Unroutable+st.Unasked+st.Overflow != 0 {
					t.Errorf("%+v, want one that is not allowed", st)
				}
			})
		})
	}
}

// TestAnswerOfAnother checks on DEALER and REQ that an answer counts only from the peer that
// was asked, although another one was asked by the same client and knows the envelope.
func TestAnswerOfAnother(t *testing.T) {
	for _, ours := range []zmtp.SocketType{zmtp.DEALER, zmtp.REQ} {
		synctest.Test(t, func(t *testing.T) {
			s := newInbound(t, ListenOptions{Options: Options{SocketType: ours}})
			defer s.close()
			h1, h2 := s.connect("h1", zmtp.Options{SocketType: zmtp.ROUTER}), s.connect("h2", zmtp.Options{SocketType: zmtp.ROUTER})
			alice, toAlice := s.attach(AttachOptions{})
			asked := func(h *zmtp.Conn, i int) []byte {
				t.Helper()
				send(t, alice, message("", fmt.Sprint(i)))
				m, err := h.ReadMessage()
				if err != nil || text(m[1:]) != fmt.Sprint("|", i) {
					t.Fatalf("%q, %v, want request %d", m, err, i)
				}
				return m[0]
			}
			e1 := asked(h1, 1)
			if ours == zmtp.REQ {
				write(t, h1, zmtp.Message{e1, nil, []byte("done")})
				want(t, toAlice.next(t), "|done")
			}
			e2 := asked(h2, 2)
			write(t, h2, zmtp.Message{e1, nil, []byte("forged")})
			write(t, h1, zmtp.Message{e2, nil, []byte("forged")})
			write(t, h2, zmtp.Message{e2, nil, []byte("true")})
			want(t, toAlice.next(t), "|true")
			synctest.Wait()
			toAlice.empty(t)
			if n := s.Stats().Unroutable; n != 2 {
				t.Errorf("%s: %d dropped, want 2", ours, n)
			}
			alice.Close()
			h2.Close()
			synctest.Wait()
			s.core.mu.Lock()
			defer s.core.mu.Unlock()
			if n := len(s.core.peers[0].askers); n != 0 {
				t.Errorf("%d envelopes of a client that has left", n)
			}
		})
	}
}

// TestPushWaits checks that what no peer can take yet waits and is counted as such.
func TestPushWaits(t *testing.T) {
	for _, ours := range []zmtp.SocketType{zmtp.PUSH, zmtp.DEALER} {
		s := newInbound(t, ListenOptions{Options: Options{SocketType: ours}})
		alice, _ := s.attach(AttachOptions{})
		for i := range 3 {
			send(t, alice, message(fmt.Sprint(i)))
		}
		if n := s.Stats().Waiting; n != 3 {
			t.Errorf("%s: %d wait, want 3", ours, n)
		}
		theirs := map[zmtp.SocketType]zmtp.SocketType{zmtp.PUSH: zmtp.PULL, zmtp.DEALER: zmtp.ROUTER}[ours]
		h := s.connect("h1", zmtp.Options{SocketType: theirs})
		for i := range 3 {
			m, err := h.ReadMessage()
			if err != nil || string(m[len(m)-1]) != fmt.Sprint(i) || ours == zmtp.DEALER && !isEnvelope(m[0]) {
				t.Fatalf("%s: %q (%v), want %d", ours, m, err, i)
			}
		}
		if n := s.Stats().Waiting; n != 0 {
			t.Errorf("%s: %d wait, want none", ours, n)
		}
	}
}

// TestPendingSubscriptions checks that a peer which does not read is taken for lost when too many
// subscriptions and cancellations wait for it, or too many bytes of them.
func TestPendingSubscriptions(t *testing.T) {
	for name, c := range map[string]struct{ size, atLeast, atMost int }{
		"long topics":  {1000, maxPendingBytes / 1000, maxPendingBytes/1000 + 5000},
		"short topics": {10, maxPending, maxPending + 5000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newInbound(t, ListenOptions{Options: Options{SocketType: zmtp.SUB, HighWaterBytes: 1}})
				defer s.close()
				st, _ := s.attach(AttachOptions{})
				s.connect("", zmtp.Options{SocketType: zmtp.PUB})
				topic := fmt.Appendf(nil, "%*s", c.size, "a")
				for range c.atLeast / 2 {
					st.Subscribe(t.Context(), topic)
					st.Unsubscribe(t.Context(), topic)
				}
				synctest.Wait()
				if n := len(s.Status()); n != 1 {
					t.Fatalf("%d peers are connected while not too much waits, want 1", n)
				}
				for range (c.atMost - c.atLeast) / 2 {
					st.Subscribe(t.Context(), topic)
					st.Unsubscribe(t.Context(), topic)
				}
				synctest.Wait()
				if n := len(s.Status()); n != 0 {
					t.Errorf("%d peers are connected, want none", n)
				}
			})
		})
	}
}

package backend

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestTwoPublishersOnOneSub receives from two endpoints.
func TestTwoPublishersOnOneSub(t *testing.T) {
	one, two := newNative(t, zmtp.PUB), newNative(t, zmtp.XPUB)
	in := newInbox()
	s := dial(t, options(zmtp.SUB, one, two), in)
	subscribe(t, s, "")
	got := make(map[string]int)
	for i, n := range []*native{one, two} {
		c := n.accept()
		want(t, read(t, c), "\x01")
		for j := range 50 {
			c.Write(message(fmt.Sprint(i), fmt.Sprint(j)))
		}
	}
	for range 100 {
		got[in.next(t)]++
	}
	if len(got) != 100 {
		t.Errorf("%d different messages, want 100", len(got))
	}
}

// TestXSubSendsUpstream checks that messages go to all publishers, in order with subscriptions.
func TestXSubSendsUpstream(t *testing.T) {
	one, two := newNative(t, zmtp.XPUB), newNative(t, zmtp.XPUB)
	s := dial(t, options(zmtp.XSUB, one, two), newInbox())
	subscribe(t, s, "a")
	send(t, s, message("up", "stream"))
	subscribe(t, s, "b")
	unsubscribe(t, s, "a")
	send(t, s, message(""), message("two"))
	for _, n := range []*native{one, two} {
		c := n.accept()
		for _, m := range []string{"\x01a", "up|stream", "\x01b", "\x00a", "", "two"} {
			want(t, read(t, c), m)
		}
	}
}

// TestPublisher checks that the client receives the union of the backends' subscriptions, that
// each backend gets what it has subscribed to and nothing else, and that the subscriptions that
// only one had end when it disconnects.
func TestPublisher(t *testing.T) {
	for _, ours := range []zmtp.SocketType{zmtp.PUB, zmtp.XPUB} {
		t.Run(string(ours), func(t *testing.T) {
			one, two := newNative(t, zmtp.SUB), newNative(t, zmtp.XSUB)
			in := newInbox()
			s := dial(t, options(ours, one, two), in)
			a, b := one.accept(), two.accept()
			a.Subscribe([]byte("house/1/"), []byte("all"))
			want(t, in.next(t), "\x01house/1/")
			want(t, in.next(t), "\x01all")
			b.Subscribe([]byte("all"), []byte("house/2/"), []byte("house/2/"), []byte("house/2/x"))
			want(t, in.next(t), "\x01house/2/")
			want(t, in.next(t), "\x01house/2/x")
			send(t, s, message("house/1/t", "1"), message("house/2/x", "2"), message("house/3", "3"), message("all", "4"), message("al"))
			want(t, read(t, a), "house/1/t|1")
			want(t, read(t, a), "all|4")
			want(t, read(t, b), "house/2/x|2") // once, though two subscriptions match
			want(t, read(t, b), "all|4")
			a.Unsubscribe([]byte("all"), []byte("never subscribed to"))
			b.Unsubscribe([]byte("house/2/x"))
			want(t, in.next(t), "\x00house/2/x")
			one.listener.Close()
			a.Close()
			want(t, in.next(t), "\x00house/1/")
			b.Write(message("from", "a subscriber"))
			if ours == zmtp.XPUB {
				want(t, in.next(t), "from|a subscriber")
			} else {
				eventually(t, "it is dropped", func() bool { return s.Stats().Unasked == 1 })
			}
			b.Unsubscribe([]byte("all"))
			want(t, in.next(t), "\x00all")
			in.empty(t)
		})
	}
}

// TestPublisherDoesNotWait checks that messages to a full subscriber are dropped.
func TestPublisherDoesNotWait(t *testing.T) {
	p := newPipes(t, zmtp.SUB, "one", "two")
	in := newInbox()
	o := p.options(zmtp.PUB)
	o.HighWaterMark, o.Linger = 5, -1
	s := dial(t, o, in)
	stalled, good := <-p.served["one"], <-p.served["two"]
	stalled.Subscribe(nil)
	want(t, in.next(t), "\x01")
	good.Subscribe([]byte("t"))
	want(t, in.next(t), "\x01t")
	for i := range 20 {
		send(t, s, message("topic", fmt.Sprint(i)))
		want(t, read(t, good), fmt.Sprint("topic|", i))
	}
	if n := s.Stats().Overflow; n < 14 || n > 15 {
		t.Errorf("%d dropped of 20 for the stalled one, want 15", n)
	}
}

// TestPublisherLimits checks that a subscriber beyond a limit is disconnected, and one at the
// limit is not.
func TestPublisherLimits(t *testing.T) {
	good, many, long := newNative(t, zmtp.SUB), newNative(t, zmtp.SUB), newNative(t, zmtp.SUB)
	in := newInbox()
	o := options(zmtp.PUB, good, many, long)
	o.MaxSubscriptions, o.MaxTopic = 3, 5
	s := dial(t, o, in)
	a, b, c := good.accept(), many.accept(), long.accept()
	good.listener.Close()
	many.listener.Close()
	long.listener.Close()
	a.Subscribe([]byte("12345"), []byte("2"), []byte("3"))
	for _, m := range []string{"\x0112345", "\x012", "\x013"} {
		want(t, in.next(t), m)
	}
	b.Subscribe([]byte("2"), []byte("3"), []byte("12345"), []byte("4"))
	c.Subscribe([]byte("123456"))
	eventually(t, "both are gone", func() bool {
		status := s.Status()
		return status[0].State == Connected && status[1].State != Connected && status[2].State != Connected
	})
	send(t, s, message("2"))
	want(t, read(t, a), "2")
	in.empty(t)
}

// hasPrefixOf reports whether a prefix of topic is in set.
func hasPrefixOf(set map[string]bool, topic string) bool {
	for prefix := range set {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// TestTopics compares topics with a slow and obvious model.
func TestTopics(t *testing.T) {
	var index topics
	peers := make([]*peer, 5)
	model := make([]map[string]bool, len(peers))
	for i := range peers {
		peers[i], model[i] = &peer{}, make(map[string]bool)
	}
	random := func() string {
		return strings.Repeat("a", rand.IntN(3)) + strings.Repeat("b", rand.IntN(3)) + strings.Repeat("a", rand.IntN(2))
	}
	for range 20000 {
		i, topic := rand.IntN(len(peers)), random()
		held := 0
		for _, m := range model {
			if m[topic] {
				held++
			}
		}
		switch rand.IntN(20) {
		default:
			first := index.add(topic, peers[i]) != nil
			if first != (held == 0) {
				t.Fatalf("add %q: first %v with %d holders", topic, first, held)
			}
			model[i][topic] = true
		case 1, 2, 3, 4, 5, 6, 7, 8:
			last := index.remove(topic, peers[i]) != nil
			if last != (held == 1 && model[i][topic]) {
				t.Fatalf("remove %q: last %v with %d holders", topic, last, held)
			}
			delete(model[i], topic)
		case 9:
			for _, gone := range index.removeAll(peers[i]) {
				if !model[i][gone.name] {
					t.Fatalf("%q was not subscribed to", gone.name)
				}
			}
			clear(model[i])
		}
		probe := random() + random()
		matched := index.match(nil, []byte(probe))
		for j, m := range model {
			got := 0
			for _, p := range matched {
				if p == peers[j] {
					got++
				}
			}
			if want := hasPrefixOf(m, probe); want != (got == 1) || got > 1 {
				t.Fatalf("%q matched %d times, want %v", probe, got, want)
			}
		}
	}
	for _, p := range peers {
		index.removeAll(p)
	}
	if len(index.byName)+len(index.lengths)+len(index.owners) > 0 || index.bytes != 0 {
		t.Errorf("left over: %v %v %v, %d bytes", index.byName, index.lengths, index.owners, index.bytes)
	}
}

package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// publisher is an Upstream that records +topic and -topic.
type publisher struct {
	mu    sync.Mutex
	calls []string
	err   error
}

func (p *publisher) Subscribe(_ context.Context, topics ...[]byte) error {
	return p.record("+", topics)
}

func (p *publisher) Unsubscribe(_ context.Context, topics ...[]byte) error {
	return p.record("-", topics)
}

func (p *publisher) record(sign string, topics [][]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range topics {
		p.calls = append(p.calls, sign+string(topic))
	}
	return p.err
}

// take returns what was recorded since the last call, once all goroutines are blocked.
func (p *publisher) take() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}

// run starts Run and returns a function that ends it.
func run(t *testing.T, h *Hub, up Upstream) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx, up) }()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestUpstream follows one topic: references are counted across members, and the subscription
// lingers after the last one.
func TestUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, up := New(Options{Linger: 5 * time.Second}), &publisher{}
		defer run(t, h, up)()
		a, b := h.Join(&client{}, MemberOptions{}), h.Join(&client{}, MemberOptions{})
		expect := func(when string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, up.take()); diff != "" {
				t.Errorf("%s: %s", when, diff)
			}
		}
		a.Subscribe([]byte("x"), false)
		a.Subscribe([]byte("x"), false)
		b.Subscribe([]byte("x"), false)
		expect("two clients", "+x")
		a.Unsubscribe([]byte("x"))
		time.Sleep(time.Minute)
		expect("one member is left")
		b.Leave()
		time.Sleep(4 * time.Second)
		expect("too early")
		a.Subscribe([]byte("x"), false) // a page that is reloaded
		time.Sleep(time.Minute)
		expect("subscribed again")
		a.Unsubscribe([]byte("x"))
		time.Sleep(4 * time.Second)
		a.Subscribe([]byte("x"), false)
		a.Unsubscribe([]byte("x"))
		time.Sleep(4 * time.Second)
		expect("idle for 4 s only")
		time.Sleep(2 * time.Second)
		expect("idle long enough", "-x")
		if n := h.Stats().Topics; n != 0 {
			t.Errorf("%d topics are left over", n)
		}
		a.Subscribe([]byte("x"), false)
		expect("from the start", "+x")
		a.Leave()
	})
}

// TestNoLinger checks that a negative Linger ends subscriptions at once.
func TestNoLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, up := New(Options{Linger: -1}), &publisher{}
		defer run(t, h, up)()
		m := h.Join(&client{}, MemberOptions{})
		m.Subscribe(nil, false)
		synctest.Wait()
		m.Leave()
		if diff := cmp.Diff([]string{"+", "-"}, up.take()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestLingeringOrder checks that a client that joins and leaves all the time, as one that polls
// does, keeps only its own topic subscribed upstream.
func TestLingeringOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, up := New(Options{Linger: 5 * time.Second}), &publisher{}
		defer run(t, h, up)()
		visit := func(topics ...string) {
			m := h.Join(&client{}, MemberOptions{})
			for _, topic := range topics {
				m.Subscribe([]byte(topic), false)
			}
			m.Leave()
		}
		visit("polled")
		visit("seldom")
		for range 4 {
			visit("polled")
			time.Sleep(2 * time.Second)
		}
		if diff := cmp.Diff([]string{"+polled", "+seldom", "-seldom"}, up.take()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestLingeringLimit lets a member subscribe to and unsubscribe from more topics, one after
// another, than may linger. Another member has no subscriptions: with each topic the first one
// leaves the group of the other and comes back.
func TestLingeringLimit(t *testing.T) {
	for _, extra := range []int{0, 1, 100} {
		h := New(Options{Linger: time.Hour})
		m, idle := h.Join(&client{}, MemberOptions{}), h.Join(&client{}, MemberOptions{})
		for i := range maxLingering + extra {
			topic := fmt.Appendf(nil, "topic %d", i)
			m.Subscribe(topic, false)
			m.Unsubscribe(topic)
			h.changes()
		}
		if n := h.Stats().Topics; n != maxLingering {
			t.Errorf("%d topics more than the limit: %d are kept, want %d", extra, n, maxLingering)
		}
		m.Leave()
		idle.Leave()
	}
}

// TestRunFails checks that Run returns the error of the upstream.
func TestRunFails(t *testing.T) {
	h, up := New(Options{}), &publisher{err: errors.New("refused")}
	m := h.Join(&client{}, MemberOptions{})
	defer m.Leave()
	m.Subscribe([]byte("x"), false)
	if err := h.Run(t.Context(), up); err != up.err {
		t.Errorf("Run: %v, want %v", err, up.err)
	}
}

// TestLingeringBytes lets members that come and go, and one that stays, subscribe to and
// unsubscribe from topics of different lengths. The topics that linger never have more bytes
// than they may, and the longest idle ones end first.
func TestLingeringBytes(t *testing.T) {
	most := int64(1000)
	h := New(Options{Linger: time.Hour, LingerBytes: func() int64 { return most }})
	stays, idle := h.Join(&client{}, MemberOptions{}), h.Join(&client{}, MemberOptions{})
	defer idle.Leave()
	lingering := func() (topics []string) {
		bytes := int64(0)
		for e := h.lingering.Front(); e != nil; e = e.Next() {
			topic := e.Value.(*subscription).topic
			topics = append(topics, string(topic[:1]))
			bytes += int64(len(topic))
		}
		if bytes > most || bytes != h.idleBytes {
			t.Fatalf("%d bytes linger and %d are counted, %d are allowed", bytes, h.idleBytes, most)
		}
		return topics
	}
	visit := func(m *Member, topic string, size int) {
		t.Helper()
		m.Subscribe(fmt.Appendf(nil, "%-*s", size, topic), false)
		m.Unsubscribe(fmt.Appendf(nil, "%-*s", size, topic))
		lingering()
		h.changes()
	}
	for _, step := range []struct {
		topic string
		size  int
		want  string
	}{
		{"a", 400, "[a]"}, {"b", 400, "[a b]"}, {"a", 400, "[b a]"}, {"c", 201, "[a c]"},
		{"d", 1001, "[]"}, {"e", 1000, "[e]"}, {"", 0, ""}, {"f", 1, "[f]"},
	} {
		if step.topic == "" { // a lowered bound applies to the next one
			most = 500
			continue
		}
		visit(stays, step.topic, step.size)
		if got := fmt.Sprint(lingering()); got != step.want {
			t.Errorf("after %s of %d bytes linger %v, want %v", step.topic, step.size, got, step.want)
		}
		other := h.Join(&client{}, MemberOptions{})
		visit(other, step.topic, step.size)
		other.Leave()
		if got := fmt.Sprint(lingering()); got != step.want {
			t.Errorf("after the same by one that leaves linger %v, want %v", got, step.want)
		}
	}
	stays.Leave()
	if n := h.Stats().Topics; n != 1 {
		t.Errorf("%d topics are kept, want f", n)
	}
}

// TestForget checks that a member that is forgotten leaves nothing behind upstream, whatever
// its group, except what others are subscribed to or what lingered before.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, up := New(Options{Linger: time.Hour}), &publisher{}
		defer run(t, h, up)()
		members := make([]*Member, 4)
		for i := range members {
			members[i] = h.Join(&client{}, MemberOptions{})
		}
		subscribe := func(m *Member, topics ...string) {
			for _, topic := range topics {
				m.Subscribe([]byte(topic), false)
			}
		}
		subscribe(members[0], "a", "b")
		subscribe(members[1], "b", "c")
		subscribe(members[2], "d")
		subscribe(members[3], "d")
		members[0].Subscribe([]byte("e"), false)
		members[0].Unsubscribe([]byte("e"))
		up.take()
		for i, want := range [][]string{{"-a"}, {"-b", "-c"}, nil, {"-d"}} {
			members[i].Forget()
			members[i].Forget()
			members[i].Leave()
			got := up.take()
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("member %d: %s", i, diff)
			}
		}
		if s := h.Stats(); s.Topics != 1 || s.Members != 0 {
			t.Errorf("%+v, want the topic that lingers", s)
		}
	})
}

// TestCovered: what the log keeps is not subscribed to again for a member that resumes, until the log no
// longer keeps it, or another member subscribes to it.
func TestCovered(t *testing.T) {
	h := newKeeping(t, history.Options{})
	var done []string
	up := &sequence{&done}
	apply := func(want string) {
		t.Helper()
		if err := h.apply(t.Context(), up); err != nil {
			t.Fatal(err)
		}
		slices.Sort(done)
		if got := strings.Join(done, " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		done = nil
	}
	h.Keep([][]byte{[]byte("a/"), []byte("b/")})
	apply("1+a/ 1+b/")
	c := &client{codec: lines("")}
	m, other := h.Join(c, MemberOptions{Codec: c.codec}), h.Join(new(client), MemberOptions{})
	at, _ := h.log.End().AppendBinary(nil)
	if err := m.Resume(at, true, false, []byte("a"), []byte("a/"), []byte("a/1"), []byte("a/2"), []byte("b/1"), []byte("c")); err != nil {
		t.Fatal(err)
	}
	apply("1+a 1+c")
	publish(h, "a/1x")
	if got := fmt.Sprint(c.take()); got != "[a/1x]" {
		t.Errorf("got %v", got)
	}
	if err := other.Subscribe([]byte("a/2"), false); err != nil {
		t.Fatal(err)
	}
	apply("1+a/2")
	other.Leave()
	m.Unsubscribe([]byte("a/1"))
	h.expire(time.Now().Add(time.Minute))
	apply("")
	if err := h.Join(new(client), MemberOptions{}).Resume(nil, true, false, []byte("a/1")); err != nil {
		t.Fatal(err)
	}
	apply("1+a/1")
	h.Keep([][]byte{[]byte("b/1")}) // a/ is a subscription of the member as well
	h.expire(time.Now().Add(time.Minute))
	apply("1+b/1 2-b/")
	h.Keep(nil)
	apply("")
	m.Leave()
	h.expire(time.Now().Add(time.Minute))
	apply("1-a 1-a/ 1-a/2 1-b/1 1-c")
}

// sequence notes in which call a topic was subscribed to or unsubscribed from.
type sequence struct{ done *[]string }

func (s *sequence) note(sign string, topics [][]byte) error {
	call := 1
	if len(*s.done) > 0 {
		call = 2
	}
	for _, topic := range topics {
		*s.done = append(*s.done, fmt.Sprint(call, sign, string(topic)))
	}
	return nil
}

func (s *sequence) Subscribe(_ context.Context, topics ...[]byte) error { return s.note("+", topics) }
func (s *sequence) Unsubscribe(_ context.Context, topics ...[]byte) error {
	return s.note("-", topics)
}

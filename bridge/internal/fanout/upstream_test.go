package fanout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// publisher notes what it is told, as +topic and -topic.
type publisher struct {
	mu   sync.Mutex
	told []string
	err  error
}

func (p *publisher) Subscribe(_ context.Context, topics ...[]byte) error { return p.note("+", topics) }

func (p *publisher) Unsubscribe(_ context.Context, topics ...[]byte) error {
	return p.note("-", topics)
}

func (p *publisher) note(sign string, topics [][]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range topics {
		p.told = append(p.told, sign+string(topic))
	}
	return p.err
}

// take returns what it was told since the last call, once all is quiet.
func (p *publisher) take() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.told
	p.told = nil
	return told
}

// run starts Run and returns what ends it.
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

// TestUpstream follows one topic: references are counted across clients, and the last one's
// cancel is late.
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
		expect("one is left")
		b.Leave()
		time.Sleep(4 * time.Second)
		expect("too early")
		a.Subscribe([]byte("x"), false) // the page is loaded again
		time.Sleep(time.Minute)
		expect("it is wanted again")
		a.Unsubscribe([]byte("x"))
		time.Sleep(4 * time.Second)
		a.Subscribe([]byte("x"), false)
		a.Unsubscribe([]byte("x"))
		time.Sleep(4 * time.Second)
		expect("idle since 4 s only")
		time.Sleep(2 * time.Second)
		expect("idle long enough", "-x")
		if n := h.Stats().Topics; n != 0 {
			t.Errorf("%d topics are left", n)
		}
		a.Subscribe([]byte("x"), false)
		expect("from the start", "+x")
		a.Leave()
	})
}

// TestNoLinger cancels at once.
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

// TestLingeringOrder: a page that comes and goes all the time, as one that polls does, keeps
// its own topic upstream and no other.
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

// TestLingeringBound lets a client walk over more topics than are kept for nobody, beside one
// that wants nothing: with each topic the first leaves the group of the other, and comes back.
func TestLingeringBound(t *testing.T) {
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
			t.Errorf("%d topics more than the bound: %d are kept, want %d", extra, n, maxLingering)
		}
		m.Leave()
		idle.Leave()
	}
}

// TestRunFails returns what the upstream says.
func TestRunFails(t *testing.T) {
	h, up := New(Options{}), &publisher{err: errors.New("refused")}
	m := h.Join(&client{}, MemberOptions{})
	defer m.Leave()
	m.Subscribe([]byte("x"), false)
	if err := h.Run(t.Context(), up); err != up.err {
		t.Errorf("Run: %v, want %v", err, up.err)
	}
}

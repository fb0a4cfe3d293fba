package fanout

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// writer is a client and its writer, which one goroutine at a time is, as in zws: the one that calls
// Write, or for a client that takes nothing at once another one.
type writer struct {
	noBatch
	q     *queue.Queue
	slow  bool // takes nothing at once
	ended atomic.Bool
	left  atomic.Bool

	announced atomic.Int64

	turns   atomic.Int64 // calls that the one that writes has to make up for
	running sync.WaitGroup
	writes  atomic.Int64
	wakes   atomic.Int64
	onWrite func() // called by Write; may be nil

	mu   sync.Mutex
	text []byte
	lost atomic.Uint64
}

// noBatch is the part of a batch that live messages do not use.
type noBatch struct{}

func (noBatch) Message(zmtp.Message, []byte) error             { panic("encoded for one client") }
func (noBatch) Unsubscribed([]byte) error                      { return nil }
func (noBatch) Resumed([]byte, bool, bool) error               { return nil }
func (noBatch) Live([]byte) error                              { return nil }
func (noBatch) Replayed(zmtp.Message, []byte, time.Time) error { panic("replayed") }

func (w *writer) Encoded(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
}

func (w *writer) Full() bool { return false }

func (w *writer) Ended() bool   { return w.ended.Load() }
func (w *writer) Missed(uint64) {}
func (w *writer) Lost(n uint64) { w.lost.Add(n) }
func (w *writer) Overflow()     {}

func (w *writer) Wake() {
	w.wakes.Add(1)
	if w.turns.Add(1) == 1 {
		w.running.Go(w.run)
	}
}

func (w *writer) Announce() { w.announced.Add(1) }

func (w *writer) Write() {
	if w.onWrite != nil {
		w.onWrite()
	}
	turns := w.turns.Add(1)
	w.writes.Add(1) // afterwards: once a test sees it, turns is 0 when all is written
	switch {
	case turns > 1:
	case w.slow:
		w.running.Go(w.run)
	default:
		w.run()
	}
}

func (w *writer) run() {
	for more := true; more; more = w.turns.Add(-1) > 0 {
		if w.q.Next(w); w.slow {
			time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
		}
		w.q.Next(w)
	}
}

// numbers returns the messages that were written, which are numbers.
func (w *writer) numbers(t *testing.T) (n []int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range bytes.Lines(w.text) {
		_, number, _ := strings.Cut(strings.TrimSpace(string(line)), ",")
		i, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, i)
	}
	return n
}

func joinWriter(h *Hub, o queue.Options, w *writer) *Member {
	o.Codec = lines("")
	w.q = queue.New(o, w)
	m := h.Join(w.q, MemberOptions{Codec: lines("")})
	_ = m.Subscribe([]byte("a"), false)
	return m
}

// TestPass delivers to so many clients that several goroutines write. Some clients take nothing at
// once; of others the login ends, or they leave, while messages are delivered. Each client gets all
// messages until then, in order and once.
func TestPass(t *testing.T) {
	const clients, messages = alone + 5*share, 300
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 0))
		o := Options{}
		if seed%2 == 1 {
			o.Flush = func() time.Duration { return time.Millisecond }
		}
		h := New(o)
		var writers []*writer
		var members []*Member
		for range clients {
			w := &writer{slow: r.IntN(3) == 0}
			writers, members = append(writers, w), append(members, joinWriter(h, queue.Options{Messages: 2 * messages}, w))
		}
		var others sync.WaitGroup
		for i := range clients / 4 {
			at := time.Duration(r.IntN(3000)) * time.Microsecond
			others.Go(func() {
				time.Sleep(at)
				if w := writers[i]; i%2 == 0 {
					w.ended.Store(true)
				} else {
					w.left.Store(true)
					members[i].Leave()
				}
			})
		}
		for i := range messages {
			h.Message(zmtp.Message{[]byte("a"), []byte(strconv.Itoa(i))})
			if r.IntN(3) == 0 {
				h.Flush()
			}
		}
		others.Wait()
		for _, m := range members {
			m.Leave() // delivers what waits
		}
		all := make([]int, messages)
		for i := range all {
			all[i] = i
		}
		for i, w := range writers {
			cut := w.ended.Load() || w.left.Load()
			// Those who help may not have come to it yet. To one whose login has ended they write nothing more.
			waitUntil(t, func() bool { return w.turns.Load() == 0 && (cut || len(w.numbers(t)) >= messages) })
			w.running.Wait()
			got, want := w.numbers(t), all
			if cut {
				want = all[:len(got)]
			}
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: client %d: %v", seed, i, cmp.Diff(want, got))
			}
		}
	}
}

// waitUntil waits for what another goroutine is about to do.
func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timeout")
		}
	}
}

// TestPassHoldsNoLock: while clients are written to, others subscribe, and the client whose turn it
// is leaves.
func TestPassHoldsNoLock(t *testing.T) {
	h := New(Options{})
	var first, second writer
	m := joinWriter(h, queue.Options{}, &first)
	other := joinWriter(h, queue.Options{}, &second)
	defer other.Leave()
	first.onWrite = func() {
		m.Leave()
		if err := other.Subscribe([]byte("b"), false); err != nil {
			t.Error(err)
		}
		if n := h.Stats().Members; n != 1 {
			t.Errorf("%d members, want 1", n)
		}
	}
	publish(h, "a,1")
	if diff := cmp.Diff([]int{1}, first.numbers(t)); diff != "" {
		t.Errorf("what was queued before the client left: %s", diff)
	}
	if diff := cmp.Diff([]int{1}, second.numbers(t)); diff != "" {
		t.Error(diff)
	}
	publish(h, "a,2")
	if diff := cmp.Diff([]int{1}, first.numbers(t)); diff != "" {
		t.Errorf("after the client has left: %s", diff)
	}
}

// TestPassOnce: each of the clients that had nothing waiting is written to once.
func TestPassOnce(t *testing.T) {
	for _, n := range []int{1, alone, alone + share - 1, alone + share, alone + 10*share} {
		h := New(Options{})
		writers := make([]writer, n)
		for i := range writers {
			defer joinWriter(h, queue.Options{}, &writers[i]).Leave()
		}
		publish(h, "a,1", "a,2")
		for i := range writers {
			w := &writers[i]
			waitUntil(t, func() bool { return w.writes.Load() > 0 && w.turns.Load() == 0 })
			if diff := cmp.Diff([]int{1, 2}, w.numbers(t)); diff != "" || w.wakes.Load() > 0 {
				t.Errorf("%d clients, number %d: %d wakes, %s", n, i, w.wakes.Load(), diff)
			}
		}
		for i := range writers {
			if w := writers[i].writes.Load(); w != 1 {
				t.Errorf("%d clients: %d writes to number %d", n, w, i)
			}
		}
	}
}

// TestPassAnnounces: all clients are told of what they get before the first is written to.
func TestPassAnnounces(t *testing.T) {
	h := New(Options{})
	var writers [3]writer
	for i := range writers {
		writers[i].onWrite = func() {
			for j := range writers {
				if n := writers[j].announced.Load(); n != 1 {
					t.Errorf("client %d is written to when client %d was told %d times", i, j, n)
				}
			}
		}
		defer joinWriter(h, queue.Options{}, &writers[i]).Leave()
	}
	publish(h, "a,1")
}

// TestBusyUpstream: much is left to writers of their own, so that the upstream is read meanwhile.
func TestBusyUpstream(t *testing.T) {
	h := New(Options{})
	var w writer
	defer joinWriter(h, queue.Options{}, &w).Leave()
	publish(h, fmt.Sprintf("a,%0*d", gatherBytes, 1))
	if writes, wakes := w.writes.Load(), w.wakes.Load(); writes != 0 || wakes != 1 {
		t.Errorf("%d writes and %d wakes", writes, wakes)
	}
	w.running.Wait()
}

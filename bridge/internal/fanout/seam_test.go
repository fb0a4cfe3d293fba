package fanout

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// reader is a client with its writer: it takes a few messages at a time, and stops after some.
type reader struct {
	q    *queue.Queue
	wake chan struct{}

	numbers  []uint64
	at       []byte // of the last message
	resumed  int
	complete bool
	live     int
	room     int // in the batch that is being filled
}

func (r *reader) Ended() bool   { return false }
func (r *reader) Overflow()     {}
func (r *reader) Missed(uint64) { panic("nothing is missed") }
func (r *reader) Lost(n uint64) {
	panic(fmt.Sprintf("%d messages lost, although the log has them", n))
}

func (r *reader) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reader) Announce() {}
func (r *reader) Write()    { r.Wake() }

func (r *reader) Message(m zmtp.Message, at []byte) error {
	r.numbers = append(r.numbers, binary.BigEndian.Uint64(m[1]))
	r.at = append(r.at[:0], at...)
	r.room--
	return nil
}

func (r *reader) Replayed(m zmtp.Message, at []byte, _ time.Time) error { return r.Message(m, at) }

func (r *reader) Resumed(_ []byte, recovered, _ bool) error {
	r.resumed++
	r.complete = r.complete || recovered
	return nil
}

func (r *reader) Live([]byte) error         { r.live++; return nil }
func (r *reader) Encoded([]byte)            { panic("the codec is nil") }
func (r *reader) Unsubscribed([]byte) error { return nil }
func (r *reader) Full() bool                { return r.room <= 0 }

// read takes messages until it has n or more, or done is closed and nothing is left.
func (r *reader) read(n int, done <-chan struct{}) {
	for len(r.numbers) < n {
		r.room = 1 + rand.IntN(7)
		before := r.room
		if r.q.Next(r); r.room < before {
			continue
		}
		select {
		case <-r.wake:
		case <-done:
			r.room = 1 << 20
			r.q.Next(r)
			return
		}
	}
}

// seamRun has clients come, go and come back while messages are published, and returns the first
// fault: a client that has not received exactly what was published of its topics, in order.
func seamRun(t *testing.T, seam func(*catchUp)) (fault string) {
	log, err := history.New(history.Options{Topics: [][]byte{[]byte("")}, LastValues: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	h.seam = seam
	h.Keep([][]byte{nil})
	const messages = 3000
	topics := []string{"a/1", "a/2", "b/1", "c"}
	published := make([][]byte, messages) // topic of each
	for i := range published {
		published[i] = []byte(topics[rand.IntN(len(topics))])
	}
	done := make(chan struct{})
	var clients sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		clients.Go(func() {
			sets := [][]string{{"a/"}, {"b/", "a/2"}, {""}, {"c", "a/1"}}
			set := sets[rand.IntN(len(sets))]
			var got []uint64
			var at []byte
			for over := false; !over; {
				r := &reader{wake: make(chan struct{}, 1)}
				r.q = queue.New(queue.Options{Messages: 1 + rand.IntN(20), OnFull: queue.Replay}, r)
				m := h.Join(r.q, MemberOptions{})
				want := make([][]byte, len(set))
				for i, s := range set {
					want[i] = []byte(s)
				}
				if err := m.Resume(at, true, false, want...); err != nil {
					panic(err)
				}
				r.Wake()
				r.read(1+rand.IntN(messages/4), done)
				select {
				case <-done:
					r.room = 1 << 20
					r.q.Next(r)
					over = true
				default:
				}
				m.Leave()
				got = append(got, r.numbers...)
				if len(r.at) > 0 {
					at = r.at
				}
			}
			want := []uint64{}
			for i, topic := range published {
				if slices.ContainsFunc(set, func(s string) bool { return len(topic) >= len(s) && string(topic[:len(s)]) == s }) {
					want = append(want, uint64(i))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got, want) && fault == "" {
				fault = fmt.Sprintf("topics %q: got %d messages, want %d; first difference at %d", set, len(got), len(want), difference(got, want))
			}
		})
	}
	for i, topic := range published {
		h.Message(zmtp.Message{topic, binary.BigEndian.AppendUint64(nil, uint64(i))})
		if rand.IntN(10) == 0 {
			h.Flush()
			runtime.Gosched()
		}
	}
	h.Flush()
	close(done)
	clients.Wait()
	return fault
}

func difference(a, b []uint64) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestSeam: what a client reads from the log and what it gets live is everything that was
// published, each message once, whenever it comes back and however slow it is.
func TestSeam(t *testing.T) {
	paused := func(c *catchUp) {
		pause(c)
		c.rejoin()
		pause(c)
	}
	for range 10 {
		for _, seam := range []func(*catchUp){(*catchUp).rejoin, paused} {
			if fault := seamRun(t, seam); fault != "" {
				t.Fatal(fault)
			}
		}
	}
}

// pause lets others publish before the member goes on, which holds the hub's lock.
func pause(c *catchUp) {
	h := c.member.hub
	h.mu.Unlock()
	for range 100 {
		runtime.Gosched()
	}
	h.mu.Lock()
}

// TestSeamMutants: TestSeam finds a seam that is wrong.
func TestSeamMutants(t *testing.T) {
	mutants := map[string]func(*catchUp){
		"the queue takes messages before those that wait are delivered": func(c *catchUp) {
			h := c.member.hub
			c.member.queue.CaughtUp()
			pause(c) // else nothing waits on one processor
			h.deliver()
			c.reader.Cut(h.log.End())
		},
		"the reader reads beyond the cut": func(c *catchUp) {
			c.member.hub.deliver()
			c.member.queue.CaughtUp()
			pause(c)
		},
	}
	for name, seam := range mutants {
		t.Run(name, func(t *testing.T) {
			for range 200 {
				if seamRun(t, seam) != "" {
					return
				}
			}
			t.Error("not found in 200 runs")
		})
	}
}

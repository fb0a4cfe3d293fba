package fanout

import (
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// gapModel is what a fickle client has to be told of gaps.
type gapModel struct {
	gaps    []modelGap
	made    map[string]int // the number of each subscription
	number  int
	resumes bool // the first RESUMED is the answer to its resume
	deaf    bool // it takes no notice of what it is told while it is behind
}

// modelGap is a run of gaps without a message between them.
type modelGap struct {
	first, last uint64         // positions at which the client can be told
	before      int            // the message that follows
	made        map[string]int // the client's subscriptions at the gaps
	told, most  int
	due         bool // the client was not told of the last of the gaps
}

// subscribed notes a subscription.
func (f *fickle) subscribed(prefix string) {
	f.since[prefix] = len(f.topics)
	f.number++
	f.made[prefix] = f.number
}

// gap is a backend that was away.
func (f *fickle) gap() {
	f.hub.Gap("test")
	n := len(f.gaps)
	if n == 0 || f.gaps[n-1].before != len(f.topics) {
		f.gaps = append(f.gaps, modelGap{first: f.hub.log.End().Sequence, before: len(f.topics), made: make(map[string]int)})
		n++
	}
	g := &f.gaps[n-1]
	g.last = f.hub.log.End().Sequence
	for prefix := range f.since {
		g.made[prefix] = f.made[prefix]
	}
	if len(f.since) > 0 {
		g.most++
		g.due = true
	}
}

// Resumed checks that the client is told of a gap after all that was published before it.
func (f *fickle) Resumed(at []byte, recovered, gap bool) error {
	f.room--
	var p history.Position
	if err := p.UnmarshalBinary(at); err != nil {
		f.fail("resumed at %x", at)
	}
	if f.resumed++; f.resumes && f.resumed == 1 {
		if gap != (len(f.gaps) > 0) {
			f.fail("resumed: gap %v, and there were %d", gap, len(f.gaps))
		}
		for i := range f.gaps {
			f.gaps[i].told++
			f.gaps[i].most++
			f.gaps[i].due = false
		}
		return nil
	}
	if f.deaf && f.q.Behind() {
		return nil
	}
	i := slices.IndexFunc(f.gaps, func(g modelGap) bool { return g.first <= p.Sequence && p.Sequence <= g.last })
	switch {
	case !recovered || !gap:
		f.fail("resumed: recovered %v, gap %v", recovered, gap)
	case i < 0:
		f.fail("told of a gap at %d, where there is none", p.Sequence)
	default:
		f.tell(&f.gaps[i], p.Sequence)
		for j := range i { // what was delivered since then has shown that it was told in time
			f.gaps[j].due = false
		}
	}
	return nil
}

// tell checks that the client is told of g at that position, in its place.
func (f *fickle) tell(g *modelGap, at uint64) {
	g.due = g.due && at < g.last
	if g.told++; g.told > g.most {
		f.fail("told %d times of the gap before message %d, want at most %d", g.told, g.before, g.most)
	}
	f.reachedBefore(g.before)
	for n := g.before; n < len(f.topics); n++ {
		if f.delivered[n] {
			f.fail("told of the gap before message %d after message %d", g.before, n)
		}
	}
}

// checkTold checks that the client was told of the gaps before message n.
func (f *fickle) checkTold(n int) {
	for _, g := range f.gaps {
		if g.before > n || !g.due {
			continue
		}
		for prefix, number := range g.made {
			if _, still := f.since[prefix]; still && f.made[prefix] == number {
				f.fail("message %d delivered, and not told of the gap before message %d", n, g.before)
			}
		}
	}
}

// reachedBefore checks that the client has everything before message n.
func (f *fickle) reachedBefore(n int) {
	for i, topic := range f.topics[:n] {
		if f.matched[i] && !f.delivered[i] && f.covered(topic, i) {
			f.fail("told to have everything before message %d, without message %d of %s", n, i, topic)
		}
	}
}

// nothing is a puller without messages.
type nothing struct{}

func (nothing) Next(queue.Batch) bool { return true }
func (nothing) Held() int64           { return 0 }

// TestGapMutants: TestSeamModel finds clients that are not told of a gap, or not in its place.
func TestGapMutants(t *testing.T) {
	mutants := map[string]func(*fickle){
		"not told": func(f *fickle) { f.hub.tellGap = func(*Hub, history.Position) {} },
		"told before those that wait are delivered": func(f *fickle) {
			f.hub.tellGap = func(h *Hub, at history.Position) {
				p, _ := at.AppendBinary(nil)
				for _, m := range h.followers {
					m.missed(p)
				}
			}
		},
		"told twice": func(f *fickle) {
			f.hub.tellGap = func(h *Hub, at history.Position) {
				h.tellGapNow(at)
				for _, m := range h.followers { // or the queue takes both for one
					_ = m.queue.Insert(nothing{})
				}
				h.tellGapNow(at)
			}
		},
		"told of the first of several only": func(f *fickle) {
			last := -1
			f.hub.tellGap = func(h *Hub, at history.Position) {
				if len(f.topics) > last {
					h.tellGapNow(at)
				}
				last = len(f.topics)
			}
		},
		"not told while it is behind": func(f *fickle) { f.deaf = true },
	}
	for name, change := range mutants {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(300) {
				if fault := fickleRun(t, seed, change); fault != "" {
					t.Log(fault)
					return
				}
			}
			t.Error("not found in 300 runs")
		})
	}
}

package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sharedModel is an obvious model of queues with a budget and without limits of their own.
type sharedModel struct {
	limit  int64
	queues []*budgetModel
}

// budgetModel is one of them. Each message is in a chunk of its own.
type budgetModel struct {
	policy    Policy
	waiting   []string
	dropped   uint64
	conflates bool
	closed    bool
}

func (m *budgetModel) size() (n int64) {
	for _, msg := range m.waiting {
		n += int64(len(msg)) + 1 + itemCost
	}
	return n
}

func (m *budgetModel) add(msg string) {
	same := func(old string) bool { return old[:2] == msg[:2] }
	if i := slices.IndexFunc(m.waiting, same); m.conflates && i >= 0 {
		m.waiting[i] = msg
		m.dropped++
		return
	}
	m.waiting = append(m.waiting, msg)
}

func (m *sharedModel) held() (n int64) {
	for _, q := range m.queues {
		n += q.size()
	}
	return n
}

// put puts msg into q, by the rules of Budget.
func (m *sharedModel) put(q *budgetModel, msg string) {
	if q.closed {
		return
	}
	need := int64(0)
	if q.policy.sheds() {
		q.add(msg)
	} else {
		need = int64(len(msg)) + 1 + itemCost
	}
	for m.held()+need > m.limit {
		f := m.fullest(q.size())
		if f == nil {
			break
		}
		f.shed(f.size() - (m.held() + need - m.limit))
	}
	switch {
	case q.policy.sheds():
	case m.held()+need <= m.limit || len(q.waiting) == 0:
		q.add(msg)
	default:
		q.dropped++
	}
}

func (m *sharedModel) fullest(least int64) (f *budgetModel) {
	for _, q := range m.queues {
		if q.policy.sheds() && len(q.waiting) > 1 && q.size() >= least && (f == nil || q.size() > f.size()) {
			f = q
		}
	}
	return f
}

func (m *budgetModel) shed(target int64) {
	if m.policy == Disconnect {
		m.closed, m.waiting = true, nil
		return
	}
	if m.policy == Conflate && !m.conflates {
		m.conflates = true
		all := m.waiting
		m.waiting = nil
		for _, msg := range all {
			m.add(msg)
		}
	}
	for len(m.waiting) > 1 && m.size() > target {
		m.waiting = m.waiting[1:]
		m.dropped++
	}
}

// TestBudgetModel does the same random operations on queues with a budget and on the model,
// and compares them.
func TestBudgetModel(t *testing.T) {
	policies := []Policy{DropOldest, DropNewest, Conflate, Disconnect}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &sharedModel{limit: 1000 + r.Int64N(20000)}
		b := NewBudget(m.limit, nil)
		var queues []*Queue
		var owners []*owner
		for range 2 + r.IntN(6) {
			policy := policies[r.IntN(len(policies))]
			o := new(owner)
			m.queues = append(m.queues, &budgetModel{policy: policy})
			queues = append(queues, New(Options{OnFull: policy, Codec: lines{}, Budget: b}, o))
			owners = append(owners, o)
		}
		for step := range 300 {
			i := r.IntN(len(queues))
			at := fmt.Sprintf("seed %d, step %d, queue %d (%v)", seed, step, i, m.queues[i].policy)
			if r.IntN(20) == 0 {
				want := m.queues[i].waiting
				if diff := cmp.Diff(want, read(queues[i]), cmp.Comparer(slices.Equal[[]string])); diff != "" {
					t.Fatalf("%s: %s", at, diff)
				}
				m.queues[i].waiting, m.queues[i].conflates = nil, false
			} else {
				msg := fmt.Sprintf("%c,%d.%s", 'a'+r.IntN(8), step, strings.Repeat("x", r.IntN(1500)))
				c := chunk(lines{}, msg)
				_ = queues[i].PutChunk(c) // of a closed queue, or one that closes now: compared below
				c.Release()
				m.put(m.queues[i], msg)
			}
			if b.Held() != m.held() {
				t.Fatalf("%s: %d bytes are held, want %d", at, b.Held(), m.held())
			}
			for i, q := range m.queues {
				closed := 0
				if q.closed {
					closed = 1
				}
				n, _ := queues[i].Len()
				if n != len(q.waiting) || queues[i].Dropped() != q.dropped || owners[i].lost.Load() != q.dropped || owners[i].overflows != closed {
					t.Fatalf("%s: queue %d (%v): %d wait, %d dropped, %d reported, %d overflows; want %d, %d, %d", at, i, q.policy,
						n, queues[i].Dropped(), owners[i].lost.Load(), owners[i].overflows, len(q.waiting), q.dropped, closed)
				}
			}
		}
		for _, q := range queues {
			q.Close()
		}
		if b.Held() != 0 || len(b.queues) != 0 {
			t.Fatalf("seed %d: closed queues hold %d bytes, %d are left", seed, b.Held(), len(b.queues))
		}
	}
}

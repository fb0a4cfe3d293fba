package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// owner is an Owner that counts. Its functions may be nil.
type owner struct {
	ended     func() bool
	wake      func()
	lost      atomic.Uint64
	missed    atomic.Uint64
	overflows int
	announced int
	writes    int
}

func (o *owner) Ended() bool { return o.ended != nil && o.ended() }

func (o *owner) Wake() {
	if o.wake != nil {
		o.wake()
	}
}

func (o *owner) Announce() { o.announced++ }
func (o *owner) Write()    { o.writes++ }

func (o *owner) Missed(n uint64) { o.missed.Add(n) }

func (o *owner) Lost(n uint64) { o.lost.Add(n) }
func (o *owner) Overflow()     { o.overflows++ }

// newQueue returns a queue whose owner does nothing.
func newQueue(o Options) *Queue { return New(o, new(owner)) }

// lines is a codec for people: frames joined by commas, one message a line.
type lines struct{}

func (lines) AppendMessage(dst []byte, m zmtp.Message, _ []byte) []byte {
	for i, f := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, f...)
	}
	return append(dst, '\n')
}

// textBatch is a batch that is full after limit bytes; 0 means never.
type textBatch struct {
	noHistory
	limit int
	text  []byte
}

func (p *textBatch) Message(m zmtp.Message, _ []byte) error {
	p.text = lines{}.AppendMessage(p.text, m, nil)
	return nil
}

func (p *textBatch) Encoded(o []byte) { p.text = append(p.text, o...) }

func (p *textBatch) Unsubscribed(topic []byte) error {
	p.text = fmt.Appendf(p.text, "-%s\n", topic)
	return nil
}

func (p *textBatch) Full() bool { return p.limit > 0 && len(p.text) >= p.limit }

func (p *textBatch) lines() []string { return strings.Fields(string(p.text)) }

// read takes everything from q.
func read(q *Queue) []string {
	var p textBatch
	q.Next(&p)
	q.Next(&p) // releases what was taken
	return p.lines()
}

func message(frames ...string) zmtp.Message {
	var m zmtp.Message
	for _, f := range frames {
		m = append(m, []byte(f))
	}
	return m
}

// chunk returns a chunk of messages written as "topic,rest".
func chunk(codec Codec, msgs ...string) *Chunk {
	c := NewChunk(codec, 0)
	for _, m := range msgs {
		c.Append(message(strings.Split(m, ",")...))
	}
	return c
}

// TestPolicies fills queues of three messages.
func TestPolicies(t *testing.T) {
	tests := []struct {
		name    string
		o       Options
		put     [][]string // chunks
		want    []string
		dropped uint64
	}{
		{"room for all", Options{Messages: 3}, [][]string{{"a,1", "b,2"}, {"c,3"}}, []string{"a,1", "b,2", "c,3"}, 0},
		{"oldest", Options{Messages: 3}, [][]string{{"a,1", "b,2"}, {"c,3", "d,4"}}, []string{"b,2", "c,3", "d,4"}, 1},
		{"oldest, whole item", Options{Messages: 3}, [][]string{{"a,1"}, {"b,2"}, {"c,3"}, {"d,4", "e,5"}}, []string{"c,3", "d,4", "e,5"}, 2},
		{"oldest, chunk longer than the queue", Options{Messages: 3}, [][]string{{"a,1"}, {"b,2", "c,3", "d,4", "e,5"}}, []string{"c,3", "d,4", "e,5"}, 2},
		{"oldest, bytes at the limit", Options{Bytes: 12}, [][]string{{"a,1", "b,2"}, {"c,3"}}, []string{"a,1", "b,2", "c,3"}, 0},
		{"oldest, bytes over the limit", Options{Bytes: 11}, [][]string{{"a,1", "b,2"}, {"c,3"}}, []string{"b,2", "c,3"}, 1},
		{"oldest, one longer than the limit", Options{Bytes: 2}, [][]string{{"a,1"}}, []string{"a,1"}, 0},
		{"oldest, the newest longer than the limit", Options{Bytes: 5}, [][]string{{"a,1"}, {"b,22222"}}, []string{"b,22222"}, 1},
		{"newest", Options{Messages: 3, OnFull: DropNewest}, [][]string{{"a,1", "b,2"}, {"c,3", "d,4"}}, []string{"a,1", "b,2", "c,3"}, 1},
		{"newest, bytes", Options{Bytes: 11, OnFull: DropNewest}, [][]string{{"a,1", "b,2", "c,3"}}, []string{"a,1", "b,2"}, 1},
		{"newest, bytes, a short one follows", Options{Bytes: 11, OnFull: DropNewest}, [][]string{{"a,1"}, {"b,2222222", "c,3"}}, []string{"a,1", "c,3"}, 1},
		{"newest, one longer than the limit", Options{Bytes: 2, OnFull: DropNewest}, [][]string{{"a,1", "b,2"}}, []string{"a,1"}, 1},
		{"conflate with room", Options{Messages: 3, OnFull: Conflate}, [][]string{{"a,1", "a,2"}, {"a,3"}}, []string{"a,1", "a,2", "a,3"}, 0},
		{"conflate", Options{Messages: 3, OnFull: Conflate}, [][]string{{"a,1", "b,2"}, {"c,3", "a,4"}}, []string{"a,4", "b,2", "c,3"}, 1},
		{"conflate waiting messages", Options{Messages: 3, OnFull: Conflate}, [][]string{{"a,1", "b,2", "a,3"}, {"c,4"}}, []string{"a,3", "b,2", "c,4"}, 1},
		{"conflate, all topics differ", Options{Messages: 3, OnFull: Conflate}, [][]string{{"a,1", "b,2"}, {"c,3", "d,4"}}, []string{"b,2", "c,3", "d,4"}, 1},
		{"conflate, one topic again and again", Options{Messages: 1, OnFull: Conflate}, [][]string{{"a,1"}, {"a,2"}, {"b,3"}, {"a,4"}, {"a,5"}}, []string{"a,5"}, 4},
	}
	for _, codec := range []Codec{nil, lines{}} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/%v", tt.name, codec != nil), func(t *testing.T) {
				if codec == nil && tt.o.Bytes > 0 {
					t.Skip("limits are in bytes of the codec lines")
				}
				tt.o.Codec = codec
				o := new(owner)
				q := New(tt.o, o)
				for _, msgs := range tt.put {
					c := chunk(codec, msgs...)
					if err := q.PutChunk(c); err != nil {
						t.Fatal(err)
					}
					c.Release()
				}
				if diff := cmp.Diff(tt.want, read(q)); diff != "" {
					t.Error(diff)
				}
				if q.Dropped() != tt.dropped || o.lost.Load() != tt.dropped {
					t.Errorf("dropped %d, reported %d, want %d", q.Dropped(), o.lost.Load(), tt.dropped)
				}
			})
		}
	}
}

// model is an obvious model of a queue.
type model struct {
	max       int
	policy    Policy
	waiting   []string
	dropped   uint64
	conflates bool // since it was full
}

func (m *model) put(msgs []string) {
	if len(m.waiting) == 0 {
		m.conflates = false
	}
	if !m.conflates && len(m.waiting)+len(msgs) <= m.max {
		m.waiting = append(m.waiting, msgs...)
		return
	}
	switch m.policy {
	case DropNewest:
		n := m.max - len(m.waiting)
		m.waiting = append(m.waiting, msgs[:n]...)
		m.dropped += uint64(len(msgs) - n)
		return
	case Conflate:
		m.conflates = true
		all := append(m.waiting, msgs...)
		m.waiting = nil
		for _, msg := range all {
			same := func(old string) bool { return old[:2] == msg[:2] }
			if i := slices.IndexFunc(m.waiting, same); i >= 0 {
				m.waiting[i] = msg
				m.dropped++
			} else {
				m.waiting = append(m.waiting, msg)
			}
		}
	default:
		m.waiting = append(m.waiting, msgs...)
	}
	if over := len(m.waiting) - m.max; over > 0 {
		m.waiting = m.waiting[over:]
		m.dropped += uint64(over)
	}
}

// TestModel does the same random operations on a queue and on the model and compares them.
func TestModel(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest, Conflate} {
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, uint64(policy)))
			m := &model{max: 1 + r.IntN(60), policy: policy}
			codec := []Codec{nil, lines{}}[r.IntN(2)]
			q := newQueue(Options{Messages: m.max, OnFull: policy, Codec: codec})
			for step := range 200 {
				if r.IntN(5) == 0 {
					if got := read(q); !slices.Equal(m.waiting, got) {
						t.Fatalf("%v, seed %d, step %d: %s", policy, seed, step, cmp.Diff(m.waiting, got))
					}
					m.waiting = nil
					continue
				}
				var msgs []string
				for i := range 1 + r.IntN(20) {
					msgs = append(msgs, fmt.Sprintf("%c,%d.%d", 'a'+r.IntN(8), step, i))
				}
				// A range in the middle, like a group's part of a chunk.
				c := chunk(codec, slices.Concat([]string{"x"}, msgs, []string{"y"})...)
				if err := putOrAdd(q, c, 1, 1+len(msgs), r); err != nil {
					t.Fatal(err)
				}
				c.Release()
				m.put(msgs)
				if n, _ := q.Len(); n != len(m.waiting) || q.Dropped() != m.dropped {
					t.Fatalf("%v, seed %d, step %d: %d wait, %d dropped; want %d, %d", policy, seed, step, n, q.Dropped(), len(m.waiting), m.dropped)
				}
			}
		}
	}
}

func TestDisconnect(t *testing.T) {
	o := new(owner)
	q := New(Options{Messages: 2, OnFull: Disconnect, Codec: lines{}}, o)
	two := chunk(lines{}, "a,1", "a,2")
	if err := q.PutChunk(two); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(message("a", "3")); !errors.Is(err, ErrFull) {
		t.Errorf("put into a full queue: %v, want ErrFull", err)
	}
	if err := q.Put(message("a", "4")); !errors.Is(err, ErrClosed) {
		t.Errorf("put into a closed queue: %v, want ErrClosed", err)
	}
	if got := read(q); len(got) != 0 || o.overflows != 1 {
		t.Errorf("a closed queue gave %q, overflows %d", got, o.overflows)
	}
	if n := two.refs.Load(); n != 1 {
		t.Errorf("the chunk has %d references, want that of its maker", n)
	}
}

// TestEnded checks that nothing is given to the writer after the end, also in the middle of a
// batch.
func TestEnded(t *testing.T) {
	calls := 0
	q := New(Options{Codec: lines{}}, &owner{ended: func() bool {
		calls++
		return calls > 2
	}})
	for _, m := range []string{"a", "b", "c"} {
		q.Put(message(m))
	}
	if diff := cmp.Diff([]string{"a", "b"}, read(q)); diff != "" {
		t.Error(diff)
	}
	q.Put(message("d"))
	if late := read(q); len(late) > 0 {
		t.Errorf("%q after the end", late)
	}
}

// TestTaken checks that what a batch took stays unchanged until the next call, and that an empty
// queue holds no memory.
func TestTaken(t *testing.T) {
	q := newQueue(Options{Codec: lines{}})
	c := chunk(lines{}, "a,1", "a,2")
	q.PutChunk(c)
	c.Release()
	var p textBatch
	q.Next(&p)
	if c.refs.Load() != 1 {
		t.Errorf("%d references to a chunk that is being written, want 1", c.refs.Load())
	}
	q.Close()
	if c.refs.Load() != 1 {
		t.Error("Close released what is being written")
	}
	q.Next(&p)
	if c.refs.Load() != 0 || q.items.head != nil || q.writing != nil {
		t.Errorf("an empty queue holds memory: %d references", c.refs.Load())
	}
}

// TestConflatedMemory checks that a message that waits for long does not keep a much larger chunk
// alive.
func TestConflatedMemory(t *testing.T) {
	q := newQueue(Options{Messages: 2, OnFull: Conflate, Codec: lines{}})
	big := chunk(lines{}, "a,1", "b,2", "a,3", "a,4", "b,5")
	q.PutChunk(big)
	if n := big.refs.Load(); n != 1 {
		t.Errorf("%d references to the chunk, want only that of its maker", n)
	}
	if diff := cmp.Diff([]string{"a,4", "b,5"}, read(q)); diff != "" {
		t.Error(diff)
	}
}

// TestFullBatch checks that messages that the batch encodes are given one by one.
func TestFullBatch(t *testing.T) {
	q := newQueue(Options{})
	c := chunk(nil, "a,1", "a,2", "a,3")
	q.PutChunk(c)
	c.Release()
	for _, want := range []string{"a,1", "a,2", "a,3"} {
		p := textBatch{limit: 1}
		q.Next(&p)
		if diff := cmp.Diff([]string{want}, p.lines()); diff != "" {
			t.Error(diff)
		}
	}
	if got := read(q); len(got) > 0 {
		t.Errorf("%q was given twice", got)
	}
}

// TestFrames checks that frames of all lengths are read as they were appended.
func TestFrames(t *testing.T) {
	want := zmtp.Message{{}, []byte("topic"), {0}, make([]byte, 70000), {}}
	c := NewChunk(nil, 0)
	c.Append(message("before"))
	c.Append(want)
	if diff := cmp.Diff(want, c.Frames(nil, 1)); diff != "" {
		t.Error(diff)
	}
}

func TestParsePolicy(t *testing.T) {
	for p := DropOldest; p <= Block; p++ {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: got %v, %v", p, got, err)
		}
	}
	for _, bad := range []string{"", "drop", "Block", Policy(9).String()} {
		if _, err := ParsePolicy(bad); err == nil {
			t.Errorf("%q is accepted as a policy", bad)
		}
	}
}

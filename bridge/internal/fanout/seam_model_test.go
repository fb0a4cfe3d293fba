package fanout

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// only is a filter that lets topics with this prefix pass.
type only string

func (o only) Allows(topic []byte) bool { return strings.HasPrefix(string(topic), string(o)) }

// fickle is a client that subscribes, unsubscribes and asks for last values while it is behind and
// while it is live, also in the middle of a batch, and the model of what it has to receive.
type fickle struct {
	*reader
	rand   *rand.Rand
	budget *queue.Budget
	hub    *Hub
	member *Member
	filter Filter

	topics    []string       // of all messages that were published
	since     map[string]int // subscriptions, and the message before which each was made
	matched   []bool         // a message was subscribed to when it was published
	delivered []bool
	asked     map[string][]int // the messages before which the last values of a topic were asked for
	had       map[string]int   // the newest of each topic that was delivered; messages begin with 1
	told      int              // how many messages it was told to have everything of
	fault     string

	sequences []uint64 // of all messages
	gapModel
}

var modelTopics = []string{"a/1", "a/2", "b", "c"}
var modelPrefixes = []string{"a/", "a/1", "b", "c", ""}

// step does something at random.
func (f *fickle) step() {
	prefix := modelPrefixes[f.rand.IntN(len(modelPrefixes))]
	_, subscribed := f.since[prefix]
	switch n := f.rand.IntN(24); {
	case n < 10:
		f.publish()
	case n < 12:
		f.hub.Flush()
	case n < 15:
		if err := f.member.Subscribe([]byte(prefix), f.filter != nil); err != nil {
			panic(err)
		}
		if !subscribed {
			f.subscribed(prefix)
		}
	case n < 17:
		if err := f.member.SubscribeLast([]byte(prefix), f.filter != nil); err != nil {
			panic(err)
		}
		if !subscribed {
			f.subscribed(prefix)
		}
		f.asked[prefix] = append(f.asked[prefix], len(f.topics))
	case n >= 22:
		f.gap()
	case n == 20:
		f.round()
	case n == 21: // others of its connection need room
		f.budget.Take(1 << 40)
		f.budget.Give(1 << 40)
	default:
		f.member.Unsubscribe([]byte(prefix))
		delete(f.since, prefix)
		f.asked[prefix] = append(f.asked[prefix], 0) // it need not get them any more
	}
}

// round has all followers visited twice, so that an idle one is told how far it has everything.
func (f *fickle) round() {
	for range 2 * rounds {
		f.hub.visit()
	}
}

// Live checks that the client has everything up to at.
func (f *fickle) Live(at []byte) error {
	var p history.Position
	if err := p.UnmarshalBinary(at); err != nil {
		f.fail("live at %x", at)
	}
	f.told, _ = slices.BinarySearch(f.sequences, p.Sequence)
	f.reachedBefore(f.told)
	f.room--
	return nil
}

func (f *fickle) publish() {
	topic := modelTopics[f.rand.IntN(len(modelTopics))]
	f.topics = append(f.topics, topic)
	f.matched = append(f.matched, f.covered(topic, len(f.topics)))
	f.delivered = append(f.delivered, false)
	f.sequences = append(f.sequences, f.hub.log.End().Sequence)
	f.hub.Message(zmtp.Message{[]byte(topic), binary.BigEndian.AppendUint64(nil, uint64(len(f.topics)-1))})
}

// covered reports whether a subscription made before that message matches topic.
func (f *fickle) covered(topic string, before int) bool {
	for prefix, since := range f.since {
		if since <= before && strings.HasPrefix(topic, prefix) {
			return f.filter == nil || f.filter.Allows([]byte(topic))
		}
	}
	return false
}

// Message checks one message. A last value is what was not to be delivered otherwise.
func (f *fickle) Message(m zmtp.Message, _ []byte) error {
	n, topic := int(binary.BigEndian.Uint64(m[1])), string(m[0])
	last := f.delivered[n] || !f.matched[n]
	switch {
	case last && !f.isLast(n):
		f.fail("message %d of %s delivered (before: %v, subscribed: %v) and not a last value that it asked for", n, topic, f.delivered[n], f.matched[n])
	case f.had[topic] > n+1, f.had[topic] == n+1 && !last:
		f.fail("message %d of %s delivered after %d", n, topic, f.had[topic]-1)
	}
	if !last {
		f.checkTold(n)
	}
	f.delivered[n] = f.delivered[n] || !last
	f.had[topic] = n + 1
	f.room--
	if f.rand.IntN(4) == 0 {
		f.step()
	}
	return nil
}

// isLast reports whether message n was the newest of its topic at a place where the client has
// asked for that.
func (f *fickle) isLast(n int) bool {
	for prefix, cuts := range f.asked {
		newest := func(cut int) bool { return n < cut && f.newest(f.topics[n], cut) == n }
		if strings.HasPrefix(f.topics[n], prefix) && slices.ContainsFunc(cuts, newest) {
			return f.filter == nil || f.filter.Allows([]byte(f.topics[n]))
		}
	}
	return false
}

func (f *fickle) newest(topic string, before int) int {
	for n := before - 1; n >= 0; n-- {
		if f.topics[n] == topic {
			return n
		}
	}
	return -1
}

func (f *fickle) Replayed(m zmtp.Message, at []byte, _ time.Time) error { return f.Message(m, at) }

func (f *fickle) fail(format string, args ...any) {
	if f.fault == "" {
		f.fault = fmt.Sprintf(format, args...)
	}
}

// finish lets the client read everything, and checks that nothing is missing.
func (f *fickle) finish() {
	f.hub.Flush()
	f.rand = rand.New(still{})
	f.room = 1 << 20
	f.q.Next(f)
	if f.q.Behind() {
		f.fail("still behind after everything was read")
	}
	for n, topic := range f.topics {
		if f.matched[n] && !f.delivered[n] && f.covered(topic, n) {
			f.fail("message %d of %s is missing", n, topic)
		}
	}
	f.checkTold(len(f.topics))
	f.round()
	f.q.Next(f)
	var last history.Position
	_ = last.UnmarshalBinary(f.q.Given(nil)) // zero if there is none
	if end := f.hub.log.End(); len(f.since) > 0 && last != end && f.told < len(f.topics) {
		f.fail("an idle client was told that it has everything of %d messages, not of %d", f.told, len(f.topics))
	}
	for prefix, cuts := range f.asked {
		cut := cuts[len(cuts)-1]
		for _, topic := range modelTopics {
			n := f.newest(topic, len(f.topics))
			since, subscribed := f.since[prefix]
			allowed := f.filter == nil || f.filter.Allows([]byte(topic))
			if subscribed && since <= cut && allowed && n >= 0 && n < cut && strings.HasPrefix(topic, prefix) && f.had[topic] != n+1 {
				f.fail("the last value of %s, message %d, is missing", topic, n)
			}
		}
	}
}

// still is a source of randomness with which a fickle client does nothing.
type still struct{}

func (still) Uint64() uint64 { return 1<<63 | 1<<31 }

// fickleRun returns the first fault of a client with that seed. change, if not nil, makes a mutant.
func fickleRun(t *testing.T, seed uint64, change func(*fickle)) string {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, LastValues: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	h.Keep([][]byte{nil})
	f := &fickle{
		reader: &reader{wake: make(chan struct{}, 1)}, rand: rand.New(rand.NewPCG(seed, 0)), hub: h,
		since: make(map[string]int), asked: make(map[string][]int), had: make(map[string]int),
		gapModel: gapModel{made: make(map[string]int)},
	}
	if change != nil {
		change(f)
	}
	if f.rand.IntN(3) == 0 {
		f.filter = only("a/")
	}
	f.budget = queue.NewBudget(1<<20, nil)
	f.q = queue.New(queue.Options{Messages: 1 + f.rand.IntN(5), OnFull: queue.Replay, Budget: f.budget}, f)
	for range f.rand.IntN(10) {
		f.publish()
	}
	f.member = h.Join(f.q, MemberOptions{Filter: f.filter, Follow: true})
	if f.rand.IntN(2) == 0 {
		f.since["a/"], f.resumes = 0, true
		for n, topic := range f.topics {
			f.matched[n] = f.covered(topic, n)
		}
		if err := f.member.Resume(nil, true, f.filter != nil, []byte("a/")); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 + f.rand.IntN(100) {
		if f.rand.IntN(6) > 0 {
			f.step()
			continue
		}
		f.room = 1 + f.rand.IntN(6)
		f.q.Next(f)
	}
	f.finish()
	f.member.Leave()
	return f.fault
}

// TestSeamModel: from a subscription on, each message of it is delivered once and in order as long
// as the client stays subscribed, whatever it does while it is behind; a last value is older than
// what follows of its topic.
func TestSeamModel(t *testing.T) {
	for seed := range uint64(3000) {
		if fault := fickleRun(t, seed, nil); fault != "" {
			t.Fatalf("seed %d: %s", seed, fault)
		}
	}
}

// TestLeaveWhileReading: a client that leaves while its writer reads the log or last values gets
// nothing more.
func TestLeaveWhileReading(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, LastValues: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, resume := range []bool{true, false} {
		h := New(Options{Log: log})
		h.Keep([][]byte{nil})
		h.Message(zmtp.Message{[]byte("a"), make([]byte, 8)})
		r := &reader{wake: make(chan struct{}, 1), room: 10}
		r.q = queue.New(queue.Options{OnFull: queue.Replay}, r)
		m := h.Join(r.q, MemberOptions{})
		if resume {
			err = m.Resume(nil, true, false, []byte("a"))
		} else {
			err = m.SubscribeLast([]byte("a"), false)
		}
		if err != nil {
			t.Fatal(err)
		}
		b := &leaving{r, m}
		if resume {
			r.q.Next(b) // leaves when it is told what is recovered
		} else {
			m.Leave()
			r.q.Next(b)
		}
		if len(r.numbers) > 0 {
			t.Errorf("resume %v: %d messages delivered after Leave", resume, len(r.numbers))
		}
	}
}

// leaving is a batch of a client that leaves as soon as it is told what is recovered.
type leaving struct {
	*reader
	m *Member
}

func (l *leaving) Resumed([]byte, bool, bool) error { l.m.Leave(); return nil }

// TestStepsAreBounded: a client that does not read and changes its mind for ever takes no memory.
func TestStepsAreBounded(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, LastValues: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	h.Keep([][]byte{nil})
	r := &reader{wake: make(chan struct{}, 1)}
	r.q = queue.New(queue.Options{OnFull: queue.Replay}, r)
	m := h.Join(r.q, MemberOptions{})
	if err := m.Resume(nil, true, false, []byte("a")); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		h.Message(zmtp.Message{[]byte("a"), make([]byte, 8)})
		if err := m.SubscribeLast([]byte("b"), false); err != nil {
			t.Fatal(err)
		}
		if err := m.SubscribeLast([]byte("a"), false); err != nil {
			t.Fatal(err)
		}
		m.Unsubscribe([]byte("b"))
	}
	if n := len(m.steps); n > 2 {
		t.Errorf("%d steps of 2 subscriptions", n)
	}
}

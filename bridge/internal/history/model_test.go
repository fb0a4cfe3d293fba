package history

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// fakeClock is the clock of a log in a test, in milliseconds.
type fakeClock struct{ wall, mono int64 }

func (c *fakeClock) read() (wall, mono int64) { return c.wall, c.mono }

func (c *fakeClock) pass(d time.Duration) {
	c.wall += d.Milliseconds()
	c.mono += d.Milliseconds()
}

func newClock() *fakeClock { return &fakeClock{wall: 1_700_000_000_000} }

func testLog(t *testing.T, o Options, c *fakeClock) *Log {
	t.Helper()
	l, err := open(o, c.read)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// modelMessage is a message of a model: it keeps all that were ever published.
type modelMessage struct {
	topic   string
	payload string
	mono    int64
	wall    int64
	gap     bool // a gap record, not a message
	skipped bool // was too large
	seq     uint64
}

// model is a log that never drops anything, and what Log says of its bounds.
type model struct {
	all       []modelMessage
	forgotten map[string]uint64
}

func (m *model) missing(from uint64) bool {
	for _, x := range m.all {
		if x.seq >= from && (x.gap || x.skipped) {
			return true
		}
	}
	return false
}

// tooLarge reports whether a message that a reader would have to give was too large.
func (m *model) tooLarge(from uint64, topics []string, f Filter) bool {
	return slices.ContainsFunc(m.all, func(x modelMessage) bool {
		return x.skipped && x.seq >= from && matchesAny(topics, x.topic) && (f == nil || f.Allows([]byte(x.topic)))
	})
}

// matchesAll reports whether all topics are kept completely.
func matchesAll(kept, topics []string) bool {
	return !slices.ContainsFunc(topics, func(topic string) bool { return !matchesAny(kept, topic) })
}

// read returns the sequences that a reader of the prefixes from that sequence on has to give.
func (m *model) read(from, to uint64, topics []string, f Filter) (want []modelMessage) {
	for _, x := range m.all {
		if x.seq >= from && x.seq < to && !x.gap && !x.skipped && matchesAny(topics, x.topic) &&
			(f == nil || f.Allows([]byte(x.topic))) && x.seq >= m.forgotten[x.topic] {
			want = append(want, x)
		}
	}
	return want
}

func matchesAny(topics []string, topic string) bool {
	for _, p := range topics {
		if strings.HasPrefix(topic, p) {
			return true
		}
	}
	return false
}

// last returns the last values below cut, given the floor of the log.
func (m *model) last(l *Log, now int64, cut uint64, topics []string) map[string]modelMessage {
	newest := make(map[string]modelMessage)
	for _, x := range m.all {
		if !x.gap {
			newest[x.topic] = x
		}
	}
	for topic, x := range newest {
		old := l.o.LastValueAge > 0 && now-x.mono > l.o.LastValueAge.Milliseconds()
		if x.skipped || x.seq >= cut || x.seq < l.floor || x.seq < m.forgotten[topic] || old || !matchesAny(topics, topic) {
			delete(newest, topic)
		}
	}
	return newest
}

// odd allows topics of odd length.
type odd struct{}

func (odd) Allows(topic []byte) bool { return len(topic)%2 == 1 }

// randomTopics are prefixes and topics with bytes of every kind.
func randomTopic(r *rand.Rand) string {
	return []string{"a/", "b", "\x00", "\xff\xff", "house/"}[r.IntN(5)] + strings.Repeat("x", r.IntN(2)) + fmt.Sprint(r.IntN(20))
}

func bytesOf(topics []string) (b [][]byte) {
	for _, t := range topics {
		b = append(b, []byte(t))
	}
	return b
}

// modelTest is a log beside its model.
type modelTest struct {
	*testing.T
	r     *rand.Rand
	l     *Log
	m     model
	clock *fakeClock
	kept  []string
}

func (t *modelTest) publish() {
	x := modelMessage{topic: randomTopic(t.r), payload: strings.Repeat("p", t.r.IntN(60)) + fmt.Sprint(t.r.Uint32())}
	if t.r.IntN(200) == 0 {
		x.payload = strings.Repeat("L", int(t.l.o.MaxBytes))
	}
	before := t.l.End()
	x.seq = before.Sequence
	x.wall, x.mono = t.clock.wall, t.clock.mono
	m := zmtp.Message{[]byte(x.topic), []byte(x.payload)}
	if t.r.IntN(10) == 0 {
		m = append(m, nil)
	}
	after, kept := t.l.Append(m)
	if !matchesAny(t.kept, x.topic) {
		if after != before || kept {
			t.Fatalf("a message of topic %q, which is not kept, moved the position", x.topic)
		}
		return
	}
	if after.Sequence != before.Sequence+1 {
		t.Fatalf("the position moved from %d to %d", before.Sequence, after.Sequence)
	}
	x.skipped = len(x.payload) >= int(t.l.o.MaxBytes)
	if kept == x.skipped {
		t.Fatalf("message of %d bytes: kept is %v", len(x.payload), kept)
	}
	t.m.all = append(t.m.all, x)
	if t.r.IntN(4) == 0 {
		t.l.Flush()
	}
}

// check compares bounds, and what is read, with the model.
func (t *modelTest) check() {
	s := t.l.Stats()
	if s.Bytes > t.l.o.MaxBytes {
		t.Fatalf("%d bytes are kept, at most %d may", s.Bytes, t.l.o.MaxBytes)
	}
	topics := []string{"", "a/", "house/", "\xff", "\x00", "b1", "a/x3", "nothing"}
	topics = topics[t.r.IntN(2)*t.r.IntN(len(topics)):]
	topics = topics[:1+t.r.IntN(len(topics))]
	var filter Filter
	if t.r.IntN(2) == 0 {
		filter = odd{}
	}
	match := NewMatch(bytesOf(topics), filter)
	at := Position{s.End.Generation, 1 + t.r.Uint64N(s.End.Sequence)}
	reader, answer := t.l.Resume(at, match)
	if t.r.IntN(2) == 0 {
		reader.narrow(s.End.Sequence, t.r.IntN(400))
	}
	var got []Entry
	for more := true; more; {
		got, more = reader.Next(got, 1+t.r.IntN(500))
	}
	from := max(at.Sequence, s.First.Sequence)
	want := t.m.read(from, s.End.Sequence, topics, filter)
	if len(got) != len(want) {
		t.Fatalf("reading %q from %d gave %d messages, want %d", topics, at.Sequence, len(got), len(want))
	}
	for i, e := range got {
		f := e.Frames(nil)
		if w := want[i]; e.After.Sequence != w.seq+1 || string(f[0]) != w.topic || string(f[1]) != w.payload {
			t.Fatalf("message %d is %q with position %d, want %q with %d", i, f[0], e.After.Sequence, w.topic, w.seq+1)
		} else if d := e.Time.UnixMilli() - w.wall; d > maxClockSkew || d < -maxClockSkew {
			t.Fatalf("the time of message %d is off by %d ms", i, d)
		}
	}
	if gap := t.m.missing(from); answer.Gap != gap {
		t.Fatalf("gap: %v, want %v", answer.Gap, gap)
	}
	if want := at.Sequence >= s.First.Sequence && !t.m.tooLarge(from, topics, filter); answer.Recovered && !want {
		t.Fatalf("recovered although messages are not kept, from %d on", from)
	} else if want && !answer.Recovered && matchesAll(t.kept, topics) {
		t.Fatalf("not recovered although everything is kept, from %d on", from)
	}
	if answer.Recovered && at.Sequence < s.First.Sequence {
		t.Fatal("recovered although messages are not kept any more")
	}
	t.checkLast(topics, t.r.Uint64N(s.End.Sequence+1))
}

func (t *modelTest) checkLast(topics []string, cut uint64) {
	snapshot := t.l.Last(NewMatch(bytesOf(topics), nil), Position{Sequence: cut})
	var got []Entry
	for more := true; more; {
		got, more = snapshot.Next(got, 1+t.r.IntN(300))
	}
	want := t.m.last(t.l, t.clock.mono, cut, topics)
	if !t.l.o.LastValues {
		clear(want)
	}
	for i, e := range got {
		if i > 0 && bytes.Compare(got[i-1].Topic(), e.Topic()) >= 0 {
			t.Fatal("last values are not in the order of their topics")
		}
		w, ok := want[string(e.Topic())]
		if !ok || string(e.Frames(nil)[1]) != w.payload || e.After.Sequence != cut {
			t.Fatalf("last value of %q with position %d, want the cut %d", e.Topic(), e.After.Sequence, cut)
		}
		delete(want, string(e.Topic()))
	}
	if len(want) > 0 {
		t.Fatalf("missing last values: %v", want)
	}
	if n := t.l.Stats().LastValues; t.l.o.MaxLastValues > 0 && n > t.l.o.MaxLastValues {
		t.Fatalf("%d last values, at most %d may be kept", n, t.l.o.MaxLastValues)
	}
}

func randomOptions(r *rand.Rand) (Options, []string) {
	kept := [][]string{{""}, {"a/", "house/"}, {"", "a/"}, {"\xff", "\x00", "b"}}[r.IntN(4)]
	return Options{
		Topics: bytesOf(kept), MaxBytes: []int64{3000, 20_000, 1 << 20}[r.IntN(3)],
		MaxAge: []time.Duration{0, time.Second, time.Minute}[r.IntN(3)], LastValues: r.IntN(4) > 0,
		LastValueAge: []time.Duration{0, 3 * time.Second, time.Hour}[r.IntN(3)], MaxLastValues: []int{0, 1, 10}[r.IntN(3)],
	}, kept
}

// TestModel compares logs with random bounds, topics, times and operations with the model.
func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			o, kept := randomOptions(r)
			clock := newClock()
			m := modelTest{T: t, r: r, l: testLog(t, o, clock), m: model{forgotten: map[string]uint64{}}, clock: clock, kept: kept}
			m.l.mu.Lock()
			m.l.closed = r.IntN(2) == 0 // no timer: nothing but Append and Flush expires
			m.l.armed, m.l.closed = m.l.closed, false
			m.l.mu.Unlock()
			for range 400 {
				switch n := r.IntN(100); {
				case n < 80:
					m.publish()
				case n < 83:
					m.m.all = append(m.m.all, modelMessage{gap: true, seq: m.l.End().Sequence})
					m.l.Gap("test")
				case n < 88:
					m.l.Flush() // a batch has one time
					clock.pass(time.Duration(r.IntN(2000)) * time.Millisecond)
				case n < 89:
					m.l.Flush()
					clock.wall += int64(r.IntN(100_000) - 50_000)
				case n < 90:
					topic := randomTopic(r)
					end := m.l.End().Sequence
					if m.l.Forget([]byte(topic)) {
						m.m.forgotten[topic] = end
					}
				default:
					m.check()
				}
			}
			m.check()
			m.l.checkSizes(t)
		})
	}
}

// checkSizes compares the sums that the log keeps with what it has.
func (l *Log) checkSizes(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view()
	var logBytes, topicBytes, valueBytes int64
	messages, valued := 0, 0
	for s := l.first; s < l.end; {
		b, i := v.find(s)
		for ; i < len(b.records); i++ {
			logBytes += int64(len(b.raw(i)) + recordSize)
			if b.records[i].topic != control {
				messages++
			}
		}
		s = b.end()
	}
	for _, topic := range l.topics.byName {
		if topic.kept == nil {
			topicBytes += topic.size()
		} else {
			valueBytes += topic.kept.size()
		}
		if l.hasValue(topic) {
			valued++
		}
	}
	if logBytes != l.logBytes || topicBytes != l.topicBytes || valueBytes != l.values.bytes || messages != l.messages || valued != l.valued {
		t.Fatalf("log %d, topics %d, values %d bytes, %d messages, %d last values; counted %d, %d, %d, %d, %d",
			l.logBytes, l.topicBytes, l.values.bytes, l.messages, l.valued, logBytes, topicBytes, valueBytes, messages, valued)
	}
	if len(l.topics.byName) != l.topics.ordered.Len() {
		t.Fatalf("%d topics by name, %d in order", len(l.topics.byName), l.topics.ordered.Len())
	}
}

package history

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func message(topic, payload string) zmtp.Message {
	return zmtp.Message{[]byte(topic), []byte(payload)}
}

func matching(topics ...string) *Match { return NewMatch(bytesOf(topics), nil) }

// newLog returns a log in memory that keeps these topics.
func newLog(t *testing.T, o Options, topics ...string) *Log {
	t.Helper()
	o.Topics = bytesOf(topics)
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// payloads reads all that r gives.
func payloads(r interface {
	Next([]Entry, int) ([]Entry, bool)
}) (all []string) {
	var entries []Entry
	for more := true; more; {
		entries, more = r.Next(entries[:0], 1<<20)
		for _, e := range entries {
			all = append(all, string(e.Frames(nil)[1]))
		}
	}
	return all
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestPosition(t *testing.T) {
	for _, p := range []Position{{}, {1, 2}, {1 << 63, 1<<64 - 1}} {
		text := p.String()
		var back Position
		if err := back.UnmarshalText([]byte(text)); err != nil || back != p || len(text) != 22 {
			t.Errorf("%v has the text %q, which is %v: %v", p, text, back, err)
		}
		b, _ := p.AppendBinary(nil)
		if err := back.UnmarshalBinary(b); err != nil || back != p || len(b) != PositionSize {
			t.Errorf("%v is %x, which is %v: %v", p, b, back, err)
		}
	}
	good := Position{1, 2}.String()
	for _, text := range []string{"", "x", good[1:], good + "A", good[:21] + "h", good[:21] + "=", good[:21] + "\n", "*" + good[1:], good[:20] + "\r\n"} {
		var p Position
		if p.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a position: %v", text, p)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		topics       []string
		topic        string
		matches, all bool // all: everything that begins with topic
	}{
		{nil, "", false, false},
		{[]string{""}, "", true, true},
		{[]string{"a", "a/b", "b"}, "a/b/c", true, true},
		{[]string{"a/b", "a/d"}, "a/c", false, false},
		{[]string{"a/b", "a/d"}, "a/", false, false},
		{[]string{"a/b", "a/d"}, "a/bx", true, true},
		{[]string{"a\xff", "b"}, "a\xff\xff", true, true},
		{[]string{"\xff", "\x00"}, "\x00", true, true},
		{[]string{"b", "d"}, "a", false, false},
		{[]string{"b", "d"}, "e", false, false},
	} {
		m := NewMatch(bytesOf(c.topics), nil)
		if m.Matches([]byte(c.topic)) != c.matches || m.prefixes.covers(c.topic) != c.all {
			t.Errorf("%q with %q: matches %v, want %v", c.topics, c.topic, !c.matches, c.matches)
		}
	}
	if NewMatch([][]byte{{}}, odd{}).Matches([]byte("ab")) {
		t.Error("the filter is not asked")
	}
}

// TestSeam takes a cut as the hub does, and then publishes more: what is before the cut is read,
// and nothing else.
func TestSeam(t *testing.T) {
	l := newLog(t, Options{LastValues: true}, "")
	at := l.End()
	l.Append(message("a", "1"))
	l.Append(message("b", "2"))
	cut := l.End()
	r, _ := l.Resume(at, matching(""))
	r.Cut(cut)
	last := l.Last(matching(""), cut)
	l.Append(message("b", "3"))
	l.Append(message("c", "4"))
	if n := r.Behind(); n != 2 {
		t.Errorf("%d records behind, want 2", n)
	}
	want(t, payloads(r), "1", "2")
	want(t, payloads(last), "1")
	if r.Position() != cut {
		t.Errorf("the reader is at %v, want %v", r.Position(), cut)
	}
}

// TestCovered resumes with topics that were not kept all the time.
func TestCovered(t *testing.T) {
	l := newLog(t, Options{LastValues: true}, "a/", "b/")
	start := l.End()
	l.Append(message("a/1", "1"))
	l.Append(message("b/1", "2"))
	resume := func(at Position, topics ...string) bool {
		_, answer := l.Resume(at, matching(topics...))
		return answer.Recovered
	}
	if !resume(start, "a/", "b/1") || resume(start, "") || resume(start, "a/", "c") {
		t.Error("wrong before Update")
	}
	l.Update(Options{Topics: bytesOf([]string{"a/", "c"}), LastValues: true})
	l.Append(message("b/1", "3"))
	l.Append(message("c", "4"))
	if !resume(start, "a/x") || resume(start, "b/") || resume(start, "c") || !resume(l.End(), "c") {
		t.Error("wrong after Update")
	}
	want(t, payloads(l.Last(matching(""), l.End())), "1", "4")
	l.Update(Options{Topics: bytesOf([]string{""}), LastValues: true})
	if !resume(start, "a/x") || resume(start, "b/") || resume(start, "") || !resume(l.End(), "") {
		t.Error("wrong after the second Update")
	}
	if resume(Position{}, "a/") || resume(Position{start.Generation + 1, 1}, "a/") {
		t.Error("an unknown position was recovered")
	}
}

// TestUpdate lowers and raises bounds of a live log.
func TestUpdate(t *testing.T) {
	l := newLog(t, Options{LastValues: true}, "")
	for i := range 5000 {
		l.Append(message(fmt.Sprint("topic", i%1000), fmt.Sprint(i)))
	}
	l.Update(Options{Topics: bytesOf([]string{""}), LastValues: true, MaxBytes: 50_000, MaxLastValues: 7})
	s := l.Stats()
	if s.Bytes > 50_000 || s.LastValues != 7 || s.Messages == 0 {
		t.Fatalf("%+v", s)
	}
	want(t, payloads(l.Last(matching(""), l.End())), "4993", "4994", "4995", "4996", "4997", "4998", "4999")
	l.Update(Options{Topics: bytesOf([]string{""}), MaxBytes: 1 << 20})
	want(t, payloads(l.Last(matching(""), l.End())))
	l.Update(Options{Topics: bytesOf([]string{""}), MaxBytes: 1 << 20, LastValues: true})
	if n := l.Stats().LastValues; n == 0 || n != len(payloads(l.Last(matching(""), l.End()))) {
		t.Fatalf("%d last values", n)
	}
	l.checkSizes(t)
}

// TestAges lets messages and last values become too old without any traffic.
func TestAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t, Options{LastValues: true, MaxAge: 10 * time.Second, LastValueAge: time.Minute}, "")
		start := l.End()
		for i := range 1000 {
			l.Append(message(fmt.Sprint(i%10), fmt.Sprint(i)))
			l.Flush()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		if s := l.Stats(); s.Messages < 480 || s.Messages > 620 || s.LastValues != 10 {
			t.Fatalf("%+v", s)
		}
		if _, answer := l.Resume(start, matching("")); answer.Recovered {
			t.Error("recovered what is too old")
		}
		time.Sleep(8 * time.Second)
		if s := l.Stats(); s.Messages != 0 || s.LastValues != 10 || !s.Oldest.IsZero() {
			t.Fatalf("%+v", s)
		}
		if _, answer := l.Resume(l.End(), matching("")); !answer.Recovered {
			t.Error("a client that has seen everything has not recovered")
		}
		time.Sleep(time.Minute)
		if s := l.Stats(); s.LastValues != 0 || s.Topics != 0 || s.Bytes != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// TestTooLarge publishes a message that has no room: the others stay, its topic has no last value.
func TestTooLarge(t *testing.T) {
	l := newLog(t, Options{LastValues: true, MaxBytes: 10_000}, "")
	start := l.End()
	l.Append(message("a", "1"))
	l.Append(message("b", "2"))
	l.Append(message("a", strings.Repeat("x", 10_000)))
	want(t, payloads(l.Last(matching(""), l.End())), "2")
	r, answer := l.Resume(start, matching(""))
	if answer.Recovered || !answer.Gap {
		t.Errorf("%+v", answer)
	}
	want(t, payloads(r), "1", "2")
	if _, answer := l.Resume(start, matching("b")); !answer.Recovered {
		t.Errorf("%+v of another topic", answer)
	}
	if _, answer := l.Resume(l.End(), matching("a")); !answer.Recovered || answer.Gap {
		t.Errorf("%+v after it", answer)
	}
	l.Append(message("a", "3"))
	want(t, payloads(l.Last(matching(""), l.End())), "3", "2")
	l.checkSizes(t)
}

// TestFallBehind lets a reader be too slow.
func TestFallBehind(t *testing.T) {
	l := newLog(t, Options{MaxBytes: 10_000}, "")
	r, answer := l.Resume(l.End(), matching(""))
	if !answer.Recovered {
		t.Fatal("not recovered")
	}
	for i := range 1000 {
		l.Append(message("a", fmt.Sprint(i)))
	}
	got := payloads(r)
	if r.Lost() == 0 || r.Lost() > 0 {
		t.Error("what was lost is not reported once")
	}
	if len(got) != l.Stats().Messages || got[len(got)-1] != "999" {
		t.Errorf("%d messages, want %d", len(got), l.Stats().Messages)
	}
}

// TestNarrow reads few topics of many: the reader collects their records first.
func TestNarrow(t *testing.T) {
	l := newLog(t, Options{}, "")
	at := l.End()
	var few []string
	for i := range 10_000 {
		l.Append(message(fmt.Sprint(i%1000, "/"), fmt.Sprint(i)))
		if i%1000 == 17 || i%1000 == 3 {
			few = append(few, fmt.Sprint(i))
		}
	}
	for _, c := range []struct {
		topics []string
		narrow bool
	}{{[]string{"17/", "3/"}, true}, {[]string{""}, false}} {
		r, answer := l.Resume(at, matching(c.topics...))
		if !answer.Recovered {
			t.Fatal("not recovered")
		}
		entries, _ := r.Next(nil, 1)
		if len(entries) != 1 || len(r.some) > 0 != c.narrow {
			t.Fatalf("%q: %d entries, %d records collected", c.topics, len(entries), len(r.some))
		}
		if got := payloads(r); c.narrow {
			want(t, got, few[1:]...)
		} else if len(got) != 9999 {
			t.Fatalf("%d messages", len(got))
		}
	}
}

// TestFallBehindNarrow drops messages of a topic before a reader has collected them.
func TestFallBehindNarrow(t *testing.T) {
	l := newLog(t, Options{MaxBytes: 10_000}, "")
	l.Append(message("rare", "1"))
	r, _ := l.Resume(Position{l.End().Generation, 1}, matching("rare"))
	for i := range 1000 {
		l.Append(message("often", fmt.Sprint(i)))
	}
	l.Append(message("rare", "2"))
	r.narrow(l.End().Sequence, 100)
	want(t, payloads(r), "2")
	if r.Lost() == 0 {
		t.Error("what was lost is not reported")
	}
}

// TestHole loads a store in which batches are missing in the middle, as after a full disk.
func TestHole(t *testing.T) {
	batch := func(first uint64, payload string) Batch {
		raw := appendMessage(nil, message("a", payload))
		return Batch{first, 1, appendRecord([]byte{0}, raw, false, 0)}
	}
	s := &pieces{}
	newLog(t, Options{Store: s}, "").Close() // the first batch says what is kept
	s.batches = append(s.batches, batch(2, "1"), batch(10, "2"), batch(20, "3"), batch(30, "4"))
	l := newLog(t, Options{Store: s}, "")
	for from, payload := range map[uint64][]string{
		2: {"1", "2", "3", "4"}, 3: {"2", "3", "4"}, 9: {"2", "3", "4"}, 10: {"2", "3", "4"},
		11: {"3", "4"}, 21: {"4"}, 29: {"4"}, 30: {"4"}, 31: nil,
	} {
		r, answer := l.Resume(Position{l.End().Generation, from}, matching(""))
		if want(t, payloads(r), payload...); !answer.Recovered || !answer.Gap {
			t.Errorf("from %d: %+v", from, answer)
		}
		r, _ = l.Resume(Position{l.End().Generation, from}, matching("a"))
		r.narrow(l.End().Sequence, 100)
		want(t, payloads(r), payload...)
	}
}

// TestConcurrent reads while messages are appended and dropped. Each reader gets its topics in
// order and, unless told so, completely.
func TestConcurrent(t *testing.T) {
	l := newLog(t, Options{LastValues: true, MaxBytes: 300_000, MaxLastValues: 50}, "")
	const messages, topics = 30_000, 100
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			prefix := fmt.Sprintf("%02d", i)[:1+i%2]
			r, _ := l.Resume(l.End(), matching(prefix))
			next := map[string]int{}
			var entries []Entry
			for done := false; !done; {
				entries, _ = r.Next(entries[:0], 1000)
				lost := r.Lost() > 0
				for _, e := range entries {
					f := e.Frames(nil)
					var n int
					fmt.Sscan(string(f[1]), &n)
					topic := string(f[0])
					if expect, known := next[topic]; !lost && known && n != expect || n < expect || !strings.HasPrefix(topic, prefix) {
						t.Errorf("topic %q: got %d, want %d (lost: %v)", topic, n, expect, lost)
						return
					}
					next[topic] = n + topics
					done = n >= messages-topics
				}
				if lost {
					clear(next)
				}
				payloads(l.Last(matching(prefix), r.Position()))
				if s, answer := l.Resume(r.Position(), matching(prefix)); answer.Recovered {
					s.Next(nil, 1000)
				}
			}
		})
	}
	for i := range messages {
		l.Append(message(fmt.Sprintf("%02d", i%topics), fmt.Sprint(i)))
		if i%50 == 0 {
			l.Flush()
			l.Stats()
		}
	}
	// All readers have to see an end, whatever they have lost.
	for i := range topics {
		l.Append(message(fmt.Sprintf("%02d", i), fmt.Sprint(messages+i)))
	}
	readers.Wait()
}

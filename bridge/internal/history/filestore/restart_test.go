package filestore

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// restarts is a log that is closed, killed and opened, beside all that was ever published to it.
type restarts struct {
	*testing.T
	r     *rand.Rand
	dir   string
	o     history.Options
	so    Options
	l     *history.Log
	s     *Store
	all   []published
	ends  []history.Position // of the generations
	start []int              // len(all) where they begin
}

type published struct {
	sequence       uint64
	topic, payload string
	forgotten      bool
}

func (t *restarts) open() {
	var err error
	if t.s, err = Open(t.dir, t.so); err != nil {
		t.Fatal(err)
	}
	t.o.Store = t.s
	if t.l, err = history.New(options(t.o)); err != nil {
		t.Fatal(err)
	}
	t.ends, t.start = append(t.ends, t.l.End()), append(t.start, len(t.all))
}

// restart ends the process: it closes the log, or is killed.
func (t *restarts) restart() {
	if t.r.IntN(2) == 0 {
		t.l.Flush()
		t.dir = t.kill()
	}
	t.l.Close()
	t.o.MaxBytes = []int64{80_000, 110_000}[t.r.IntN(2)]
	t.so.SegmentBytes = []int64{4000, 10_000}[t.r.IntN(2)]
	t.open()
}

// kill returns the directory as it is between two changes of it.
func (t *restarts) kill() string {
	for {
		t.s.mu.Lock()
		if !t.s.cleaning {
			break
		}
		t.s.mu.Unlock()
		runtime.Gosched()
	}
	defer t.s.mu.Unlock()
	return copyDir(t.T, t.dir)
}

func (t *restarts) publish() {
	topic := fmt.Sprintf("often/%d", t.r.IntN(5))
	if t.r.IntN(20) == 0 {
		topic = fmt.Sprintf("rarely/%d", t.r.IntN(100))
	}
	p := published{topic: topic, payload: strings.Repeat("p", t.r.IntN(100)) + fmt.Sprint(len(t.all))}
	p.sequence = t.l.End().Sequence
	t.l.Append(zmtp.Message{[]byte(p.topic), []byte(p.payload)})
	t.all = append(t.all, p)
	t.ends[len(t.ends)-1] = t.l.End()
	if t.r.IntN(5) == 0 {
		t.l.Flush()
	}
}

func (t *restarts) forget() {
	topic := fmt.Sprintf("rarely/%d", t.r.IntN(100))
	if !t.l.Forget([]byte(topic)) {
		return
	}
	for i := range t.all {
		if t.all[i].topic == topic {
			t.all[i].forgotten = true
		}
	}
}

func (t *restarts) check() {
	t.Helper()
	first := t.l.Stats().First.Sequence
	g := t.r.IntN(len(t.ends))
	at := t.ends[g]
	at.Sequence -= min(at.Sequence-1, t.r.Uint64N(100))
	got, answer := resume(t.l, at)
	var want []string
	for _, p := range t.all {
		if p.sequence >= max(at.Sequence, first) && !p.forgotten {
			want = append(want, p.topic+" "+p.payload)
		}
	}
	wantLines(t.T, "resumed", got, want)
	if answer.Recovered != (at.Sequence >= first) {
		t.Fatalf("recovered: %v; the position is %d, the oldest %d", answer.Recovered, at.Sequence, first)
	}
	if g < len(t.ends)-1 && !answer.Gap && answer.Recovered {
		t.Fatal("a restart is not a gap")
	}
	beyond := t.ends[g]
	beyond.Sequence++
	if _, answer := resume(t.l, beyond); answer.Recovered && (g < len(t.ends)-1) {
		t.Fatal("a position behind its generation was recovered")
	}
	newest := map[string]string{}
	for _, p := range t.all {
		if newest[p.topic] = p.topic + " " + p.payload; p.forgotten {
			delete(newest, p.topic)
		}
	}
	var values []string
	for _, line := range newest {
		values = append(values, line)
	}
	slices.Sort(values)
	wantLines(t.T, "last values", last(t.l), values)
}

// TestRestarts compares a log with what was published, over restarts and kills.
func TestRestarts(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := restarts{T: t, r: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir()}
			r.o = history.Options{LastValues: true, MaxBytes: 110_000}
			r.so = Options{Sync: 100 * time.Millisecond, SegmentBytes: 3000, create: (&disk{room: 1 << 30}).create} // quick syncs
			r.open()
			for range 3000 {
				switch n := r.r.IntN(1000); {
				case n < 980:
					r.publish()
				case n < 985:
					r.forget()
				case n < 990:
					r.restart()
				default:
					r.check()
				}
			}
			r.restart()
			r.check()
			r.l.Close()
		})
	}
}

// TestOptionsChange changes what is kept between restarts: a value that is not the newest any more
// does not come back.
func TestOptionsChange(t *testing.T) {
	both, one := [][]byte{[]byte("often"), []byte("rarely")}, [][]byte{[]byte("often")}
	for name, between := range map[string]history.Options{
		"topics":      {Topics: one, LastValues: true},
		"last values": {Topics: both},
		"number":      {Topics: both, LastValues: true, MaxLastValues: 1},
	} {
		for _, deleted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/deleted=%v", name, deleted), func(t *testing.T) {
				dir := t.TempDir()
				so := Options{Sync: time.Hour, SegmentBytes: 2000}
				first := history.Options{Topics: both, LastValues: true, MaxBytes: 20_000}
				between.MaxBytes = first.MaxBytes
				rarely := func(l *history.Log) bool {
					return slices.ContainsFunc(last(l), func(line string) bool { return strings.HasPrefix(line, "rarely") })
				}
				busy := func(l *history.Log) {
					for i := range 1000 {
						publish(t, l, "often", fmt.Sprint(i))
					}
				}
				l := openLog(t, dir, first, so)
				publish(t, l, "rarely", "old")
				at := l.End()
				busy(l) // the value leaves the log, and is carried
				l.Close()
				l = openLog(t, dir, first, so)
				if !rarely(l) {
					t.Fatal("the value is gone")
				}
				l.Close()
				l = openLog(t, dir, between, so)
				before := l.End()
				publish(t, l, "rarely", "new")
				publish(t, l, "often", "1") // moves the position
				if deleted {
					busy(l)
				}
				l.Close()
				l = openLog(t, dir, first, so)
				if got := last(l); rarely(l) && (name == "topics" || !slices.Contains(got, "rarely new")) {
					t.Fatalf("an old value came back: %q", got)
				}
				match := history.NewMatch(both[1:], nil)
				_, kept := l.Resume(before, match)
				if want := name != "topics" && !deleted; kept.Recovered != want {
					t.Errorf("recovered: %v, want %v", kept.Recovered, want)
				}
				if _, answer := l.Resume(at, match); answer.Recovered {
					t.Error("recovered what is not kept any more")
				}
			})
		}
	}
}

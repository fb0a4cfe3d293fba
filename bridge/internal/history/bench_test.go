package history

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var payload = make([]byte, 80)

func topicNames(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = fmt.Appendf(nil, "house/%d/temperature", i)
	}
	return all
}

func benchLog(b *testing.B, o Options) *Log {
	b.Helper()
	if o.Topics == nil {
		o.Topics = [][]byte{[]byte("house/")}
	}
	o.LastValues = true
	l, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// fill appends n messages of the topics in turn, read of them for each Flush.
func fill(l *Log, n int, topics [][]byte, read int) {
	m := zmtp.Message{nil, payload}
	for i := range n {
		m[0] = topics[i%len(topics)]
		l.Append(m)
		if i%read == read-1 {
			l.Flush()
		}
	}
	l.Flush()
}

// BenchmarkAppend appends messages of about 100 bytes to a log in memory that is full, 50 for each
// read.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 1000, 200_000} {
		b.Run(fmt.Sprintf("topics=%d", n), func(b *testing.B) {
			l := benchLog(b, Options{MaxBytes: 64 << 20})
			topics := topicNames(n)
			fill(l, 700_000, topics, 50)
			b.ReportAllocs()
			b.ResetTimer()
			fill(l, b.N, topics, 50)
		})
	}
}

// BenchmarkMemory reports the memory of a stored message beyond its bytes.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", n), func(b *testing.B) {
			topics := topicNames(n)
			for b.Loop() {
				before := heap()
				l := benchLog(b, Options{MaxBytes: 1 << 30})
				const messages = 1_000_000
				fill(l, messages, topics, 50)
				size := 0
				for i := range messages {
					size += len(topics[i%n]) + len(payload)
				}
				b.ReportMetric(float64(int(heap()-before)-size)/messages, "overhead-B/message")
				runtime.KeepAlive(l)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLast reads the last values of 100,000 topics. ns/op is for all of them.
func BenchmarkLast(b *testing.B) {
	const n = 100_000
	l := benchLog(b, Options{MaxBytes: 1 << 30})
	fill(l, n, topicNames(n), 50)
	match := NewMatch([][]byte{[]byte("house/")}, nil)
	var entries []Entry
	var frames zmtp.Message
	for b.Loop() {
		total := 0
		s := l.Last(match, l.End())
		for more := true; more; {
			entries, more = s.Next(entries[:0], 64<<10)
			for _, e := range entries {
				frames = e.Frames(frames[:0])
				total++
			}
		}
		if total != n {
			b.Fatalf("%d values, want %d", total, n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/value")
}

// BenchmarkResume resumes in a log of 1,000,000 messages.
func BenchmarkResume(b *testing.B) {
	const messages = 1_000_000
	for _, c := range []struct {
		name          string
		topics        int
		prefixes      []string
		since, expect int
	}{
		{"5_of_one_topic", 10_000, []string{"house/77/"}, 50_000, 5},
		{"5_of_one_topic_since_the_beginning", 200_000, []string{"house/77/"}, messages, 5},
		{"1000_of_all", 10_000, []string{"house/"}, 1000, 1000},
		{"1000_of_20_topics", 10_000, []string{"house/1/", "house/2/", "house/3/", "house/4/", "house/5/", "house/6/", "house/7/", "house/8/", "house/9/", "house/10/"}, messages, 1000},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := benchLog(b, Options{MaxBytes: 1 << 30})
			fill(l, messages, topicNames(c.topics), 50)
			var prefixes [][]byte
			for _, p := range c.prefixes {
				prefixes = append(prefixes, []byte(p))
			}
			at := l.End()
			at.Sequence -= uint64(c.since)
			var entries []Entry
			var frames zmtp.Message
			b.ReportAllocs()
			for b.Loop() {
				r, answer := l.Resume(at, NewMatch(prefixes, nil))
				if !answer.Recovered {
					b.Fatal("not recovered")
				}
				total := 0
				for more := true; more; {
					entries, more = r.Next(entries[:0], 64<<10)
					for _, e := range entries {
						frames = e.Frames(frames[:0])
						total++
					}
				}
				if total != c.expect {
					b.Fatalf("%d messages, want %d", total, c.expect)
				}
			}
		})
	}
}

package queue

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// sink is a batch that discards what it is given.
type sink struct {
	noHistory
	size int
}

func (s *sink) Message(m zmtp.Message, _ []byte) error { s.size += m.Size(); return nil }
func (s *sink) Encoded(o []byte)                       { s.size += len(o) }
func (s *sink) Unsubscribed([]byte) error              { return nil }
func (s *sink) Full() bool                             { return false }

// BenchmarkDelivery puts chunks of n messages through one queue. ns/op is per message.
func BenchmarkDelivery(b *testing.B) {
	for name, n := range map[string]int{"1": 1, "100": 100} {
		b.Run(name, func(b *testing.B) {
			c := NewChunk(lines{}, 0)
			for range n {
				c.Append(message("topic", "payload"))
			}
			q := newQueue(Options{Codec: lines{}})
			var s sink
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				q.PutChunk(c)
				q.Next(&s)
				q.Next(&s)
			}
		})
	}
}

// BenchmarkBudget puts messages of three channels, of which two are not read, through queues
// with a budget: below the bound, and at it, where the fullest drops.
func BenchmarkBudget(b *testing.B) {
	for name, limit := range map[string]int64{"below": 16 << 20, "at": 100 << 10} {
		b.Run(name, func(b *testing.B) {
			c := NewChunk(lines{}, 0)
			c.Append(message("topic", "payload"))
			budget := NewBudget(limit, nil)
			var queues [3]*Queue
			for i := range queues {
				queues[i] = newQueue(Options{Codec: lines{}, Budget: budget})
			}
			var s sink
			b.ReportAllocs()
			for b.Loop() {
				for _, q := range queues {
					q.PutChunk(c)
				}
				queues[0].Next(&s)
				queues[0].Next(&s)
			}
		})
	}
}

// BenchmarkPut puts messages that are encoded for one client alone.
func BenchmarkPut(b *testing.B) {
	q := newQueue(Options{Codec: lines{}})
	m := message("topic", "payload of about forty bytes here")
	var s sink
	b.ReportAllocs()
	for b.Loop() {
		q.Put(m)
		q.Next(&s)
	}
}

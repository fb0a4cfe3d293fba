package fanout

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// null is a queue that discards everything.
type null struct{ noBacklog }

func (null) Missed(uint64) {}

func (null) PutRange(*queue.Chunk, int, int) error { return nil }

func (null) AddRange(*queue.Chunk, int, int) (bool, error) { return false, nil }

// idle is the owner of a queue without a reader.
type idle struct{}

func (idle) Ended() bool   { return false }
func (idle) Wake()         {}
func (idle) Announce()     {}
func (idle) Write()        {}
func (idle) Missed(uint64) {}

func (idle) Lost(uint64) {}
func (idle) Overflow()   {}

// realQueue returns a queue with limits and locks. Nothing reads it, so it drops messages.
func realQueue() Queue { return queue.New(queue.Options{Codec: lines(""), Messages: 1000}, idle{}) }

var (
	topic   = []byte("house/17/temperature")
	payload = make([]byte, 80)
)

// BenchmarkFanout delivers upstream messages to N members with the same subscription, 64
// messages for each upstream read. ns/op is per upstream message.
func BenchmarkFanout(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			h := New(Options{})
			for range n {
				m := h.Join(realQueue(), MemberOptions{Codec: lines("")})
				defer m.Leave()
				m.Subscribe([]byte("house/"), false)
			}
			feed(b, h, 64, func(int) []byte { return topic })
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkManyTopics delivers upstream messages to clients that have each subscribed to 20
// topics at random, 5 messages for each upstream read.
func BenchmarkManyTopics(b *testing.B) {
	for _, c := range []struct{ topics, clients int }{
		{2000, 100}, {20000, 1000}, {200000, 1000}, {200000, 10000},
	} {
		b.Run(fmt.Sprintf("topics=%d/clients=%d", c.topics, c.clients), func(b *testing.B) {
			all := topics(c.topics)
			r := rand.New(rand.NewPCG(1, 2))
			h := New(Options{})
			for range c.clients {
				m := h.Join(null{}, MemberOptions{})
				for range 20 {
					m.Subscribe(all[r.IntN(c.topics)], false)
				}
			}
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			feed(b, h, 5, func(i int) []byte { return all[i%c.topics] })
			s := h.Stats()
			b.ReportMetric(float64(s.Deliveries)/float64(s.Messages), "deliveries/op")
		})
	}
}

// BenchmarkOwnTopicEach delivers upstream messages to N members that are all subscribed to
// them and each to one further topic, so that no two sets are equal.
func BenchmarkOwnTopicEach(b *testing.B) {
	const n = 1000
	h := New(Options{})
	for i := range n {
		m := h.Join(realQueue(), MemberOptions{Codec: lines("")})
		m.Subscribe([]byte("house/"), false)
		m.Subscribe(fmt.Appendf(nil, "user/%d/", i), false)
	}
	feed(b, h, 64, func(int) []byte { return topic })
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/delivery")
}

// feed publishes b.N messages, read of them for each upstream read.
func feed(b *testing.B, h *Hub, read int, topic func(i int) []byte) {
	m := zmtp.Message{nil, payload}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m[0] = topic(i)
		h.Message(m)
		if i%read == read-1 {
			h.Flush()
		}
	}
	h.Flush()
	b.StopTimer()
}

// BenchmarkSubscribe is a client that joins, subscribes to 20 topics and leaves.
func BenchmarkSubscribe(b *testing.B) {
	all := topics(20)
	h := New(Options{})
	first := h.Join(null{}, MemberOptions{})
	for _, topic := range all {
		first.Subscribe(topic, false)
	}
	b.ReportAllocs()
	for b.Loop() {
		m := h.Join(null{}, MemberOptions{})
		for _, topic := range all {
			m.Subscribe(topic, false)
		}
		m.Leave()
	}
}

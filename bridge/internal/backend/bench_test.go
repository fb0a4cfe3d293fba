package backend

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// counter is a Receiver that counts messages.
type counter struct {
	flushed chan int
	n       int
}

func (c *counter) Message(zmtp.Message) error { c.n++; return nil }
func (c *counter) Discarded(zmtp.Message)     {}
func (c *counter) Flush()                     { c.flushed <- c.n; c.n = 0 }

// answerAll answers every message of the next connection with m.
func answerAll(n *native, m zmtp.Message) {
	c := n.accept()
	var answers []zmtp.Message
	for {
		if _, err := c.ReadFrame(); err != nil {
			return
		}
		if answers = append(answers, m); !c.Buffered() {
			if c.Write(answers...) != nil {
				return
			}
			answers = answers[:0]
		}
	}
}

// BenchmarkDealer sends requests of 100 bytes over TCP to a backend that answers each, with a
// window of them in flight.
func BenchmarkDealer(b *testing.B) {
	for _, window := range []int{1, 64} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			n := newNative(b, zmtp.ROUTER)
			m := zmtp.Message{make([]byte, 100)}
			go answerAll(n, m)
			r := &counter{flushed: make(chan int, 1024)}
			s := dial(b, options(zmtp.DEALER, n), r)
			batch := make([]zmtp.Message, 0, window)
			b.ReportAllocs()
			b.ResetTimer()
			for sent, got := 0, 0; got < b.N; got += <-r.flushed {
				batch = batch[:0]
				for sent < b.N && sent-got < window && len(batch) < window {
					batch = append(batch, m)
					sent++
				}
				if err := s.Send(b.Context(), batch...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReceive takes messages of 100 bytes from a publisher: the path of each update up to
// the fan-out.
func BenchmarkReceive(b *testing.B) {
	n := newNative(b, zmtp.PUB)
	r := &counter{flushed: make(chan int, 1024)}
	s := dial(b, options(zmtp.SUB, n), r)
	subscribe(b, s, "")
	c := n.accept()
	if _, err := c.ReadMessage(); err != nil {
		b.Fatal(err)
	}
	batch := make([]zmtp.Message, 500)
	for i := range batch {
		batch[i] = zmtp.Message{make([]byte, 100)}
	}
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for sent := 0; sent < b.N; sent += len(batch) {
			if c.Write(batch[:min(len(batch), b.N-sent)]...) != nil {
				return
			}
		}
	}()
	for got := 0; got < b.N; got += <-r.flushed {
	}
}

// BenchmarkPublish sends messages of 100 bytes that one of 1,000 subscriptions matches.
func BenchmarkPublish(b *testing.B) {
	n := newNative(b, zmtp.SUB)
	r := newInbox()
	s := dial(b, options(zmtp.PUB, n), r)
	c := n.accept()
	for i := range 1000 {
		if err := c.Subscribe(fmt.Appendf(nil, "topic/%d/", i)); err != nil {
			b.Fatal(err)
		}
	}
	for range 1000 {
		r.next(b)
	}
	go func() {
		for {
			if _, err := c.ReadFrame(); err != nil {
				return
			}
		}
	}()
	m := zmtp.Message{append([]byte("topic/500/"), make([]byte, 90)...)}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSharedDealer has 64 streams with one request each in flight over one connection.
func BenchmarkSharedDealer(b *testing.B) {
	const streams = 64
	n := newNative(b, zmtp.ROUTER)
	go n.echo()
	s, err := DialShared(options(zmtp.DEALER, n))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := wait(s, b.Context()); err != nil {
		b.Fatal(err)
	}
	m := zmtp.Message{make([]byte, 100)}
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range streams {
		r := &counter{flushed: make(chan int, 1)}
		st, err := s.Attach(r, AttachOptions{})
		if err != nil {
			b.Fatal(err)
		}
		running.Go(func() {
			defer st.Close()
			for left.Add(-1) >= 0 {
				if st.Send(b.Context(), m) != nil {
					return
				}
				<-r.flushed
			}
		})
	}
	running.Wait()
}

package zmtp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
)

// endless is a connection that delivers the same bytes repeatedly.
type endless struct {
	net.Conn
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

// BenchmarkReadFrame reads frames of a stream of small messages.
func BenchmarkReadFrame(b *testing.B) {
	for _, size := range []int{20, 200, 2000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, _, err := overPipe(b, logins(b)[0], Options{SocketType: DEALER}, Options{SocketType: DEALER})
			if err != nil {
				b.Fatal(err)
			}
			c.in = newReader(&endless{data: AppendFrame(nil, Frame{Body: make([]byte, size)})}, DefaultReadBuffer)
			c.in.nc.(*endless).data = bytes.Repeat(c.in.nc.(*endless).data, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ReadFrame(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMessages sends messages of one frame over TCP on this machine, batch messages per
// Write. One operation is one message, sent and received.
func BenchmarkMessages(b *testing.B) {
	for _, l := range logins(b) {
		for _, batch := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/batch=%d", l.mechanism, batch), func(b *testing.B) {
				c, s, err := overListener(func(testing.TB) string { return "tcp://127.0.0.1:0" })(b, l, Options{SocketType: DEALER}, Options{SocketType: DEALER})
				if err != nil {
					b.Fatal(err)
				}
				received := make(chan error)
				go func() {
					for {
						if _, err := s.ReadFrame(); err != nil {
							received <- err
							return
						}
					}
				}()
				msgs := make([]Message, batch)
				for i := range msgs {
					msgs[i] = Message{make([]byte, 200)}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += batch {
					if err := c.Write(msgs[:min(batch, b.N-i)]...); err != nil {
						b.Fatal(err)
					}
				}
				c.Close()
				if err := <-received; err != io.EOF {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// BenchmarkConnect runs one handshake over TCP on this machine, including connect and greeting.
func BenchmarkConnect(b *testing.B) {
	for _, l := range logins(b) {
		b.Run(string(l.mechanism), func(b *testing.B) {
			listener, err := Listen("tcp://127.0.0.1:0", l.mechanism, l.server, ListenOptions{Options: Options{SocketType: ROUTER}})
			if err != nil {
				b.Fatal(err)
			}
			defer listener.Close()
			b.ReportAllocs()
			for b.Loop() {
				c, err := Dial(b.Context(), listener.Endpoint(), l.client, Options{SocketType: DEALER})
				if err != nil {
					b.Fatal(err)
				}
				s, err := listener.Accept()
				if err != nil {
					b.Fatal(err)
				}
				c.Close()
				s.Close()
			}
		})
	}
}

// TestTrafficAllocatesNothing checks that reading and writing a frame do not allocate.
func TestTrafficAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("with -race a sync.Pool drops items at random")
	}
	for _, l := range logins(t) {
		c, s, err := overListener(func(testing.TB) string { return "tcp://127.0.0.1:0" })(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER})
		if err != nil {
			t.Fatal(err)
		}
		m := Message{make([]byte, 10), make([]byte, 200)}
		var failed error
		allocs := testing.AllocsPerRun(1000, func() {
			if err := c.Write(m, m); err != nil {
				failed = err
			}
			for range 4 {
				if _, err := s.ReadFrame(); err != nil {
					failed = err
				}
			}
		})
		if failed != nil {
			t.Fatal(failed)
		}
		if allocs >= 1 { // a buffer grows, and the pool is emptied now and then
			t.Errorf("%s: %v allocations for two messages sent and received", l.mechanism, allocs)
		}
	}
}

package zws_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// mixed is a Source of numbered messages of all sizes: some encoded for this connection,
// some shared bytes.
type mixed struct {
	codec      zws.Codec
	sizes      []int
	next, last int
}

func (m *mixed) Next(b *zws.Batch) {
	for m.next < m.last && !b.Full() {
		msg := numbered(m.next, m.sizes[m.next%len(m.sizes)])
		if m.codec != nil && m.next%2 == 0 {
			b.Encoded(m.codec.AppendMessage(nil, msg, nil))
		} else {
			b.Message(msg, nil)
		}
		m.next++
	}
}

// numbered returns a message of two frames.
func numbered(n, size int) zmtp.Message {
	return zmtp.Message{binary.BigEndian.AppendUint32(nil, uint32(n)), bytes.Repeat([]byte{byte(n)}, size)}
}

// TestNothingIsTorn: data, pongs, pings and notifications of many goroutines arrive whole and in
// order, over TCP and TLS, with and without encryption.
func TestNothingIsTorn(t *testing.T) {
	const messages = 2000
	random := rand.New(rand.NewPCG(1, 2))
	sizes := make([]int, 97)
	for i := range sizes {
		sizes[i] = []int{0, 1, 100, 124, 125, 126, 1000, 1022, 1023, 1024, 4096, 70_000}[random.IntN(12)]
	}
	o := options()
	for _, start := range map[string]func(*httptest.Server){"ws": plain, "wss": tls} {
		for _, name := range []string{"ZWS2.0", "ZWS2.0/NULL", "ZWS2.0/CURVE"} {
			t.Run(name, func(t *testing.T) {
				s := serveWith(t, o, start, accept, drop)
				d := clients(&o, "user")[name]
				if s.TLS != nil {
					d.TLS = s.Client().Transport.(*transport).TLSClientConfig
				}
				noticed := uint64(0)
				d.Notify = func(n zws.Notification) { noticed += n.Lost }
				c, err := zws.Dial(t.Context(), s.url(), d)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				conn := (<-s.accepted).conn
				codec, _ := conn.Channel().Codec()
				conn.Channel().Attach(&mixed{codec: codec, sizes: sizes, last: messages})

				var noise sync.WaitGroup
				for range 3 {
					noise.Go(func() {
						for range 200 {
							conn.Channel().Lost(1)
							conn.Channel().Flush()
						}
					})
				}
				noise.Go(func() {
					for i := range 200 {
						c.Ping([]byte(fmt.Sprint("ping ", i)))
					}
				})
				for i := range messages {
					m, err := c.Recv(context.Background())
					if err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
					want := numbered(i, sizes[i%len(sizes)])
					if len(m) != 2 || !bytes.Equal(m[0], want[0]) || !bytes.Equal(m[1], want[1]) {
						t.Fatalf("message %d is %d frames, %d bytes", i, len(m), m.Size())
					}
				}
				noise.Wait()
			})
		}
	}
}

// TestBatchAllocates: writing an encoded message does not allocate.
func TestBatchAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	// see BenchmarkWriteShared
	result := testing.Benchmark(BenchmarkWriteShared)
	if n := result.AllocsPerOp(); n > 0 {
		t.Errorf("%d allocations a message", n)
	}
}

// shared is a Source that appends the same message a number of times.
type shared struct {
	chunk []byte
	left  int
	done  chan struct{}
}

func (s *shared) Next(b *zws.Batch) {
	for s.left > 0 && !b.Full() {
		b.Encoded(s.chunk)
		if s.left--; s.left == 0 {
			close(s.done)
		}
	}
}

func BenchmarkWriteShared(b *testing.B) {
	benchmarkWrite(b, "ZWS2.0/NULL", func(conn *zws.Conn, done chan struct{}) zws.Source {
		codec, _ := conn.Channel().Codec()
		return &shared{codec.AppendMessage(nil, message(strings.Repeat("m", 100)), nil), b.N, done}
	})
}

func BenchmarkWriteMessage(b *testing.B) { benchmarkWrite(b, "ZWS2.0/NULL", ownMessages(b)) }
func BenchmarkWriteCurve(b *testing.B)   { benchmarkWrite(b, "ZWS2.0/CURVE", ownMessages(b)) }

// own is a Source that encodes the same message each time.
type own struct {
	m    zmtp.Message
	left int
	done chan struct{}
}

func (s *own) Next(b *zws.Batch) {
	for s.left > 0 && !b.Full() {
		b.Message(s.m, nil)
		if s.left--; s.left == 0 {
			close(s.done)
		}
	}
}

func ownMessages(b *testing.B) func(*zws.Conn, chan struct{}) zws.Source {
	return func(_ *zws.Conn, done chan struct{}) zws.Source {
		return &own{message(strings.Repeat("m", 100)), b.N, done}
	}
}

// benchmarkWrite writes b.N messages of 100 bytes to one client that drops them.
func benchmarkWrite(b *testing.B, name string, source func(*zws.Conn, chan struct{}) zws.Source) {
	o := options()
	s := serveWith(b, o, plain, accept, drop)
	c, err := zws.Dial(b.Context(), s.url(), clients(&o, "user")[name])
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buffer := make([]byte, 1<<20)
		for {
			if _, err := c.NetConn().Read(buffer); err != nil {
				return
			}
		}
	}()
	conn := (<-s.accepted).conn
	done := make(chan struct{})
	b.SetBytes(100)
	b.ReportAllocs()
	b.ResetTimer()
	conn.Channel().Attach(source(conn, done))
	<-done
	b.StopTimer()
	c.Close()
	<-drained
}

// BenchmarkAccept measures a whole connection: TCP, upgrade, login, close.
func BenchmarkAccept(b *testing.B) {
	o := options()
	for _, name := range []string{"ZWS2.0", "ZWS2.0/NULL", "ZWS2.0/PLAIN", "ZWS2.0/CURVE"} {
		b.Run(name, func(b *testing.B) {
			s := serve(b, o, plain)
			d := clients(&o, "user")[name]
			b.ReportAllocs()
			for b.Loop() {
				c, err := zws.Dial(b.Context(), s.url(), d)
				if err != nil {
					b.Fatal(err)
				}
				c.Close()
				(<-s.accepted).conn.Wait()
			}
		})
	}
}

// BenchmarkRead reads messages of 100 bytes from one client that sends them in large writes, or
// one by one.
func BenchmarkRead(b *testing.B) {
	one := frame(0x82, "\x00"+strings.Repeat("m", 100))
	for name, together := range map[string]int{"busy": 500, "one by one": 1} {
		b.Run(name, func(b *testing.B) {
			done := make(chan struct{})
			s := serveWith(b, options(), plain, accept, func(conn *zws.Conn) {
				defer close(done)
				for range b.N {
					if _, err := conn.Channel().ReadMessage(); err != nil {
						b.Error(err)
						return
					}
				}
			})
			p := s.dialRaw(b, "/", offering("WSNetMQ"))
			chunk := bytes.Repeat(one, together)
			b.SetBytes(100)
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= together {
				p.write(chunk[:min(left, together)*len(one)])
			}
			<-done
		})
	}
}

// BenchmarkWriteOneByOne wakes the writer for each message.
func BenchmarkWriteOneByOne(b *testing.B) {
	o := options()
	s := serveWith(b, o, plain, accept, drop)
	c, err := zws.Dial(b.Context(), s.url(), clients(&o, "user")["ZWS2.0/NULL"])
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	conn := (<-s.accepted).conn
	q := &queue{channel: conn.Channel()}
	conn.Channel().Attach(q)
	m := message(strings.Repeat("m", 100))
	b.SetBytes(100)
	b.ReportAllocs()
	for b.Loop() {
		q.put(m)
		if _, err := c.Recv(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

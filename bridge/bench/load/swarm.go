package load

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// swarm is a set of WebSocket clients that only read. One goroutine reads all of them by
// epoll, with large reads, so that the clients are not the bottleneck; over TLS each client
// has a goroutine of its own.
type swarm struct {
	poll    int
	clients []*client
	byFD    map[int32]*client

	low   atomic.Int64 // payload bytes of the client with the fewest
	total atomic.Int64 // payload bytes of all clients

	timing  atomic.Bool
	mu      sync.Mutex
	latency []time.Duration

	do   chan func()
	stop chan struct{}
	done sync.WaitGroup
}

type client struct {
	conn net.Conn
	counter
	tls     atomic.Int64 // payload bytes, where the client has a goroutine of its own
	base    int64        // payload bytes before the measurement
	mux     bool         // a client of ZWSMUX1.0
	granted int64        // payload bytes that it has given credit for again
}

// stampMark precedes the time at which a message was published, in 16 hexadecimal digits.
var stampMark = []byte("@@")

const (
	stampSize = 18
	// timed is the number of clients that look for the time in messages: enough for a 99th
	// percentile, and few enough not to slow the others down.
	timed = 64
)

// clock returns a monotonic time in nanoseconds that is the same in all processes.
func clock() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

func newSwarm() (*swarm, error) {
	poll, err := unix.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	return &swarm{
		poll: poll,
		byFD: make(map[int32]*client),
		do:   make(chan func()),
		stop: make(chan struct{}),
	}, nil
}

// connect connects n clients of p, eight at a time.
func (s *swarm) connect(p *Peer, srv *Server, n int) error {
	var mu sync.Mutex
	var failed error
	var dialing sync.WaitGroup
	for w := range 8 {
		dialing.Go(func() {
			for i := w; i < n; i += 8 {
				conn, err := p.Connect(srv, i)
				mu.Lock()
				if err != nil && failed == nil {
					failed = fmt.Errorf("client %d: %w", i, err)
				}
				if failed == nil {
					s.clients = append(s.clients, newClient(conn))
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	dialing.Wait()
	return failed
}

func newClient(conn net.Conn) *client {
	c := &client{conn: conn}
	if mux, ok := conn.(muxConn); ok {
		c.conn, c.mux, c.overhead = mux.NetConn(), true, muxHeader
	}
	return c
}

// start begins to read. Every client is connected before.
func (s *swarm) start() error {
	for i, c := range s.clients {
		tcp, ok := c.conn.(*net.TCPConn)
		if !ok {
			s.done.Go(func() { s.readTLS(c, i < timed) })
			continue
		}
		raw, err := tcp.SyscallConn()
		if err != nil {
			return err
		}
		var adding error
		if err := raw.Control(func(fd uintptr) {
			s.byFD[int32(fd)] = c
			adding = unix.EpollCtl(s.poll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd), Pad: int32(i)})
		}); err != nil {
			return err
		}
		if adding != nil {
			return adding
		}
	}
	s.done.Go(s.loop)
	return nil
}

// loop reads all clients without TLS and keeps low and total up to date.
func (s *swarm) loop() {
	events := make([]unix.EpollEvent, 512)
	buffer := make([]byte, 256<<10)
	for {
		select {
		case <-s.stop:
			return
		case f := <-s.do:
			f()
		default:
		}
		n, err := unix.EpollWait(s.poll, events, 5)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, e := range events[:max(n, 0)] {
			c := s.byFD[e.Fd]
			k, err := unix.Read(int(e.Fd), buffer)
			if k <= 0 {
				if err != unix.EAGAIN {
					unix.EpollCtl(s.poll, unix.EPOLL_CTL_DEL, int(e.Fd), nil)
				}
				continue
			}
			c.count(buffer[:k])
			c.grant()
			if e.Pad < timed && s.timing.Load() {
				s.stamps(buffer[:k])
			}
		}
		s.sum()
	}
}

func (s *swarm) sum() {
	low, total := int64(math.MaxInt64), int64(0)
	for _, c := range s.clients {
		n := c.payload + c.tls.Load() - c.base
		low, total = min(low, n), total+n
	}
	s.low.Store(low)
	s.total.Store(total)
}

// rebase excludes what has been received so far from low and total.
func (s *swarm) rebase() {
	done := make(chan struct{})
	s.do <- func() {
		for _, c := range s.clients {
			c.base = c.payload + c.tls.Load()
		}
		s.sum()
		close(done)
	}
	<-done
}

func (s *swarm) readTLS(c *client, timing bool) {
	own := newClient(c.conn) // the other goroutine reads c
	own.mux, own.overhead = c.mux, c.overhead
	buffer := make([]byte, 64<<10)
	for {
		k, err := own.conn.Read(buffer)
		if err != nil {
			return
		}
		own.count(buffer[:k])
		own.grant()
		c.tls.Store(own.payload)
		if timing && s.timing.Load() {
			s.stamps(buffer[:k])
		}
	}
}

// stamps records the age of the messages in p. A time that is cut by the end of the read is
// skipped.
func (s *swarm) stamps(p []byte) {
	now := clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		i := bytes.Index(p, stampMark)
		if i < 0 || len(p) < i+stampSize {
			return
		}
		if sent, err := strconv.ParseInt(string(p[i+2:i+stampSize]), 16, 64); err == nil {
			s.latency = append(s.latency, time.Duration(now-sent))
		}
		p = p[i+stampSize:]
	}
}

// percentile returns the given quantile of the latencies, or 0 without any.
func (s *swarm) percentile(q float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.latency) == 0 {
		return 0
	}
	slices.Sort(s.latency)
	return s.latency[min(int(q*float64(len(s.latency))), len(s.latency)-1)]
}

// time discards the latencies and begins to record them, or stops recording.
func (s *swarm) time(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.latency = s.latency[:0]
	}
	s.timing.Store(on)
}

func (s *swarm) close() {
	close(s.stop)
	for _, c := range s.clients {
		c.conn.Close()
	}
	s.done.Wait()
	unix.Close(s.poll)
}

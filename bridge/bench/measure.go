package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// load is what a peer is measured under.
type load struct {
	clients  int
	tls      bool
	rate     int // messages a second; 0: as fast as the slowest client takes them
	stalled  int // further clients that do not read
	topics   int // 0: one
	duration time.Duration
}

// figures are one run's.
type figures struct {
	rate     float64       // deliveries a second
	cpu      time.Duration // of the server, for a million deliveries
	message  time.Duration // of the server, for one message from upstream
	p50, p99 time.Duration
}

// bed is a peer with its clients and its publisher, ready to be measured.
type bed struct {
	srv     *server
	feed    *feed
	swarm   *swarm
	size    int64 // payload octets that a message is on the WebSocket
	stalled []net.Conn
}

func newServer(secure bool) (*server, error) {
	dir, err := os.MkdirTemp("", "zwsbench")
	if err != nil {
		return nil, err
	}
	return &server{address: freePort(), feed: freePort(), tls: secure, dir: dir}, nil
}

func setUp(p *peer, l load) (*bed, error) {
	b := &bed{}
	if err := b.open(p, l); err != nil {
		b.close()
		return nil, b.explain(err)
	}
	return b, nil
}

func (b *bed) open(p *peer, l load) (err error) {
	if b.srv, err = newServer(l.tls); err != nil {
		return err
	}
	if p.feed == nil {
		if b.feed, err = pub(b.srv.feed); err != nil {
			return err
		}
	}
	if err = p.start(b.srv); err != nil {
		return err
	}
	if err = b.srv.wait(); err != nil {
		return err
	}
	if p.feed != nil {
		if b.feed, err = p.feed(b.srv); err != nil {
			return err
		}
	}
	b.feed.topics = l.topics
	if b.swarm, err = newSwarm(); err != nil {
		return err
	}
	if err = b.swarm.connect(p, b.srv, l.clients); err != nil {
		return err
	}
	for i := range l.stalled {
		nc, err := p.connect(b.srv, l.clients+i)
		if err != nil {
			return err
		}
		b.stalled = append(b.stalled, nc)
	}
	if err = b.swarm.start(); err != nil {
		return err
	}
	if l.topics > 0 {
		b.size = 1 + messageSize
		return nil
	}
	return b.warmUp()
}

func (b *bed) close() {
	if b.swarm != nil {
		b.swarm.close()
	}
	for _, nc := range b.stalled {
		nc.Close()
	}
	if b.feed != nil {
		b.feed.close()
	}
	if b.srv != nil {
		b.srv.stop()
	}
}

// warmUp publishes until every client has heard something, and finds out how many octets
// a message takes.
func (b *bed) warmUp() error {
	for start := time.Now(); b.swarm.low.Load() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			return errors.New("not all clients hear the publisher")
		}
		if err := b.feed.publish(1); err != nil {
			return err
		}
	}
	b.quiet()
	b.swarm.rebase()
	if err := b.feed.publish(1); err != nil {
		return err
	}
	b.quiet()
	b.size = b.swarm.low.Load()
	if total := b.swarm.total.Load(); b.size == 0 || total != b.size*int64(len(b.swarm.clients)) {
		return fmt.Errorf("one message gave %d octets in all, %d at the least", total, b.size)
	}
	return nil
}

// quiet waits until nothing arrives any more.
func (b *bed) quiet() {
	for last := int64(-1); ; {
		total := b.swarm.total.Load()
		if total == last {
			return
		}
		last = total
		time.Sleep(300 * time.Millisecond)
	}
}

// window is how many messages the slowest client may be behind the publisher: the same
// backpressure for every server, and less than any of them drops at.
func window(clients int) int64 {
	if clients >= 1000 {
		return 2048
	}
	return 8192
}

// measure publishes for the load's duration.
func (b *bed) measure(l load) (figures, error) {
	// Before what counts, pools, buffers and windows grow.
	if err := b.drive(l, time.Second); err != nil {
		return figures{}, err
	}
	b.quiet()
	b.swarm.time(l.rate > 0) // a flood has no stamps, and looking for them would slow the clients
	cpu, total, sent, start := b.srv.cpu(), b.swarm.total.Load(), b.feed.sent, time.Now()
	if err := b.drive(l, l.duration); err != nil {
		return figures{}, err
	}
	cpu, total, sent = b.srv.cpu()-cpu, b.swarm.total.Load()-total, b.feed.sent-sent
	elapsed := time.Since(start)
	b.swarm.time(false)
	deliveries := float64(total) / float64(b.size)
	f := figures{
		rate:    deliveries / elapsed.Seconds(),
		message: cpu / time.Duration(max(sent, 1)),
		p50:     b.swarm.percentile(0.5),
		p99:     b.swarm.percentile(0.99),
	}
	if deliveries > 0 {
		f.cpu = time.Duration(float64(cpu) / deliveries * 1e6)
	}
	return f, nil
}

// drive publishes at the load's rate, or as the window allows.
func (b *bed) drive(l load, d time.Duration) error {
	if l.rate > 0 {
		return b.pace(l.rate, d)
	}
	base, baseLow, room := b.feed.sent, b.swarm.low.Load(), window(l.clients)
	last, progress := int64(0), time.Now()
	for start := time.Now(); time.Since(start) < d; {
		low := (b.swarm.low.Load() - baseLow) / b.size
		if low > last {
			last, progress = low, time.Now()
		} else if time.Since(progress) > 5*time.Second {
			return fmt.Errorf("a client has missed messages, or the server has stopped: %d sent, %d delivered", b.feed.sent-base, low)
		}
		free := room - (b.feed.sent - base - low)
		if free < room/4 {
			time.Sleep(20 * time.Microsecond)
			continue
		}
		if err := b.feed.flood(int(min(free, burstSize))); err != nil {
			return err
		}
	}
	return nil
}

func (b *bed) pace(rate int, d time.Duration) error {
	sent := 0
	for start := time.Now(); time.Since(start) < d; time.Sleep(500 * time.Microsecond) {
		due := int(time.Since(start).Seconds() * float64(rate))
		for ; sent < due; sent++ {
			if err := b.feed.publish(1); err != nil {
				return err
			}
		}
	}
	return nil
}

// run sets a peer up and measures it once.
func run(p *peer, l load) (figures, error) {
	b, err := setUp(p, l)
	if err != nil {
		return figures{}, err
	}
	defer b.close()
	f, err := b.measure(l)
	if err != nil {
		err = b.explain(err)
	}
	return f, err
}

// explain adds what the server has printed.
func (b *bed) explain(err error) error {
	if b.srv == nil {
		return err
	}
	return fmt.Errorf("%w; the server says: %s", err, tail(b.srv.output.String()))
}

// idle is the resident memory that n subscribed clients cost, for each.
func idle(p *peer, n int, secure bool) (octets int64, err error) {
	b, err := setUp(p, load{clients: 1, tls: secure})
	if err != nil {
		return 0, err
	}
	defer b.close()
	before, err := b.srv.resident()
	if err != nil {
		return 0, err
	}
	crowd, err := newSwarm()
	if err != nil {
		return 0, err
	}
	defer crowd.close()
	if err := crowd.connect(p, b.srv, n); err != nil {
		return 0, err
	}
	time.Sleep(5 * time.Second)
	after, err := b.srv.resident()
	return (after - before) / int64(n), err
}

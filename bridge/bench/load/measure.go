package load

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Profile is the load that a peer is measured under.
type Profile struct {
	Clients int
	TLS     bool
	Rate    int   // messages per second; 0: as fast as the slowest client reads
	Window  int64 // without Rate: how far the slowest client may lag behind, in messages; 0: thousands
	Stalled int   // further clients, which do not read
	Topics  int   // 0: one topic, Topic
	Pace
}

// Pace is how long a measurement takes.
type Pace struct {
	Duration time.Duration
	WarmUp   time.Duration // load before what counts; 0: 1 s
	Settle   time.Duration // silence after which nothing more is on its way; 0: 300 ms
}

func (p Pace) withDefaults() Pace {
	if p.WarmUp == 0 {
		p.WarmUp = time.Second
	}
	if p.Settle == 0 {
		p.Settle = 300 * time.Millisecond
	}
	return p
}

// Result is what one measurement gave.
type Result struct {
	Rate     float64       // deliveries or round trips per second
	CPU      time.Duration // of the server, per million of them
	Message  time.Duration // processor time of the server per published message
	P50, P99 time.Duration // from the publisher's write to the client's read; with Profile.Rate only
}

// setup is a running server with its clients and its publisher.
type setup struct {
	srv       *Server
	publisher *Publisher
	swarm     *swarm
	settle    time.Duration
	size      int64 // payload bytes per message on the WebSocket
	stalled   []net.Conn
}

func newSetup(p *Peer, l Profile) (*setup, error) {
	s := &setup{settle: l.Settle}
	if err := s.open(p, l); err != nil {
		s.close()
		return nil, s.explain(err)
	}
	return s, nil
}

func (s *setup) open(p *Peer, l Profile) error {
	if err := s.start(p, l); err != nil {
		return err
	}
	s.publisher.topics = l.Topics
	var err error
	if s.swarm, err = newSwarm(); err != nil {
		return err
	}
	if err = s.swarm.connect(p, s.srv, l.Clients); err != nil {
		return err
	}
	for i := range l.Stalled {
		nc, err := p.Connect(s.srv, l.Clients+i)
		if err != nil {
			return err
		}
		s.stalled = append(s.stalled, nc)
	}
	if err = s.swarm.start(); err != nil {
		return err
	}
	if l.Topics > 0 {
		s.size = 1 + MessageSize
		return nil
	}
	return s.reach()
}

// start starts the server and the publisher, in the order that the peer needs.
func (s *setup) start(p *Peer, l Profile) (err error) {
	if s.srv, err = newServer(l.TLS); err != nil {
		return err
	}
	if p.Publisher == nil {
		if s.publisher, err = listenPub(s.srv.Feed); err != nil {
			return err
		}
	}
	if err = p.Start(s.srv); err != nil {
		return err
	}
	if err = s.srv.wait(); err != nil {
		return err
	}
	if p.Publisher != nil {
		s.publisher, err = p.Publisher(s.srv)
	}
	return err
}

func (s *setup) close() {
	if s.swarm != nil {
		s.swarm.close()
	}
	for _, nc := range s.stalled {
		nc.Close()
	}
	if s.publisher != nil {
		s.publisher.close()
	}
	if s.srv != nil {
		s.srv.stop()
	}
}

// reach publishes until every client has received something, and finds the size of a message
// on the WebSocket.
func (s *setup) reach() error {
	for start := time.Now(); s.swarm.low.Load() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			return errors.New("some clients do not receive what is published")
		}
		if err := s.publisher.publish(1); err != nil {
			return err
		}
	}
	s.quiet()
	s.swarm.rebase()
	if err := s.publisher.publish(1); err != nil {
		return err
	}
	s.quiet()
	s.size = s.swarm.low.Load()
	if total := s.swarm.total.Load(); s.size == 0 || total != s.size*int64(len(s.swarm.clients)) {
		return fmt.Errorf("one message gave %d bytes at all clients, and %d at the one with the fewest", total, s.size)
	}
	return nil
}

// quiet waits until nothing has arrived for the time to settle.
func (s *setup) quiet() {
	for last := int64(-1); ; {
		total := s.swarm.total.Load()
		if total == last {
			return
		}
		last = total
		time.Sleep(s.settle)
	}
}

// window returns how many messages the slowest client may lag behind the publisher: the same
// backpressure for every server, and less than any of them would drop messages at.
func (l Profile) window() int64 {
	switch {
	case l.Window > 0:
		return l.Window
	case l.Clients >= 1000:
		return 2048
	}
	return 8192
}

// measure publishes for the profile's duration.
func (s *setup) measure(l Profile) (Result, error) {
	// Pools, buffers and TCP windows grow before the measurement begins.
	if err := s.drive(l, l.WarmUp); err != nil {
		return Result{}, err
	}
	s.quiet()
	s.swarm.time(l.Rate > 0) // messages of a burst carry no time, and looking for it would slow the clients down
	cpu, total, sent, start := s.srv.cpu(), s.swarm.total.Load(), s.publisher.sent, time.Now()
	if err := s.drive(l, l.Duration); err != nil {
		return Result{}, err
	}
	cpu, total, sent = s.srv.cpu()-cpu, s.swarm.total.Load()-total, s.publisher.sent-sent
	elapsed := time.Since(start)
	s.swarm.time(false)
	deliveries := float64(total) / float64(s.size)
	r := Result{
		Rate:    deliveries / elapsed.Seconds(),
		Message: cpu / time.Duration(max(sent, 1)),
		P50:     s.swarm.percentile(0.5),
		P99:     s.swarm.percentile(0.99),
	}
	if deliveries > 0 {
		r.CPU = time.Duration(float64(cpu) / deliveries * 1e6)
	}
	return r, nil
}

// drive publishes for d at the profile's rate, or as fast as the window allows.
func (s *setup) drive(l Profile, d time.Duration) error {
	if l.Rate > 0 {
		return s.pace(l.Rate, d)
	}
	base, baseLow, room := s.publisher.sent, s.swarm.low.Load(), l.window()
	last, progress := int64(0), time.Now()
	for start := time.Now(); time.Since(start) < d; {
		low := (s.swarm.low.Load() - baseLow) / s.size
		if low > last {
			last, progress = low, time.Now()
		} else if time.Since(progress) > 5*time.Second {
			return fmt.Errorf("a client has missed messages, or the server has stopped: %d sent, %d delivered", s.publisher.sent-base, low)
		}
		free := room - (s.publisher.sent - base - low)
		if free < max(room/4, 1) {
			time.Sleep(20 * time.Microsecond)
			continue
		}
		if err := s.publisher.flood(int(min(free, burstSize))); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) pace(rate int, d time.Duration) error {
	sent := 0
	for start := time.Now(); time.Since(start) < d; time.Sleep(500 * time.Microsecond) {
		due := int(time.Since(start).Seconds() * float64(rate))
		for ; sent < due; sent++ {
			if err := s.publisher.publish(1); err != nil {
				return err
			}
		}
	}
	return nil
}

// explain adds what the server has printed to err.
func (s *setup) explain(err error) error {
	if s.srv == nil {
		return err
	}
	return fmt.Errorf("%w; output of the server: %s", err, s.srv.tail())
}

// Run starts a peer and measures it once.
func Run(p *Peer, l Profile) (Result, error) {
	l.Pace = l.withDefaults()
	s, err := newSetup(p, l)
	if err != nil {
		return Result{}, err
	}
	defer s.close()
	r, err := s.measure(l)
	if err != nil {
		err = s.explain(err)
	}
	return r, err
}

// Idle returns the resident memory in bytes that a subscribed client costs, as the growth by
// n of them. It waits for rest before it looks.
func Idle(p *Peer, n int, secure bool, rest time.Duration) (bytes int64, err error) {
	s, err := newSetup(p, Profile{Clients: 1, TLS: secure, Pace: Pace{Settle: 100 * time.Millisecond}})
	if err != nil {
		return 0, err
	}
	defer s.close()
	before, err := s.srv.resident()
	if err != nil {
		return 0, err
	}
	crowd, err := newSwarm()
	if err != nil {
		return 0, err
	}
	defer crowd.close()
	if err := crowd.connect(p, s.srv, n); err != nil {
		return 0, s.explain(err)
	}
	time.Sleep(rest)
	after, err := s.srv.resident()
	return (after - before) / int64(n), err
}

package load

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Storm is a load of clients that all ask for what they have missed at the same time.
type Storm struct {
	Clients  int
	Messages int // that each of them has missed
	Others   int // clients that get live messages meanwhile
	Rate     int // live messages per second
}

// Replay is what clients that asked for kept messages have cost.
type Replay struct {
	CPU       time.Duration // of the server
	Generator time.Duration // processor time of the load
	Elapsed   time.Duration
	P99, Max  time.Duration // of the live messages meanwhile, from the publisher's write to the client's read
	Late      time.Duration // the longest that the load waited for the processor when it was to sleep 0.5 ms
}

// Run starts a peer and measures the storm once.
func (l Storm) Run(h *Historian) (Replay, error) {
	s, err := newSetup(h.Peer, Profile{Clients: l.Others, Pace: Pace{}.withDefaults()})
	if err != nil {
		return Replay{}, err
	}
	defer s.close()
	position, err := s.fill(h, l)
	if err != nil {
		return Replay{}, s.explain(err)
	}
	askers, err := h.crowd(s.srv, l.Clients, position)
	if err != nil {
		return Replay{}, s.explain(err)
	}
	defer closeAll(askers)
	r, err := s.replay(l.Rate, func() error { return askAtOnce(askers, l.Messages) })
	if err != nil {
		err = s.explain(err)
	}
	return r, err
}

// fill publishes one message and those that the clients will have missed, waits until the server
// keeps them, and returns the position of the first.
func (s *setup) fill(h *Historian, l Storm) (string, error) {
	if h.Prepare != nil {
		if err := h.Prepare(s.srv, l.Clients+1); err != nil {
			return "", err
		}
	}
	topics := slices.Repeat([]string{KeptTopic}, 1+l.Messages)
	for some := range slices.Chunk(topics, burstSize) {
		if err := s.publisher.publishAbout(some); err != nil {
			return "", err
		}
	}
	probe, err := h.login(s.srv, l.Clients, "")
	if err != nil {
		return "", err
	}
	defer probe.conn.Close()
	if err := probe.ask(len(topics)); err != nil || h.Position == nil {
		return "", err
	}
	return h.Position(probe.first)
}

// replay measures what f costs, while live messages are published at the given rate, for one
// second at least.
func (s *setup) replay(rate int, f func() error) (Replay, error) {
	s.quiet()
	done := make(chan error, 1)
	s.swarm.time(true)
	cpu, generator, start := s.srv.cpu(), ProcessorTime(), time.Now()
	var r Replay
	go func() {
		err := f()
		r.CPU, r.Generator, r.Elapsed = s.srv.cpu()-cpu, ProcessorTime()-generator, time.Since(start)
		done <- err
	}()
	late, err := s.paceUntil(rate, time.Second, done)
	s.quiet()
	s.swarm.time(false)
	r.Late, r.P99, r.Max = late, s.swarm.percentile(0.99), s.swarm.percentile(1)
	if err == nil && r.Max == 0 {
		err = errors.New("no live message arrived")
	}
	return r, err
}

// paceUntil publishes at a rate until done, but for d at least. late is the longest that it slept
// beyond what it asked for.
func (s *setup) paceUntil(rate int, d time.Duration, done <-chan error) (late time.Duration, err error) {
	const step = 500 * time.Microsecond
	start, sent := time.Now(), 0
	for {
		due := int(time.Since(start).Seconds() * float64(rate))
		for ; sent < due; sent++ {
			if err := s.publisher.publish(1); err != nil {
				return late, err
			}
		}
		slept := time.Now()
		time.Sleep(step)
		late = max(late, time.Since(slept)-step)
		if done != nil {
			select {
			case err := <-done:
				if err != nil {
					return late, err
				}
				done = nil
			default:
			}
			continue
		}
		if time.Since(start) >= d {
			return late, nil
		}
	}
}

// ProcessorTime returns the processor time of this process, user and system.
func ProcessorTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

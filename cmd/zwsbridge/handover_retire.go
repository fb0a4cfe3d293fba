package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/takeover"
)

const (
	// resumeInterval is the time between attempts to open again what was released.
	resumeInterval = 5 * time.Second
	// maxReplacements is how many processes follow one that has taken over and has ended while this one drains.
	maxReplacements = 3
)

// handOver starts the program again and hands everything over to it. It returns nil if that fails: then
// this process goes on, unless ctx is done.
func (s *server) handOver(ctx context.Context) *takeover.Child {
	listeners := s.program.open
	for _, l := range s.bridge.Listeners() {
		network, address, socket := l.Socket()
		if c, ok := socket.(syscall.Conn); ok {
			listeners = append(listeners[:len(listeners):len(listeners)], takeover.Listener{Name: endpoint(network, address), Conn: c})
		}
	}
	s.log.Info("handing over to a new process", "program", os.Args[0])
	released := false
	child, err := s.startNext(ctx, listeners, takeover.Timeout, func() time.Time {
		released = true
		s.program.accepting.pause()
		return s.bridge.Release(ctx)
	})
	switch {
	case err == nil:
		return child
	case ctx.Err() != nil:
		s.log.Info("not handed over, since this process is to end: the new one was ended")
		return nil
	}
	s.log.Error("not handed over, this process goes on", "error", err)
	if released {
		s.resume()
		s.program.accepting.resume()
	}
	return nil
}

// resume opens again what was released, now or later.
func (s *server) resume() {
	again := s.resuming != nil
	s.resuming = nil
	if err := s.bridge.Resume(); err != nil {
		s.log.Error("routes stay closed, since what was released cannot be opened again", "error", err, "next_attempt", resumeInterval)
		s.resuming = time.After(resumeInterval)
	} else if again {
		s.log.Info("what was released is open again")
	}
}

// startNext starts the program again with listeners, and returns once the new process serves. It calls release
// if that needs the files. If it is not ready within limit, or ctx is done, it is ended.
func (s *server) startNext(ctx context.Context, listeners []takeover.Listener, limit time.Duration, release func() time.Time) (*takeover.Child, error) {
	child, err := takeover.Start(listeners)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, child, limit, release); err != nil {
		child.Kill()
		return nil, err
	}
	return child, nil
}

// await returns once the new process serves.
func (s *server) await(ctx context.Context, child *takeover.Child, limit time.Duration, release func() time.Time) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		select {
		case event, ok := <-child.Events:
			switch {
			case !ok:
				return child.Err()
			case event == takeover.Release:
				_ = child.Released(release()) // an error is the end of the process, which is an event
			case event == takeover.Ready:
				s.unwatch()
				s.announcer.close() // before the new process announces the bridge
				s.notifier.handedOver(child.PID())
				_ = child.Main() // likewise
				return nil
			}
		case <-timeout.C:
			return fmt.Errorf("process %d does not serve after %v", child.PID(), limit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errHandedOver answers a request for a reload.
var errHandedOver = errors.New("another process has taken over: reload again there")

// retire ends the connections, which the new process takes, for server.handover_drain at most or until
// ctx is done. The error is not nil if nobody serves any more.
func (s *server) retire(ctx context.Context, child *takeover.Child, reload <-chan os.Signal) error {
	start := time.Now()
	s.log.Info("handed over", "to", child.PID(), "connections", s.bridge.Connections(), "handover_drain", s.config.Server.HandoverDrain)
	keepFile(s.socketListener, true) // it is the other's
	s.program.parent.HandedOver()    // it can still drain
	kept, letGo := s.program.keep()
	defer letGo()
	for _, server := range []*http.Server{s.http, s.admin, s.socket} {
		if server != nil {
			go func() { _ = server.Shutdown(ctx) }() // closes the listener at once
		}
	}
	s.bridge.Release(ctx) // for a reload there: without files in its configuration the other has not asked for this
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving, alone := context.WithCancel(context.Background())
	defer alone()
	following, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var failure error
	running.Go(func() {
		f := follower{server: s, child: child, kept: kept, reload: reload}
		if failure = f.run(ctx, following); failure != nil {
			cancel()
			alone()
		}
	})
	s.bridge.HandOver(ctx)
	err := s.close(serving)
	stop()
	running.Wait()
	if failure != nil {
		return failure // so that a service manager starts the program again
	}
	s.log.Info("all connections have ended after the handover", "to", child.PID(), "took", time.Since(start).Round(time.Millisecond))
	return err
}

// follower is what a process does beside ending its connections after it has handed over.
type follower struct {
	*server
	child    *takeover.Child
	kept     []takeover.Listener
	reload   <-chan os.Signal
	replaced int
}

// run tells the new process each second how many connections are left, passes on what is requested of
// this one, and replaces the new one if it ends, until following is done. ctx is done when this process is to end.
func (f *follower) run(ctx, following context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	events := f.child.Events
	for {
		_ = f.child.Left(f.bridge.Connections()) // an error is the end of the process
		select {
		case _, running := <-events:
			if running { // it needs files after Ready, for a configuration that it reloads
				_ = f.child.Released(time.Now()) // likewise; retire has closed them
				continue
			}
			events = nil
			if f.child.Err() == nil || ctx.Err() != nil { // it was to end
				continue
			}
			if err := f.replace(ctx); err != nil {
				return err
			}
			events = f.child.Events
		case <-f.reload:
			f.log.Info("a reload is left to the process that took over", "pid", f.child.PID())
			_ = f.child.Reload() // likewise
		case request := <-f.reloads:
			request.answer(bridge.Reloaded{}, errHandedOver)
		case <-f.handover:
			f.log.Warn("handed over already: the signal is for the process that took over", "pid", f.child.PID())
		case <-ticker.C:
		case <-following.Done():
			return nil
		}
	}
}

// errNobodyServes ends this process, although connections are left.
var errNobodyServes = errors.New("the process that took over has ended, and no other could take its place")

// replace starts another process in place of the one that took over and has ended. Meanwhile this one is the
// service's main process, whose failure a service manager notices.
func (f *follower) replace(ctx context.Context) error {
	f.log.Error("the process that took over has ended: another one is started", "pid", f.child.PID(), "error", f.child.Err())
	f.notifier.handedOver(os.Getpid())
	ended := time.Now()
	err := fmt.Errorf("%d others have ended before", f.replaced)
	if f.replaced++; f.replaced <= maxReplacements {
		var child *takeover.Child
		child, err = f.startNext(ctx, f.kept, takeover.Timeout, func() time.Time { return ended }) // this one has no file open
		if err == nil {
			f.child = child
			f.log.Info("another process has taken over", "to", child.PID())
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	f.log.Error("nobody serves, this process ends", "error", err)
	return fmt.Errorf("%w: %w", errNobodyServes, err)
}

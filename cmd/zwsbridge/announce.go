package main

import (
	"context"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// announceRetry is how long an announcement waits after the network could not be used.
const announceRetry = 30 * time.Second

// announcer announces the bridge in the local network. Its methods are called by one goroutine.
type announcer struct {
	log     *slog.Logger
	publish func(context.Context, dnssd.Publication, *slog.Logger) error // dnssd.Publish

	now     dnssd.Publication // what is announced; zero = nothing
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// set announces a bridge that listens on l as the configuration says, or ends that.
func (a *announcer) set(c *config.Config, l net.Listener) {
	var next dnssd.Publication
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && c.Server.Announce != "" {
		next = c.Publication(uint16(tcp.Port))
	}
	if reflect.DeepEqual(next, a.now) {
		return
	}
	a.close()
	if next.Instance == "" {
		return
	}
	a.now = next
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	a.running.Go(func() { a.run(ctx, next) })
}

// run announces p until ctx is done, also after the network could not be used.
func (a *announcer) run(ctx context.Context, p dnssd.Publication) {
	last := ""
	for {
		err := a.publish(ctx, p, a.log)
		if ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != last {
			last = text
			a.log.Warn("the bridge cannot be announced in the local network: trying again", "name", p.Instance, "error", text)
		}
		select {
		case <-time.After(announceRetry):
		case <-ctx.Done():
			return
		}
	}
}

// close takes the announcement back.
func (a *announcer) close() {
	if a.cancel != nil {
		a.cancel()
		a.running.Wait()
	}
	a.now, a.cancel = dnssd.Publication{}, nil
}

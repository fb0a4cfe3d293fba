package bridge

import (
	"context"
	"maps"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/conn"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Listeners lists what is open for bind and zap.listen, so that the program can hand it over to another
// process ([Options.Socket]).
func (b *Bridge) Listeners() (list []*zmtp.Listener) {
	s := b.state.Load()
	for _, r := range s.sorted() {
		list = append(list, r.Listeners()...)
	}
	return append(list, s.zapListen.Listeners()...)
}

// Release lets another process open the files that one process only can have open: it ends the sessions on
// routes whose history is in files with 1001, closes these and the identity stores, and refuses
// clients until HandOver or Resume is called. It returns when the bridge has stopped writing to them.
func (b *Bridge) Release(ctx context.Context) (stopped time.Time) {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	stopped = b.shed(ctx, (*route.Route).KeepsFile)
	b.state.Load().auth.Release()
	return stopped
}

// Resume undoes Release after the other process has failed. Clients are refused until the routes are back. If it
// fails, all other routes are served again, and it can be called again.
func (b *Bridge) Resume() error {
	err := b.reload(b.state.Load().config, conn.ErrReplaced)
	b.connections.EndDrain(err == nil)
	return err
}

// HandOver leaves the clients to another process, which serves already: the sessions on routes with bind
// end with 1001 at once, together with their backends, all others in waves over server.handover_drain
// at most, as the other process can judge their logins. It returns when they are over or ctx is done. The
// caller then calls Close.
func (b *Bridge) HandOver(ctx context.Context) {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.shed(ctx, (*route.Route).Listens)
	s := b.state.Load()
	for _, r := range s.routes {
		r.Resign()
	}
	s.zapListen.HandOver()
	b.connections.Drain(ctx, s.config.Server.HandoverDrain)
}

// shed takes routes out of force, ends the sessions there, and closes the routes, which keep nothing since stopped.
func (b *Bridge) shed(ctx context.Context, gone func(*route.Route) bool) (stopped time.Time) {
	b.connections.BeginDrain()
	old := b.state.Load()
	next := *old
	next.routes = maps.Clone(old.routes)
	maps.DeleteFunc(next.routes, func(_ string, r *route.Route) bool {
		if gone(r) {
			r.KeepFiles()
		}
		return gone(r)
	})
	b.state.Store(&next)
	b.connections.EndRoutes(ctx)
	stopped = time.Now()
	old.closeRoutes(&next)
	return stopped
}

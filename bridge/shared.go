package bridge

import (
	"context"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws"
)

// shared serves all channels of a route by one socket. When its last endpoint has refused
// us all channels end, and the next client has it opened anew.
type shared struct {
	route *route
	open  func(lost func(error)) (*backend.Shared, error)
	layer func(*backend.Shared, func(error)) (layer, error)

	mu   sync.Mutex
	live *liveSocket // nil once closed
}

// layer stands between a shared socket and its channels: a hub that fans out, or nothing
// but the socket's own envelopes.
type layer interface {
	// join gives a channel its side of the socket.
	join(c *channel) (backend.Socket, error)
	// close ends the layer, before the socket is closed.
	close()
}

// liveSocket is an open socket, and who is on it.
type liveSocket struct {
	socket *backend.Shared
	layer  layer

	mu       sync.Mutex
	err      error             // why it has ended
	sessions map[*session]bool // whom to tell so
}

// newShared opens the socket, so that it is connected when the first client comes.
func newShared(r *route, open func(lost func(error)) (*backend.Shared, error),
	layer func(*backend.Shared, func(error)) (layer, error)) (*shared, error) {
	u := &shared{route: r, open: open, layer: layer}
	var err error
	u.live, err = u.start()
	return u, err
}

func (u *shared) start() (_ *liveSocket, err error) {
	live := &liveSocket{sessions: make(map[*session]bool)}
	if live.socket, err = u.open(live.fail); err != nil {
		return nil, err
	}
	if live.layer, err = u.layer(live.socket, live.fail); err != nil {
		_ = live.socket.Close()
		return nil, err
	}
	return live, nil
}

func (u *shared) attach(ctx context.Context, s *session, _ *zws.Login, c *channel) (backend.Socket, error) {
	live, err := u.current()
	if err != nil {
		return nil, err
	}
	if err := u.waitReady(ctx, live); err != nil {
		return nil, err
	}
	if err := live.enter(s); err != nil {
		return nil, err
	}
	socket, err := live.layer.join(c)
	if err != nil {
		live.leave(s)
		return nil, err
	}
	return &sharedSocket{Socket: socket, live: live, session: s}, nil
}

// waitReady waits for the route's `ready` rule: for the end of the attempts that are under
// way, or where peers dial in, as long as a connect may take.
func (u *shared) waitReady(ctx context.Context, live *liveSocket) error {
	if u.route.config.Ready == config.ReadyNone {
		return nil
	}
	if len(u.route.config.Bind) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.route.config.ConnectTimeout)
		defer cancel()
	}
	err := live.socket.Wait(ctx)
	if err != nil && live.refused() {
		live.fail(err)
	}
	return err
}

// current is the open socket. One that has ended is opened anew.
func (u *shared) current() (*liveSocket, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.live == nil:
		return nil, errShutdown
	case u.live.alive():
		return u.live, nil
	}
	live, err := u.start()
	if err != nil {
		return nil, err
	}
	u.live.close()
	u.live = live
	return live, nil
}

func (u *shared) statuses() []backend.Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil {
		return nil
	}
	return u.live.socket.Status()
}

func (u *shared) close() {
	u.mu.Lock()
	live := u.live
	u.live = nil
	u.mu.Unlock()
	if live != nil {
		live.close()
	}
}

// fail ends every session on the socket. It does not block.
func (l *liveSocket) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	for s := range l.sessions {
		s.end(err)
	}
}

func (l *liveSocket) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err == nil
}

// refused tells whether every endpoint has refused us, so that none is tried again.
func (l *liveSocket) refused() bool {
	list := l.socket.Status()
	return len(list) > 0 && !slices.ContainsFunc(list, func(s backend.Status) bool { return s.State != backend.Refused })
}

func (l *liveSocket) enter(s *session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.sessions[s] = true
	}
	return l.err
}

func (l *liveSocket) leave(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s)
}

func (l *liveSocket) close() {
	l.layer.close()
	_ = l.socket.Close()
}

// sharedSocket is a channel's side of a shared socket.
type sharedSocket struct {
	backend.Socket
	live    *liveSocket
	session *session
}

// Close leaves the shared socket, which stays open.
func (s *sharedSocket) Close() error {
	err := s.Socket.Close()
	s.live.leave(s.session)
	return err
}

// envelopes is the layer of a socket that tells its sessions apart by itself.
type envelopes struct{ socket *backend.Shared }

func (e envelopes) join(c *channel) (backend.Socket, error) { return e.socket.Attach(c) }
func (e envelopes) close()                                  {}

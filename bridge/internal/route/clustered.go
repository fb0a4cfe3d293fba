package route

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// clustered serves the streams of a route whose history several bridges share. What the history
// keeps comes from there, on the bridge that leads as well; that one reads it from the backends and
// writes it there. Topics that it does not keep come from the backends directly: a bridge that does
// not lead is connected only while its clients want such topics, or for an XSUB.
type clustered struct {
	route *Route
	share *natsstore.Share
	hub   *fanout.Hub
	kept  atomic.Pointer[history.Match] // what the history keeps

	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // something has changed that run acts on

	mu      sync.Mutex
	keeping bool            // else another route has the archive
	wanted  map[string]bool // what the hub is subscribed to
	socket  *backend.Shared // nil while it is not needed
	up      backend.Socket  // on socket
	sent    map[string]bool // what up is subscribed to
	closed  bool

	followed followed // what run has applied last
}

// reopenWait is how long a socket that cannot be opened is left alone.
const reopenWait = 5 * time.Second

// newClustered returns the upstream of a route with a shared archive.
func newClustered(r *Route) *clustered {
	c := &clustered{
		route: r, share: r.archive.share, wake: make(chan struct{}, 1),
		wanted: make(map[string]bool), hub: fanout.New(hubOptions(r)),
	}
	c.kept.Store(history.NewMatch(r.Rules().archive.log.Topics, nil))
	r.metrics.KeepsHistory()
	event := r.socketOptions.Event
	r.socketOptions.Event = func(s backend.Status) {
		event(s)
		c.changed()
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	c.running.Go(func() { _ = c.hub.Run(ctx, clusterUpstream{c}) })
	c.running.Go(func() { c.run(ctx) })
	return c
}

// changed wakes run.
func (c *clustered) changed() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// keep makes the route feed its hub from the archive, or not any more.
func (c *clustered) keep(on bool) {
	c.kept.Store(history.NewMatch(c.route.Rules().archive.log.Topics, nil))
	c.mu.Lock()
	c.keeping = on
	c.mu.Unlock()
	if on {
		c.route.archive.hub.Store(c.hub)
		c.route.archive.cluster.Store(c)
	} else {
		c.leave()
	}
	c.changed()
}

// leave takes the route off the archive, unless another has replaced it there.
func (c *clustered) leave() {
	c.route.archive.hub.CompareAndSwap(c.hub, nil)
	c.route.archive.cluster.CompareAndSwap(c, nil)
}

// clusterUpstream is what the hub subscribes at.
type clusterUpstream struct{ c *clustered }

// Subscribe implements fanout.Upstream.
func (u clusterUpstream) Subscribe(_ context.Context, topics ...[]byte) error {
	u.c.want(true, topics)
	return nil
}

// Unsubscribe implements fanout.Upstream.
func (u clusterUpstream) Unsubscribe(_ context.Context, topics ...[]byte) error {
	u.c.want(false, topics)
	return nil
}

func (c *clustered) want(on bool, topics [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		if on {
			c.wanted[string(t)] = true
		} else {
			delete(c.wanted, string(t))
		}
	}
	c.changed()
}

// run opens and closes the socket as it is needed, until ctx ends.
func (c *clustered) run(ctx context.Context) {
	defer c.disconnect()
	for {
		changed := c.share.Changed()
		c.follow()
		wait := c.adjust(ctx)
		var later <-chan time.Time
		if wait > 0 {
			later = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-c.wake:
		case <-later:
		}
	}
}

// adjust makes the socket what is needed now. If that fails, it returns when to try again.
func (c *clustered) adjust(ctx context.Context) (again time.Duration) {
	topics := c.needed()
	leads := c.share.Leading()
	switch open := c.current() != nil; {
	case len(topics) == 0 && !c.route.sends():
		c.disconnect()
		return 0
	case !open:
		if err := c.connect(); err != nil {
			c.route.log.Error("backends cannot be connected", "error", err.Error())
			return reopenWait
		}
	}
	c.subscribe(ctx, topics)
	if leads {
		c.share.SetStates(encodeStatuses(c.current().Status()))
	}
	return 0
}

// needed returns what the socket must be subscribed to.
func (c *clustered) needed() map[string]bool {
	topics, kept := make(map[string]bool), c.kept.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.keeping {
		return topics
	}
	for t := range c.wanted {
		if !kept.Matches([]byte(t)) {
			topics[t] = true
		}
	}
	if c.share.Leading() {
		for _, t := range c.route.Rules().archive.log.Topics {
			topics[string(t)] = true
		}
	}
	return topics
}

func (c *clustered) current() *backend.Shared {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socket
}

// connect opens the socket.
func (c *clustered) connect() error {
	open := c.route.dialShared
	if c.route.listens {
		open = c.route.listen
	}
	socket, err := open()
	if err != nil {
		return err
	}
	up, err := socket.Attach(clusterReceiver{c}, backend.AttachOptions{})
	if err != nil {
		_ = socket.Close()
		return err
	}
	socket.Enter() // the history wants messages while no client is there
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket, c.up, c.sent = socket, up, make(map[string]bool)
	return nil
}

// prepare implements upstream.
func (c *clustered) prepare(l *links) (apply func(), err error) {
	if c.route.listens {
		return func() {}, nil
	}
	o, err := c.route.dialOptions(l, nil)
	if err != nil {
		return nil, err
	}
	return func() {
		if socket := c.current(); socket != nil {
			_ = socket.Update(o) // but once it is closed, the list is one that it can have
		}
		c.changed()
	}, nil
}

// disconnect closes the socket.
func (c *clustered) disconnect() {
	c.mu.Lock()
	socket := c.socket
	c.socket, c.up, c.sent = nil, nil, nil
	c.mu.Unlock()
	if socket != nil {
		_ = socket.Close()
	}
}

// subscribe subscribes the socket to topics, and to nothing else.
func (c *clustered) subscribe(ctx context.Context, topics map[string]bool) {
	var add, remove [][]byte
	for t := range topics {
		if !c.sent[t] {
			add = append(add, []byte(t))
		}
	}
	for t := range c.sent {
		if !topics[t] {
			remove = append(remove, []byte(t))
		}
	}
	// An error means that the socket was closed.
	if len(remove) > 0 {
		_ = c.up.Unsubscribe(ctx, remove...)
	}
	if len(add) > 0 {
		_ = c.up.Subscribe(ctx, add...)
	}
	c.sent = maps.Clone(topics)
}

// clusterReceiver receives what backends send.
type clusterReceiver struct{ c *clustered }

// Message implements backend.Receiver.
func (r clusterReceiver) Message(m zmtp.Message) error {
	if r.c.kept.Load().Matches(m[0]) {
		r.c.share.Append(m)
		return nil
	}
	return r.c.hub.Message(m)
}

// Discarded implements backend.Receiver.
func (r clusterReceiver) Discarded(m zmtp.Message) {
	if r.c.kept.Load().Matches(m[0]) {
		r.c.share.Skipped(m[0])
		return
	}
	r.c.hub.Discarded(m)
}

// Flush implements backend.Receiver.
func (r clusterReceiver) Flush() {
	r.c.share.Flush()
	r.c.hub.Flush()
}

func (c *clustered) statuses() []backend.Status {
	leader, ok := c.share.Leader()
	if !ok {
		return nil
	}
	return decodeStatuses(leader.States)
}

// connected reports whether a backend is connected to the bridge that leads.
func (c *clustered) connected() bool {
	return slices.ContainsFunc(c.statuses(), func(s backend.Status) bool { return s.State == backend.Connected })
}

func (c *clustered) close() {
	c.mu.Lock()
	c.closed, c.keeping = true, false
	c.mu.Unlock()
	c.leave()
	c.cancel()
	c.running.Wait()
}

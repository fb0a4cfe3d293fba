package htpasswd

import (
	"container/list"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// maxWaiting limits the logins in a queue. In general their deadlines limit them first.
const maxWaiting = 4096

// queue holds the logins that wait for one of a number of slots, one slot for each hash that
// is computed at the same time. Client networks take turns, and within a network the first
// login comes first. A login whose hash cannot be finished before its deadline is refused at
// once, with advice when to come back, so that no hash is computed for nothing.
type queue struct {
	slots int

	mu       sync.Mutex
	busy     int                     // slots in use
	waiting  int                     // logins, of all networks
	turns    list.List               // of *network: those with waiting logins, the next one first
	networks map[netip.Addr]*network // with waiting logins or bookings
	booked   bookings
	took     durations
}

// network is what the queue knows about the clients of one network.
type network struct {
	key    netip.Addr
	logins list.List     // of *waiter, the first one first
	turn   *list.Element // in queue.turns; nil if no login waits
	booked int           // in queue.booked
}

// waiter is a login that waits.
type waiter struct {
	ctx   context.Context
	cost  int
	place *list.Element // in network.logins
	done  chan struct{} // closed when err is set or a slot was given
	err   error
}

func newQueue(slots int) *queue {
	return &queue{slots: slots, networks: make(map[netip.Addr]*network)}
}

// networkOf returns the key of the clients that share their turns: an IPv6 host can use every
// address of its /64. Requests without an address share theirs.
func networkOf(req *zap.Request) netip.Addr {
	ip, _ := req.IP()
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// enter waits for a slot, which the caller gives back with leave. It returns an error, without
// a slot, if ctx ends first, and a *zap.BusyError if a hash of the given cost would not be
// finished before ctx's deadline or if the queue is full.
func (q *queue) enter(ctx context.Context, from netip.Addr, cost int) error {
	l, n, err := q.join(ctx, from, cost)
	if l == nil {
		return err
	}
	late := q.lateness(ctx, cost)
	if late != nil {
		defer late.Stop()
	} else {
		late = new(time.Timer) // its nil channel never fires
	}
	select {
	case <-l.done:
	case <-ctx.Done():
	case <-late.C:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-l.done:
		if l.err == nil && ctx.Err() != nil {
			q.release()
			return left(ctx)
		}
		return l.err
	default:
	}
	q.remove(n, l)
	if ctx.Err() != nil {
		return left(ctx)
	}
	return q.refuse(n, cost)
}

func left(ctx context.Context) error {
	return fmt.Errorf("htpasswd: login ended while it waited: %w", context.Cause(ctx))
}

// join takes a slot, refuses the login, or puts it into the queue; l is nil in the first two
// cases.
func (q *queue) join(ctx context.Context, from netip.Addr, cost int) (l *waiter, n *network, err error) {
	if ctx.Err() != nil {
		return nil, nil, left(ctx)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	n = q.network(from)
	defer q.forget(n)
	wait := q.wait(n, cost)
	if q.busy < q.slots {
		wait = 0
	}
	if q.tooLate(ctx, cost, wait) {
		return nil, nil, q.refuse(n, cost)
	}
	if q.busy < q.slots {
		q.busy++
		return nil, nil, nil
	}
	if q.waiting >= maxWaiting && !q.makeRoom(n) {
		return nil, nil, q.refuse(n, cost)
	}
	l = &waiter{ctx: ctx, cost: cost, done: make(chan struct{})}
	l.place = n.logins.PushBack(l)
	if n.turn == nil {
		n.turn = q.turns.PushBack(n)
	}
	q.waiting++
	return l, n, nil
}

// leave gives a slot back. took is how long the hash took, 0 if none was computed.
func (q *queue) leave(cost int, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if took > 0 {
		q.took.add(cost, took)
	}
	q.release()
}

// release gives a slot to the next login that can still use it. Lock held on entry.
func (q *queue) release() {
	q.busy--
	for q.waiting > 0 && q.busy < q.slots {
		n := q.turns.Front().Value.(*network)
		l := n.logins.Front().Value.(*waiter)
		q.turns.MoveToBack(n.turn)
		q.remove(n, l)
		switch {
		case l.ctx.Err() != nil:
			l.err = left(l.ctx)
		case q.tooLate(l.ctx, l.cost, 0):
			l.err = q.refuse(n, l.cost)
		default:
			q.busy++
		}
		close(l.done)
	}
}

// remove takes a login out of the queue. Lock held on entry.
func (q *queue) remove(n *network, l *waiter) {
	n.logins.Remove(l.place)
	q.waiting--
	if n.logins.Len() == 0 {
		q.turns.Remove(n.turn)
		n.turn = nil
		q.forget(n)
	}
}

// tooLate reports whether a hash that begins after wait ends after ctx's deadline. Lock held
// on entry.
func (q *queue) tooLate(ctx context.Context, cost int, wait time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return limited && time.Until(deadline) < wait+q.took.need(cost)
}

// lateness returns a timer that fires when it is too late to begin a hash; nil if ctx has no
// deadline.
func (q *queue) lateness(ctx context.Context, cost int) *time.Timer {
	deadline, limited := ctx.Deadline()
	if !limited {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.NewTimer(time.Until(deadline) - q.took.need(cost))
}

// wait estimates how long another login of n would wait. Lock held on entry.
func (q *queue) wait(n *network, cost int) time.Duration {
	ahead := q.busy + n.logins.Len()
	for e := q.turns.Front(); e != nil; e = e.Next() {
		if other := e.Value.(*network); other != n {
			ahead += min(other.logins.Len(), n.logins.Len()+1)
		}
	}
	return time.Duration(ahead) * q.took.mean(cost) / time.Duration(q.slots)
}

// makeRoom refuses the last login of the network that has most of them, if that is not n.
// Lock held on entry.
func (q *queue) makeRoom(n *network) bool {
	most := n
	for e := q.turns.Front(); e != nil; e = e.Next() {
		if other := e.Value.(*network); other.logins.Len() > most.logins.Len()+1 {
			most = other
		}
	}
	if most == n {
		return false
	}
	l := most.logins.Back().Value.(*waiter)
	q.remove(most, l)
	l.err = q.refuse(most, l.cost)
	close(l.done)
	return true
}

// refuse returns the error for a login that cannot wait, with advice: the more logins wait or
// have been told to come back, the later. Lock held on entry.
func (q *queue) refuse(n *network, cost int) error {
	q.networks[n.key] = n // also if its last login was just removed
	defer q.forget(n)
	q.booked.expire(time.Now(), q.forget)
	until := q.booked.add(n, q.wait(n, cost), q.took.mean(cost)/time.Duration(q.slots))
	// A client adds up to half of the advised wait, and so comes back just before its turn:
	// a slot must never be idle.
	return zap.Busy(until * 2 / 3)
}

// network returns the entry of a network. Lock held on entry.
func (q *queue) network(key netip.Addr) *network {
	n := q.networks[key]
	if n == nil {
		n = &network{key: key}
		q.networks[key] = n
	}
	return n
}

// forget drops a network about which there is nothing to know. Lock held on entry.
func (q *queue) forget(n *network) {
	if n.turn == nil && n.booked == 0 {
		delete(q.networks, n.key)
	}
}

package htpasswd

import (
	"container/list"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/fair"
)

// maxWaiting limits the logins in a queue. In general their deadlines limit them first.
const maxWaiting = 4096

// queue holds the logins that wait for one of a number of slots, one slot for each hash that
// is computed at the same time. The shares of zap.WithShare take turns; within a share the
// client networks do, and within a network the first login comes first. A login whose hash
// cannot be finished before its deadline is refused at once, with advice when to come back, so
// that no hash is computed for nothing.
type queue struct {
	slots int

	mu       sync.Mutex
	busy     int               // slots in use
	waiting  int               // logins
	turns    list.List         // of *share, the next one first
	shares   map[string]*share // with waiting logins
	networks map[party]*network
	booked   bookings
	took     durations
}

// share holds the waiting logins of one share.
type share struct {
	name    string
	waiting int           // logins
	turns   list.List     // of *network, the next one first
	turn    *list.Element // in queue.turns
}

// network is what the queue knows about one party that has waiting logins or bookings.
type network struct {
	party
	logins list.List     // of *waiter, the first one first
	in     *share        // nil if no login waits
	turn   *list.Element // in in.turns
	booked int           // in queue.booked
}

// party identifies those whose logins are served in the order in which they come: the clients
// of a network, or a share. Within a share other than that of clients, addresses are not to be
// trusted.
type party struct {
	share   string
	network netip.Addr
}

// waiter is a login that waits.
type waiter struct {
	ctx   context.Context
	cost  int
	place *list.Element // in network.logins
	done  chan struct{} // closed when err is set or a slot was given
	err   error
}

// newQueue returns a queue; cheapest is how long a hash with MinCost takes.
func newQueue(slots int, cheapest time.Duration) *queue {
	return &queue{
		slots:    slots,
		shares:   make(map[string]*share),
		networks: make(map[party]*network),
		took:     durations{cheapest: cheapest},
	}
}

// partyOf returns to whom a login belongs. An IPv6 host can use every address of its /64.
func partyOf(ctx context.Context, req *zap.Request) party {
	if name := fair.Share(ctx); name != "" {
		return party{share: name}
	}
	ip, _ := req.IP()
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	return party{network: ip}
}

// enter waits for a slot, which the caller gives back with leave. It returns an error, without
// a slot, if ctx ends first, and a *zap.BusyError if a hash of the given cost would not be
// finished before ctx's deadline or if the queue is full.
func (q *queue) enter(ctx context.Context, from party, cost int) error {
	w, n, err := q.join(ctx, from, cost)
	if w == nil {
		return err
	}
	late, stop := q.lateness(ctx, cost)
	defer stop()
	select {
	case <-w.done:
	case <-ctx.Done():
	case <-late:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.done:
		if w.err == nil && ctx.Err() != nil {
			q.release()
			return left(ctx)
		}
		return w.err
	default:
	}
	q.remove(n, w)
	if ctx.Err() != nil {
		return left(ctx)
	}
	return q.refuse(n, cost)
}

func left(ctx context.Context) error {
	return fmt.Errorf("htpasswd: login ended while it waited: %w", context.Cause(ctx))
}

// join takes a slot, refuses the login, or puts it into the queue; w is nil in the first two
// cases.
func (q *queue) join(ctx context.Context, from party, cost int) (w *waiter, n *network, err error) {
	if ctx.Err() != nil {
		return nil, nil, left(ctx)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n = q.networks[from]; n == nil {
		n = &network{party: from}
		q.networks[from] = n
	}
	defer q.forget(n)
	wait := time.Duration(0)
	if q.busy >= q.slots {
		wait = q.wait(n, q.took.mean(cost))
	}
	if q.tooLate(ctx, cost, wait) && !q.worthTrying(ctx, cost) {
		return nil, nil, q.refuse(n, cost)
	}
	if q.busy < q.slots {
		q.busy++
		return nil, nil, nil
	}
	if q.waiting >= maxWaiting && !q.makeRoom(n) {
		return nil, nil, q.refuse(n, cost)
	}
	w = &waiter{ctx: ctx, cost: cost, done: make(chan struct{})}
	q.add(n, w)
	return w, n, nil
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
		s := q.turns.Front().Value.(*share)
		n := s.turns.Front().Value.(*network)
		w := n.logins.Front().Value.(*waiter)
		q.turns.MoveToBack(s.turn)
		s.turns.MoveToBack(n.turn)
		q.remove(n, w)
		switch {
		case w.ctx.Err() != nil:
			w.err = left(w.ctx)
		case q.tooLate(w.ctx, w.cost, 0):
			w.err = q.refuse(n, w.cost)
		default:
			q.busy++
		}
		close(w.done)
	}
}

// add puts a login into the queue. Lock held on entry.
func (q *queue) add(n *network, w *waiter) {
	if n.in == nil {
		s := q.shares[n.share]
		if s == nil {
			s = &share{name: n.share}
			s.turn = q.turns.PushBack(s)
			q.shares[n.share] = s
		}
		n.in, n.turn = s, s.turns.PushBack(n)
	}
	w.place = n.logins.PushBack(w)
	n.in.waiting++
	q.waiting++
}

// remove takes a login out of the queue. Lock held on entry.
func (q *queue) remove(n *network, w *waiter) {
	s := n.in
	n.logins.Remove(w.place)
	s.waiting--
	q.waiting--
	if n.logins.Len() == 0 {
		s.turns.Remove(n.turn)
		n.in, n.turn = nil, nil
		q.forget(n)
	}
	if s.waiting == 0 {
		q.turns.Remove(s.turn)
		delete(q.shares, s.name)
	}
}

// forget drops a network about which there is nothing to know. Lock held on entry.
func (q *queue) forget(n *network) {
	if n.in == nil && n.booked == 0 {
		delete(q.networks, n.party)
	}
}

// tooLate reports whether a hash that begins after wait ends after ctx's deadline. Lock held
// on entry.
func (q *queue) tooLate(ctx context.Context, cost int, wait time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return limited && time.Until(deadline) < wait+q.took.need(cost)
}

// worthTrying reports whether a hash may begin although the estimate says that it ends too late:
// the processors are idle, so that it may be as fast as hashes have been at best. Otherwise hashes
// that a busy moment has slowed down would be the last ones ever measured. Lock held on entry.
func (q *queue) worthTrying(ctx context.Context, cost int) bool {
	deadline, _ := ctx.Deadline()
	return q.busy == 0 && time.Until(deadline) >= q.took.fastest(cost)
}

// lateness returns a channel that fires when it is too late to begin a hash; never if ctx has
// no deadline.
func (q *queue) lateness(ctx context.Context, cost int) (late <-chan time.Time, stop func() bool) {
	deadline, limited := ctx.Deadline()
	if !limited {
		return nil, func() bool { return false }
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	timer := time.NewTimer(time.Until(deadline) - q.took.need(cost))
	return timer.C, timer.Stop
}

// wait estimates how long another login of n would wait if each hash takes so long. Lock held
// on entry.
func (q *queue) wait(n *network, hash time.Duration) time.Duration {
	ahead := n.logins.Len()
	if s := q.shares[n.share]; s != nil {
		for e := s.turns.Front(); e != nil; e = e.Next() {
			if other := e.Value.(*network); other != n {
				ahead += min(other.logins.Len(), n.logins.Len()+1)
			}
		}
	}
	own := ahead
	for name, s := range q.shares {
		if name != n.share {
			ahead += min(s.waiting, own+1)
		}
	}
	return time.Duration(q.busy+ahead) * hash / time.Duration(q.slots)
}

// makeRoom refuses the last login of the network that has most of them, if that is not n.
// Lock held on entry.
func (q *queue) makeRoom(n *network) bool {
	most := n
	for _, s := range q.shares {
		for e := s.turns.Front(); e != nil; e = e.Next() {
			if other := e.Value.(*network); other.logins.Len() > most.logins.Len()+1 {
				most = other
			}
		}
	}
	if most == n {
		return false
	}
	w := most.logins.Back().Value.(*waiter)
	q.remove(most, w)
	w.err = q.refuse(most, w.cost)
	close(w.done)
	return true
}

// refuse returns the error for a login that cannot wait, with advice: the more logins wait or
// have been told to come back, the later. Lock held on entry.
func (q *queue) refuse(n *network, cost int) error {
	q.networks[n.party] = n // also if its last login was just removed
	defer q.forget(n)
	q.booked.expire(time.Now(), q.forget)
	hash := q.took.least(cost)
	until := q.booked.add(n, q.wait(n, hash), hash/time.Duration(q.slots))
	// A client adds up to half of the advised wait. It should be back before its turn, so
	// that no slot is idle.
	return zap.Busy(until * 2 / 3)
}

// hashTime returns how long a hash occupies all slots; 0 if none was computed yet.
func (q *queue) hashTime() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.took.all.mean / time.Duration(q.slots)
}

// backlog returns how long the logins that wait will take.
func (q *queue) backlog() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Duration(q.waiting) * q.took.all.mean / time.Duration(q.slots)
}

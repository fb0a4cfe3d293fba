package quota

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Bound is a limit that an account can exceed.
type Bound int

// The bounds.
const (
	OwnerInAll   Bound = iota // of one owner in the bridge
	OwnerOnRoute              // of one owner on a route
	Route                     // of all owners on a route
)

// ExceededError reports that a subscription would exceed a bound.
type ExceededError struct {
	Bound Bound
	Limit int64 // in bytes
}

func (e *ExceededError) Error() string {
	what := [...]string{"one user", "one user on this route", "all users on this route"}[e.Bound]
	return fmt.Sprintf("subscriptions of %s of more than %d bytes", what, e.Limit)
}

// Account is what one stream has on its owner's account, in the bridge and on its route. All
// methods may be called concurrently. After Close they change nothing. A nil Account holds
// nothing and must not be changed, except that it can be closed.
type Account struct {
	owner          Owner
	bridge, route  *Counter
	inAll, onRoute *share

	mu     sync.Mutex
	held   int64
	closed bool
}

// Open returns an empty account of o. The caller closes it.
func Open(bridge, route *Counter, o Owner) *Account {
	return &Account{owner: o, bridge: bridge, route: route, inAll: bridge.open(o), onRoute: route.open(o)}
}

// bounded is a number with the limit that Take observes.
type bounded struct {
	number *atomic.Int64
	limit  int64
	bound  Bound
}

// numbers are those that a subscription changes.
func (a *Account) numbers() [3]bounded {
	return [3]bounded{
		{&a.inAll.bytes, a.bridge.each.Load(), OwnerInAll},
		{&a.onRoute.bytes, a.route.each.Load(), OwnerOnRoute},
		{&a.route.total, a.route.all.Load(), Route},
	}
}

// Take books n bytes. If that would exceed a limit it books nothing and returns an
// *[ExceededError].
func (a *Account) Take(n int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	numbers := a.numbers()
	for i, b := range numbers {
		if take(b.number, n, b.limit) {
			continue
		}
		for _, taken := range numbers[:i] {
			taken.number.Add(-n)
		}
		return &ExceededError{b.bound, b.limit}
	}
	a.held += n
	return nil
}

// Add books n bytes regardless of the limits, or with a negative n gives bytes back.
func (a *Account) Add(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.add(n)
}

// add is Add. Lock held on entry.
func (a *Account) add(n int64) {
	if a.closed || n == 0 {
		return
	}
	a.held += n
	for _, b := range a.numbers() {
		b.number.Add(n)
	}
}

// Exceeded returns an *[ExceededError] if a limit is exceeded: Take does not exceed one, but
// Add can, and a limit can be lowered.
func (a *Account) Exceeded() error {
	for _, b := range a.numbers() {
		if b.number.Load() > b.limit {
			return &ExceededError{b.bound, b.limit}
		}
	}
	return nil
}

// Held returns the bytes that are booked.
func (a *Account) Held() int64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

// Close gives back everything. It may be called more than once.
func (a *Account) Close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.add(-a.held)
	a.closed = true
	a.bridge.close(a.owner, a.inAll)
	a.route.close(a.owner, a.onRoute)
}

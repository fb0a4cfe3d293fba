package quota

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
)

// NoLimit is a limit that nothing exceeds.
const NoLimit = math.MaxInt64

// Owner is on whose account bytes are counted: a user, or all anonymous clients of a network.
type Owner struct {
	User    string
	Network netip.Addr // only without User
}

// Counter counts bytes by owner and in all. The zero value has limits of 0. All methods may be
// called concurrently.
type Counter struct {
	each, all atomic.Int64 // limits of one owner and of all together
	total     atomic.Int64 // of a route

	mu     sync.Mutex
	shares map[Owner]*share // of owners that have an account
}

// share is what one owner has.
type share struct {
	bytes    atomic.Int64
	accounts int // guarded by Counter.mu
}

// SetLimits sets what one owner and all owners together can have, in bytes. What is counted
// already stays if it exceeds a new limit.
func (c *Counter) SetLimits(each, all int64) {
	c.each.Store(each)
	c.all.Store(all)
}

// Total returns the bytes of all owners; of a counter that routes share it is 0.
func (c *Counter) Total() int64 { return c.total.Load() }

// open returns the share of o. The caller closes it.
func (c *Counter) open(o Owner) *share {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shares[o]
	if s == nil {
		if c.shares == nil {
			c.shares = make(map[Owner]*share)
		}
		s = new(share)
		c.shares[o] = s
	}
	s.accounts++
	return s
}

func (c *Counter) close(o Owner, s *share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.accounts--; s.accounts == 0 {
		delete(c.shares, o)
	}
}

// take adds n to a number, unless it would then exceed limit.
func take(number *atomic.Int64, n, limit int64) bool {
	for {
		before := number.Load()
		if n > 0 && before > limit-n {
			return false
		}
		if number.CompareAndSwap(before, before+n) {
			return true
		}
	}
}

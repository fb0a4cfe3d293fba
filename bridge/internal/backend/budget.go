package backend

import "sync/atomic"

// Budget bounds the memory of what several sockets hold of what their streams have sent, while
// peers do not take it. At the bound a socket takes a message only if it holds none, so that one
// whose peers are away does not stop the others. The zero value has a limit of 0. All methods
// may be called concurrently.
type Budget struct {
	limit, held atomic.Int64
}

// SetLimit sets the bound, in bytes.
func (b *Budget) SetLimit(limit int64) { b.limit.Store(limit) }

// Held returns how many bytes the sockets hold together.
func (b *Budget) Held() int64 { return b.held.Load() }

// book counts n more bytes that wait for peers, or fewer with a negative n. Lock held on entry.
func (c *core) book(n int64) {
	if c.o.Budget != nil {
		c.booked += n
		c.o.Budget.held.Add(n)
	}
}

// overBudget reports whether the socket has to wait until its peers have taken what it holds.
// Lock held on entry.
func (c *core) overBudget() bool {
	b := c.o.Budget
	return b != nil && c.booked > 0 && b.held.Load() >= b.limit.Load()
}

package bridge

import (
	"net/netip"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zws"
)

var errTooManyFailures = &zws.CloseError{Code: zws.CodeTooMany, Reason: "too many refused logins: try again in a minute"}

// connections counts open connections, in all and by address.
type connections struct {
	mu                 sync.Mutex
	max, maxPerAddress int // 0 = no limit

	total     int
	byAddress map[netip.Addr]int
}

func (c *connections) limit(max, perAddress int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.max, c.maxPerAddress = max, perAddress
}

// enter counts one connection from a. The error is a *zws.CloseError; without one the
// caller owes a leave.
func (c *connections) enter(a netip.Addr) error {
	a = clientaddr.Network(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max > 0 && c.total >= c.max {
		return &zws.CloseError{Code: zws.CodeTooMany, Reason: "too many connections to this bridge: try again later"}
	}
	if c.maxPerAddress > 0 && c.byAddress[a] >= c.maxPerAddress {
		return &zws.CloseError{Code: zws.CodeTooMany, Reason: "too many connections from this address: try again later"}
	}
	if c.byAddress == nil {
		c.byAddress = make(map[netip.Addr]int)
	}
	c.total++
	c.byAddress[a]++
	return nil
}

func (c *connections) leave(a netip.Addr) {
	a = clientaddr.Network(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.byAddress[a]--; c.byAddress[a] <= 0 {
		delete(c.byAddress, a)
	}
}

// open is how many connections there are.
func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

package conn

import (
	"net/netip"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/accept"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Limiter counts open WebSockets, in all and for each network ([clientaddr.Network]), also of
// clients that proxies connect for, and where the program has not put its listener behind
// package accept, which counts connections of every kind. The zero value has no limits.
type Limiter struct {
	mu             sync.Mutex
	max, maxPerNet int

	total int
	byNet map[netip.Addr]int
}

// SetLimits sets the number of connections in all and for each address; 0 means no limit.
// Connections beyond a new limit stay.
func (l *Limiter) SetLimits(max, perAddress int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max, l.maxPerNet = max, perAddress
}

// Enter counts a connection from a. counted says that a gate of package accept has counted it
// in all, so that only the limit of its address applies. The error is a *[zws.CloseError]; without one the
// connection must be served.
func (l *Limiter) Enter(a netip.Addr, counted bool) error {
	a = clientaddr.Network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !counted && l.max > 0 && l.total >= l.max {
		return &zws.CloseError{Code: zws.CodeTooMany, Reason: accept.Connections.Text()}
	}
	if l.maxPerNet > 0 && l.byNet[a] >= l.maxPerNet {
		return &zws.CloseError{Code: zws.CodeTooMany, Reason: accept.Address.Text()}
	}
	if l.byNet == nil {
		l.byNet = make(map[netip.Addr]int)
	}
	l.total++
	l.byNet[a]++
	return nil
}

func (l *Limiter) leave(a netip.Addr) {
	a = clientaddr.Network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.byNet[a]--; l.byNet[a] <= 0 {
		delete(l.byNet, a)
	}
}

// Open returns how many connections there are.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

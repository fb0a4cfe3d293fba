package bridge

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

const (
	// failureWindow is the time over which refused logins are counted.
	failureWindow = time.Minute
	// failureDelay holds back the answer to a refused login from the third on.
	failureDelay = time.Second
	// freeFailures is how many refusals an address or a user name gets without delay.
	freeFailures = 2
	// maxTracked is how many addresses and user names are remembered at once: whoever
	// sends us names must not fill our memory.
	maxTracked = 100_000
)

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

// failures counts refused logins by address and by user name.
type failures struct {
	max atomic.Int64 // in a failureWindow; 0 = no limit

	mu     sync.Mutex
	counts map[string]*failureCount
}

type failureCount struct {
	start time.Time // of its window
	n     int
}

var errTooManyFailures = &zws.CloseError{Code: zws.CodeTooMany, Reason: "too many refused logins: try again in a minute"}

func (f *failures) limit(max int) { f.max.Store(int64(max)) }

// blocked tells whether any of the keys has used up its failures.
func (f *failures) blocked(keys ...string) bool {
	if f.max.Load() <= 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		if c := f.counts[k]; c != nil && time.Since(c.start) < failureWindow && int64(c.n) >= f.max.Load() {
			return true
		}
	}
	return false
}

// add counts a failure under every key and returns the highest count.
func (f *failures) add(keys ...string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = make(map[string]*failureCount)
	}
	most := 0
	for _, k := range keys {
		c := f.counts[k]
		if c == nil || time.Since(c.start) >= failureWindow {
			f.makeRoom()
			c = &failureCount{start: time.Now()}
			f.counts[k] = c
		}
		c.n++
		most = max(most, c.n)
	}
	return most
}

// makeRoom keeps the table bounded: the expired go first, then any. Lock held on entry.
func (f *failures) makeRoom() {
	if len(f.counts) < maxTracked {
		return
	}
	for k, c := range f.counts {
		if time.Since(c.start) >= failureWindow {
			delete(f.counts, k)
		}
	}
	for k := range f.counts {
		if len(f.counts) < maxTracked {
			return
		}
		delete(f.counts, k)
	}
}

// judge asks next about req. Blocked callers are not asked about at all, and the answer to
// a wrong login is held back from the third on.
func (f *failures) judge(ctx context.Context, next zap.Handler, req *zap.Request) *zap.Reply {
	keys := failureKeys(req)
	if f.blocked(keys...) {
		return &zap.Reply{Status: zap.Temporary, Text: "too many refused logins", Cause: errTooManyFailures}
	}
	reply := zap.Decide(ctx, next, req)
	if reply.Status != zap.Refused || req.Mechanism == zap.NULL || f.max.Load() <= 0 {
		return reply
	}
	if f.add(keys...) > freeFailures {
		delay := time.NewTimer(failureDelay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-ctx.Done():
		}
	}
	return reply
}

// failureKeys names what a refused login counts against: where it came from, and the user
// name that it tried.
func failureKeys(req *zap.Request) []string {
	var keys []string
	if a := clientaddr.Parse(req.Address); a.IsValid() {
		keys = append(keys, addressKey(a))
	}
	if user, _, ok := req.Plain(); ok && user != "" {
		keys = append(keys, "user "+strings.Clone(user))
	}
	return keys
}

func addressKey(a netip.Addr) string { return "address " + clientaddr.Network(a).String() }

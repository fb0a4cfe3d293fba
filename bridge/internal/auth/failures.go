package auth

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// failureWindow is the time over which refused logins are counted.
	failureWindow = time.Minute
	// failureDelay is how long the answer to a refused login is held back after
	// freeFailures.
	failureDelay = time.Second
	// freeFailures is how many refusals an address or a user name gets without delay.
	freeFailures = 2
	// maxTracked is how many addresses and user names are counted at once: names that
	// clients choose must not fill the memory.
	maxTracked = 100_000
)

// Failures is a ZAP handler that limits refused logins per address and per user name. IPv6
// addresses of the same /64 count as one; logins with NULL are not counted. It is safe for
// concurrent use.
type Failures struct {
	next  zap.Handler
	cause error
	keys  func(context.Context, *zap.Request) []string // what a refusal counts against
	max   atomic.Int64                                 // in a failureWindow; 0 = no limit

	mu     sync.Mutex
	counts map[string]*failureCount // by key, see failureKeys
}

type failureCount struct {
	start time.Time // of its window
	n     int
}

// NewFailures returns a handler that asks next unless the address or the user name of a
// request has reached the limit: such a request gets 300 with cause as [zap.Reply.Cause].
// Logins are not limited until SetLimit is called.
func NewFailures(next zap.Handler, cause error) *Failures {
	return &Failures{next: next, cause: cause, keys: failureKeys, counts: make(map[string]*failureCount)}
}

// SetLimit sets how many refused logins a minute an address or a user name may have; 0 means
// no limit.
func (f *Failures) SetLimit(max int) { f.max.Store(int64(max)) }

// Blocked reports whether an address has reached the limit, so that a login from there would
// not be judged.
func (f *Failures) Blocked(address netip.Addr) bool { return f.blocked(addressKey(address)) }

// Authenticate asks the next handler, and holds back the answer for a second if it is the
// third refusal or a later one. It always returns a reply, never an error.
func (f *Failures) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	keys := f.keys(ctx, req)
	if f.blocked(keys...) {
		return &zap.Reply{Status: zap.Temporary, Text: "too many refused logins", Cause: f.cause}, nil
	}
	reply := zap.Decide(ctx, f.next, req)
	if reply.Status != zap.Refused || req.Mechanism == zap.NULL || f.max.Load() <= 0 {
		return reply, nil
	}
	if f.add(keys...) > freeFailures {
		delay := time.NewTimer(failureDelay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-ctx.Done():
		}
	}
	return reply, nil
}

// blocked reports whether any of the keys has reached the limit.
func (f *Failures) blocked(keys ...string) bool {
	limit := f.max.Load()
	if limit <= 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		if c := f.counts[k]; c != nil && time.Since(c.start) < failureWindow && int64(c.n) >= limit {
			return true
		}
	}
	return false
}

// add counts a failure under every key and returns the highest count.
func (f *Failures) add(keys ...string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// makeRoom bounds the table: expired counts go first, then arbitrary ones. Lock held on
// entry.
func (f *Failures) makeRoom() {
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

// failureKeys returns what a refused login counts against: the address of the peer and the
// user name that it tried.
func failureKeys(_ context.Context, req *zap.Request) []string {
	var keys []string
	if a, ok := req.IP(); ok {
		keys = append(keys, addressKey(a))
	}
	if user, _, ok := req.Plain(); ok && user != "" {
		keys = append(keys, "user "+strings.Clone(user))
	}
	return keys
}

func addressKey(a netip.Addr) string { return "address " + clientaddr.Network(a).String() }

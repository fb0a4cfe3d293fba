package discover

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A name is asked for again when its records expire, but neither more nor less often than this.
const (
	minInterval = 5 * time.Second
	maxInterval = 30 * time.Second
)

// srv is a name with SRV records.
type srv struct {
	name   string // fully qualified
	lookup func(ctx context.Context, name string) (*answer, error)
}

// NewSRV returns the source of the SRV records of name, like _zmtp._tcp.houses.lan, whose every
// target is an endpoint; priority and weight do not count. It asks the servers of
// /etc/resolv.conf, by UDP and for long answers by TCP, again after the TTL, at least every 30 s
// and at most every 5 s. Search domains are not tried.
//
// A name that does not exist is an empty list. Targets that are not host names are ignored.
func NewSRV(name string) Source {
	return &srv{strings.TrimSuffix(name, ".") + ".", newResolver().lookup}
}

// Run implements [Source].
func (s *srv) Run(ctx context.Context, report func(Report)) {
	report = distinct(report)
	wait, failed := minInterval, false
	for {
		a, err := s.lookup(ctx, s.name)
		if ctx.Err() != nil {
			return
		}
		r := Report{Err: err}
		if err == nil {
			wait = min(max(a.ttl, minInterval), maxInterval)
			r.Endpoints, r.Err = listed(a.endpoints)
			if a.skipped > 0 {
				r.Ignored = fmt.Sprintf("%d SRV records without the name of a host and a port", a.skipped)
			}
		} else if failed {
			wait = min(2*wait, maxInterval)
		} else {
			wait = minInterval
		}
		failed = err != nil
		report(r)
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sleep waits, and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

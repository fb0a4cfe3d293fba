package discover

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// MaxEndpoints is how many endpoints a source can have. A longer list is a failure.
const MaxEndpoints = 1000

// Endpoint is a backend that a source has found.
type Endpoint struct {
	Address   string   // tcp://host:port or ipc://path
	ServerKey [32]byte // CURVE; zero means that of the route
}

// Report is what a source has to say: a whole list, or why there is not one.
type Report struct {
	// Endpoints are all that there are at present, sorted by address, each address once.
	Endpoints []Endpoint
	// Err is why the source has failed; Endpoints is then not used and the last list stays.
	Err error
	// Ignored is why some of what the source has found cannot be used; empty if all can.
	Ignored string
}

// Source finds backends.
type Source interface {
	// Run calls report, from one goroutine, with the first list and then with every list or
	// failure that follows, until ctx is done. It does not report twice what has not changed,
	// except after a failure. No call is running when it returns.
	Run(ctx context.Context, report func(Report))
}

// distinct returns report without the calls that say what the call before has said.
func distinct(report func(Report)) func(Report) {
	var last *Report
	return func(r Report) {
		if last == nil || !same(*last, r) {
			last = &r
			report(r)
		}
	}
}

// same reports whether b says nothing that a has not said.
func same(a, b Report) bool {
	if a.Err != nil || b.Err != nil {
		return a.Err != nil && b.Err != nil && a.Err.Error() == b.Err.Error()
	}
	return a.Ignored == b.Ignored && slices.Equal(a.Endpoints, b.Endpoints)
}

// listed returns endpoints sorted by address, each address once: of several the first counts.
func listed(endpoints []Endpoint) ([]Endpoint, error) {
	slices.SortStableFunc(endpoints, func(a, b Endpoint) int { return cmp.Compare(a.Address, b.Address) })
	endpoints = slices.CompactFunc(endpoints, func(a, b Endpoint) bool { return a.Address == b.Address })
	if n := len(endpoints); n > MaxEndpoints {
		return nil, fmt.Errorf("%d endpoints: at most %d are taken", n, MaxEndpoints)
	}
	return endpoints, nil
}

package discover

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Named is a source with the names that users know it by.
type Named struct {
	Source
	Kind string // "srv", "dnssd" or "connect_file"
	Name string // as in the configuration: srv://_zmtp._tcp.houses.lan
}

// Found is an endpoint with the kind of the source that has it.
type Found struct {
	Endpoint
	Kind string
}

// Status is the state of a source.
type Status struct {
	Kind, Name string
	Endpoints  int
	// Err is why it failed last; nil if it works. Until the first report it is nil too.
	Err     error
	Since   time.Time // when it began to fail or to work; zero before the first report
	Ignored string    // why some of what it has found is not used
}

// SetOptions are the options of a [Set].
type SetOptions struct {
	Sources []Named
	// Changed is called with the endpoints of all sources, in the order of Sources, whenever
	// they have changed, one call at a time. An address that several sources have is in it once,
	// with the first of them. It must not call the Set.
	Changed func([]Found)
	Log     *slog.Logger
}

// Set runs sources until Close.
type Set struct {
	o       SetOptions
	cancel  context.CancelFunc
	running sync.WaitGroup

	changing sync.Mutex // held while Changed is called; taken before mu
	last     []Found    // guarded by changing

	mu      sync.Mutex
	reports []reported // by the index of the source
}

type reported struct {
	status    Status
	endpoints []Endpoint
	first     chan struct{} // closed with the first report
}

// NewSet starts the sources. The caller closes the Set.
func NewSet(o SetOptions) *Set {
	s := &Set{o: o, reports: make([]reported, len(o.Sources))}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	for i, source := range o.Sources {
		s.reports[i] = reported{status: Status{Kind: source.Kind, Name: source.Name}, first: make(chan struct{})}
		s.running.Go(func() {
			source.Run(ctx, func(r Report) {
				if ctx.Err() == nil {
					s.report(i, r)
				}
			})
		})
	}
	return s
}

// Close ends the sources. No call of Changed is running when it returns.
func (s *Set) Close() {
	s.cancel()
	s.running.Wait()
}

// WaitFirst waits until every source has reported once, or ctx is done.
func (s *Set) WaitFirst(ctx context.Context) {
	for i := range s.o.Sources {
		select {
		case <-s.reports[i].first:
		case <-ctx.Done():
			return
		}
	}
}

// Status returns the state of each source, in the order of [SetOptions].
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Status, len(s.reports))
	for i := range s.reports {
		list[i] = s.reports[i].status
	}
	return list
}

// report takes a report of source i.
func (s *Set) report(i int, r Report) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	of := &s.reports[i]
	before := of.status
	of.status.Err, of.status.Ignored = r.Err, r.Ignored
	if r.Err != nil {
		of.status.Ignored = before.Ignored
	} else {
		of.endpoints, of.status.Endpoints = r.Endpoints, len(r.Endpoints)
	}
	if before.Since.IsZero() || (before.Err == nil) != (r.Err == nil) {
		of.status.Since = time.Now()
	}
	now := of.status
	all := s.merged()
	s.mu.Unlock()

	s.log(before, now)
	if !slices.Equal(all, s.last) {
		s.last = all
		s.o.Changed(all)
	}
	if before.Since.IsZero() {
		close(of.first)
	}
}

// merged returns the endpoints of all sources. Lock held on entry.
func (s *Set) merged() []Found {
	var all []Found
	seen := make(map[string]bool)
	for i := range s.reports {
		r := &s.reports[i]
		for _, e := range r.endpoints {
			if !seen[e.Address] {
				seen[e.Address] = true
				all = append(all, Found{e, r.status.Kind})
			}
		}
	}
	return all
}

// log writes what has changed for the worse or the better, once.
func (s *Set) log(before, now Status) {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	source := slog.String("source", now.Name)
	switch {
	case now.Err != nil && text(now.Err) != text(before.Err):
		s.o.Log.Warn("a source of endpoints has failed, its last list stays in force", source,
			slog.Int("endpoints", now.Endpoints), slog.String("error", now.Err.Error()))
	case now.Err == nil && before.Err != nil:
		s.o.Log.Info("a source of endpoints works again", source, slog.Int("endpoints", now.Endpoints))
	case now.Err == nil:
		s.o.Log.Info("endpoints found", source, slog.Int("endpoints", now.Endpoints))
	}
	if now.Ignored != "" && now.Ignored != before.Ignored {
		s.o.Log.Warn("not all of what a source of endpoints has found can be used", source, slog.String("ignored", now.Ignored))
	}
}

package discover

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Status is the state of a source.
type Status struct {
	Name string // as in the configuration: srv://_zmtp._tcp.houses.lan
	// Endpoints is how many the list in force has.
	Endpoints int
	// Err is why the source failed last; nil if it works. Until the first report it is nil too.
	Err     error
	Since   time.Time // when it began to fail or to work; zero before the first report
	Ignored string    // why some of what it has found is not used
}

// FinderOptions are the options of a [Finder].
type FinderOptions struct {
	Name   string // of the source, for the log and the status
	Source Source
	// Changed is called with the endpoints whenever they have changed, one call at a time. It must
	// not call the Finder.
	Changed func([]Endpoint)
	Log     *slog.Logger
}

// Finder runs a source until Close. All methods may be called concurrently.
type Finder struct {
	o       FinderOptions
	cancel  context.CancelFunc
	running sync.WaitGroup
	first   chan struct{} // closed after the first report

	mu     sync.Mutex
	status Status
}

// NewFinder starts a source. The caller closes the Finder.
func NewFinder(o FinderOptions) *Finder {
	f := &Finder{o: o, first: make(chan struct{}), status: Status{Name: o.Name}}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	f.running.Go(func() { f.o.Source.Run(ctx, f.report) })
	return f
}

// Close ends the source. No call of Changed is running when it returns.
func (f *Finder) Close() {
	f.cancel()
	f.running.Wait()
}

// First returns a channel that is closed once the source has reported a list or a failure.
func (f *Finder) First() <-chan struct{} { return f.first }

// Status returns the state of the source.
func (f *Finder) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// report takes a report of the source, which comes from one goroutine.
func (f *Finder) report(r Report) {
	f.mu.Lock()
	before := f.status
	f.status.Err = r.Err
	if r.Err == nil {
		f.status.Endpoints, f.status.Ignored = len(r.Endpoints), r.Ignored
	}
	if before.Since.IsZero() || (before.Err == nil) != (r.Err == nil) {
		f.status.Since = time.Now()
	}
	now := f.status
	f.mu.Unlock()

	f.log(before, now)
	if r.Err == nil {
		f.o.Changed(r.Endpoints)
	}
	if before.Since.IsZero() {
		close(f.first)
	}
}

// log writes what has changed.
func (f *Finder) log(before, now Status) {
	source, n := slog.String("source", now.Name), slog.Int("endpoints", now.Endpoints)
	switch {
	case now.Err != nil:
		f.o.Log.Warn("a source of endpoints has failed, its last list stays in force", source, n, slog.String("error", now.Err.Error()))
	case before.Err != nil:
		f.o.Log.Info("a source of endpoints works again", source, n)
	default:
		f.o.Log.Info("endpoints found", source, n)
	}
	if now.Ignored != "" && now.Ignored != before.Ignored {
		f.o.Log.Warn("not all of what a source of endpoints has found can be used", source, slog.String("ignored", now.Ignored))
	}
}

package route

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/discover"
)

// finderSpec is a source of endpoints as the configuration names it.
type finderSpec struct {
	name string // of the source, see [Route.SetSource]
	kind backend.Source
	key  [32]byte // of endpoints without a key of their own
	// rekey returns the server key of an endpoint that was found before the settings changed, by
	// the one that it had; ok is false if the endpoint cannot be used any more.
	rekey func(key [32]byte) (_ [32]byte, ok bool)
	// settings are all that source depends on: the same settings find the same.
	settings any
	source   func(*slog.Logger) discover.Source
}

// finder is a source at work.
type finder struct {
	*discover.Finder
	finderSpec
}

// finders are the sources of a route, by name.
type finders struct {
	mu      sync.Mutex
	running map[string]*finder
	closed  bool
}

// find starts the sources that are new or have changed, and ends those that are gone, with their
// endpoints. Those of a source that has changed stay until it reports, if their keys are still used.
// Route.changing must not be held.
func (r *Route) find(specs []finderSpec) {
	r.finders.mu.Lock()
	defer r.finders.mu.Unlock()
	if r.finders.closed {
		return
	}
	next := make(map[string]*finder)
	var fresh []finderSpec
	for _, s := range specs {
		if f := r.finders.running[s.name]; f != nil && reflect.DeepEqual(f.settings, s.settings) {
			next[s.name] = f
			delete(r.finders.running, s.name)
		} else {
			fresh = append(fresh, s)
		}
	}
	for name, f := range r.finders.running {
		f.Close()
		if at := slices.IndexFunc(fresh, func(s finderSpec) bool { return s.name == name }); at >= 0 {
			r.logSource(r.rekey(&fresh[at]), name)
		} else {
			r.logSource(r.RemoveSource(name), name)
		}
	}
	for _, s := range fresh {
		if next[s.name] == nil {
			next[s.name] = &finder{discover.NewFinder(discover.FinderOptions{
				Name: s.name, Source: s.source(r.log), Log: r.log,
				Changed: func(list []discover.Endpoint) { r.found(&s, list) },
			}), s}
		}
	}
	r.finders.running = next
}

// rekey applies the keys of a source that has changed to what it has found.
func (r *Route) rekey(s *finderSpec) error {
	return r.changeSources(func(all *sources) error {
		var kept []Endpoint
		for _, e := range all.lists[s.name] {
			var ok bool
			if e.ServerKey, ok = s.rekey(e.ServerKey); ok {
				kept = append(kept, e)
			}
		}
		all.lists[s.name] = kept
		return nil
	})
}

// found puts the endpoints of a source in force.
func (r *Route) found(s *finderSpec, list []discover.Endpoint) {
	endpoints := make([]Endpoint, len(list))
	for i, e := range list {
		if e.ServerKey == ([32]byte{}) {
			e.ServerKey = s.key
		}
		endpoints[i] = Endpoint{e.Address, e.ServerKey, s.kind}
	}
	r.logSource(r.SetSource(s.name, endpoints), s.name)
}

func (r *Route) logSource(err error, name string) {
	if err != nil {
		r.log.Error("the endpoints of a source cannot be used", slog.String("source", name), slog.String("error", err.Error()))
	}
}

// stopFinding ends all sources.
func (r *Route) stopFinding() {
	r.finders.mu.Lock()
	defer r.finders.mu.Unlock()
	r.finders.closed = true
	for _, f := range r.finders.running {
		f.Close()
	}
	r.finders.running = nil
}

// list returns the sources, sorted by name.
func (f *finders) list() []*finder {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.running), func(a, b *finder) int { return strings.Compare(a.name, b.name) })
}

// SourceStatus is the state of a source of endpoints.
type SourceStatus struct {
	discover.Status
	Kind backend.Source
}

// Sources returns the state of what finds endpoints for the route, sorted by name.
func (r *Route) Sources() []SourceStatus {
	var list []SourceStatus
	for _, f := range r.finders.list() {
		list = append(list, SourceStatus{f.Status(), f.kind})
	}
	return list
}

// waitFound waits, while the route knows no endpoint, for the first reports of its sources, as
// long as a connect may take.
func (r *Route) waitFound(ctx context.Context) {
	l := r.links.Load()
	if len(l.connect) > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.connectTimeout)
	defer cancel()
	for _, f := range r.finders.list() {
		select {
		case <-f.First():
		case <-ctx.Done():
			return
		}
		if len(r.links.Load().connect) > 0 {
			return
		}
	}
}

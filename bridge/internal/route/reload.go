package route

import (
	"log/slog"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// This file is what a reload changes in a live route besides its Rules.

// Update is a change of a live route that was prepared. Apply it or Discard it.
type Update struct {
	route *Route
	links *links
	file  []Endpoint
	found []finderSpec
	bind  *backend.Rebinding // of a route that listens
}

// next returns the sources and links of the route after the update. Route.changing is held on
// entry.
func (u *Update) next() (*sources, *links) {
	s := u.route.sources.clone()
	s.lists[fileList] = u.file
	clear(s.disconnected)
	l := *u.links
	u.route.link(&l, &s)
	return &s, &l
}

// Apply puts the update in force: streams stay, and the endpoints change as [Route.SetSource]
// describes. What operators have disconnected is connected again, and what they have connected
// stays as long as the configuration lets them connect it.
//
// Sources that are new or have changed are started, and those that are gone end with what they had
// found.
func (u *Update) Apply() {
	u.apply()
	if u.bind != nil {
		u.bind.Apply()
	}
	u.route.find(u.found)
}

func (u *Update) apply() {
	r := u.route
	r.changing.Lock()
	defer r.changing.Unlock()
	s, l := u.next()
	for _, e := range r.sources.lists[adminList] {
		if !slices.Contains(s.lists[adminList], e) {
			r.log.Warn("endpoint disconnected: the configuration does not let operators connect it any more", slog.String("endpoint", e.Address))
		}
	}
	if err := r.relink(s, l); err != nil { // what Prepare could read
		r.log.Error("the endpoints stay as they are", slog.String("error", err.Error()))
	}
}

// Discard gives the update up.
func (u *Update) Discard() {
	if u.bind != nil {
		u.bind.Discard()
	}
}

package route

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// What a route leaves to another process that takes over.

// Listens reports whether backends connect to the route.
func (r *Route) Listens() bool { return r.listens }

// Listeners lists what listens for inbound backends.
func (r *Route) Listeners() []*zmtp.Listener {
	if s := r.listening(); s != nil {
		return s.Listeners()
	}
	return nil
}

// KeepFiles has Close leave the socket files of ipc endpoints, where another process listens.
func (r *Route) KeepFiles() {
	for _, l := range r.Listeners() {
		l.KeepFile()
	}
}

// KeepsFile reports whether the history of the route is in files, which one process only can have open.
func (r *Route) KeepsFile() bool { return r.archive != nil && r.archive.file != nil }

// Resign has another bridge write the history that bridges share. The streams of the route go on.
func (r *Route) Resign() {
	if r.archive != nil && r.archive.share != nil {
		r.archive.share.Resign()
	}
}

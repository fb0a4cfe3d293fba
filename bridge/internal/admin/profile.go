package admin

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// maxProfile is the longest time that a profile or trace takes.
const maxProfile = 2 * time.Minute

// serveProfile serves the profiles of this process where "go tool pprof" looks for them. It does not
// use net/http/pprof, whose import alone would add them to http.DefaultServeMux, which may be served by
// the program that has the bridge.
func (a *admin) serveProfile(w http.ResponseWriter, r *http.Request, o *operator) {
	name := r.PathValue("name")
	a.log.Info("profile taken", "by", o.name, "profile", name)
	w.Header().Set("Content-Type", "application/octet-stream") // http.Error replaces it
	switch name {
	case "profile":
		record(w, r, 30*time.Second, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
		return
	case "trace":
		record(w, r, time.Second, func() error { return trace.Start(w) }, trace.Stop)
		return
	}
	p := pprof.Lookup(name)
	if p == nil {
		http.Error(w, fmt.Sprintf("unknown profile %q (one of profile, trace, heap, allocs, goroutine, block, mutex, threadcreate)", name), http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.FormValue("debug")) // 0 = the form of go tool pprof
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = p.WriteTo(w, debug) // the client has left
}

// record runs what start begins for ?seconds=, or until the client leaves.
func record(w http.ResponseWriter, r *http.Request, length time.Duration, start func() error, stop func()) {
	if text := r.FormValue("seconds"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		length = time.Duration(seconds * float64(time.Second))
		if err != nil || length <= 0 || length > maxProfile {
			http.Error(w, fmt.Sprintf("seconds is %.20q: want a number above 0 and up to %v", text, maxProfile.Seconds()), http.StatusBadRequest)
			return
		}
	}
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{})  // it ends the request's context
	_ = deadlines.SetWriteDeadline(time.Time{}) // of the server: it can pass before there is an answer
	if err := start(); err != nil {             // another one is running
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	select {
	case <-time.After(length):
	case <-r.Context().Done():
	}
}

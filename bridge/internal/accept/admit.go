package accept

import (
	"context"
	"net/http"
)

// Counted reports whether a gate counts the connection that a request came by.
func Counted(ctx context.Context) bool {
	_, ok := ctx.Value(connKey{}).(*Conn)
	return ok
}

// Admit returns why the connection that a request came by is not to be served; empty if it is,
// or if no gate counts it. A connection that was accepted beyond the limits is served if there
// is room by now. It counts one that is not; the caller records it. ctx is the request's.
func Admit(ctx context.Context) Reason {
	c, ok := ctx.Value(connKey{}).(*Conn)
	if !ok {
		return ""
	}
	g := c.gate
	g.mu.Lock()
	if c.place != beyond {
		g.mu.Unlock()
		return ""
	}
	g.remove(c)
	reason, evicted := g.place(c)
	if reason != "" { // it takes back the place that it had
		g.put(c, beyond)
	}
	g.mu.Unlock()
	g.closeAll(evicted)
	if reason != "" {
		g.o.Metrics.Refused(string(reason))
	}
	return reason
}

// Busy answers a request with 503 if its connection is not to be served, as [Admit] has it,
// and reports whether it has.
func Busy(w http.ResponseWriter, r *http.Request) bool {
	reason := Admit(r.Context())
	if reason == "" {
		return false
	}
	if c, ok := r.Context().Value(connKey{}).(*Conn); ok {
		c.gate.record(c, reason)
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Retry-After", "10")
	http.Error(w, reason.Text(), http.StatusServiceUnavailable)
	return true
}

// Keep says that the client of a request has logged in: its connection gives way to no other.
// ctx is the request's.
func Keep(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*Conn); ok {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		c.gate.setGuest(c, false)
	}
}

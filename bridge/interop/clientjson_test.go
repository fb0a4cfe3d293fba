//go:build interop

package interop

import (
	"strings"
	"testing"
)

// TestJSONPage: a page without any library, only WebSocket and JSON.
func TestJSONPage(t *testing.T) {
	need(t, "npm", "python3-zmq")
	stage := newClientStage(t)
	for _, where := range places {
		t.Run(where, func(t *testing.T) {
			p := &clientPlace{stage, where, place(t, where)}
			t.Run("subscribe", func(t *testing.T) {
				publisher := p.publishers[where][0]
				page := p.open(t, "JSON", "/"+where+"/0", p.logins["PLAIN"], "house/alice/")
				page.wait("ready")
				publisher.expect("\x01house/alice/")
				publisher.send("house/alice/temperature", "21 \u00c2\u00b0C", "\u00ff\u0000", "")
				page.expect("house/alice/temperature", "21 \u00c2\u00b0C", "\u00ff\u0000", "")
			})
			for _, mechanism := range []string{"PLAIN", "BEARER"} {
				t.Run("send by "+mechanism, func(t *testing.T) {
					page := p.open(t, "JSON", "/work", p.logins[mechanism])
					page.wait("ready")
					frames := []string{"", "caf\u00c3\u00a9", "\u00ff\u0000", strings.Repeat("0123456789", 30000)}
					page.send(frames...)
					p.answers(page, frames...)
				})
			}
			for _, r := range []clientRefusal{
				{"wrong password", "/work", withPassword("alice", "guessed"), 4400, 0, "login refused"},
				{"refused behind", "/remote", p.logins["PLAIN"], 4502, 0, "backend 1 refused the login (400)"},
				{"no route", "/nowhere", p.logins["PLAIN"], 4404, 0, "there is no such route"},
			} {
				t.Run(r.name, func(t *testing.T) { p.open(t, "JSON", r.path, r.login).errorThenClose(r.code, r.reason) })
			}
			t.Run("another's topic", func(t *testing.T) {
				page := p.open(t, "JSON", "/"+where+"/0", p.logins["PLAIN"], "house/bob/")
				page.wait("ready")
				page.errorThenClose(4403, "not permitted: subscribing to this topic")
			})
		})
	}
}

// errorThenClose waits for an object that tells an error, and for the close frame that
// tells the same.
func (s *socket) errorThenClose(code int, reason string) {
	s.t.Helper()
	if e := s.wait("error"); e.Code != code || e.Reason != reason {
		s.t.Errorf("told %d %q, want %d %q", e.Code, e.Reason, code, reason)
	}
	s.closed(code, reason)
}

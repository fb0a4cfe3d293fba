//go:build interop

package interop

import (
	"strings"
	"testing"
)

// TestJSONPage runs a page without a library, with WebSocket and JSON only.
func TestJSONPage(t *testing.T) {
	need(t, "npm", "python3-zmq")
	stage := newClientStage(t)
	for _, where := range platforms {
		t.Run(where, func(t *testing.T) {
			p := &clientPlatform{stage, where, platform(t, where)}
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
					p.expectEcho(page, frames...)
				})
			}
			for _, r := range []clientRefusal{
				{"wrong password", "/work", withPassword("alice", "guessed"), 4400, 0, "login refused"},
				{"refused by the backend", "/remote", p.logins["PLAIN"], 4502, 0, "backend 1 refused the login (400)"},
				{"no route", "/nowhere", p.logins["PLAIN"], 4404, 0, "unknown route"},
			} {
				t.Run(r.name, func(t *testing.T) { p.open(t, "JSON", r.path, r.login).errorThenClose(r.code, r.reason) })
			}
			t.Run("topic of another user", func(t *testing.T) {
				page := p.open(t, "JSON", "/"+where+"/0", p.logins["PLAIN"], "house/bob/")
				page.wait("ready")
				page.errorThenClose(4403, "not permitted: subscribing to this topic")
			})
		})
	}
}

// errorThenClose waits for an error object and for a close frame with the same code and reason.
func (s *socket) errorThenClose(code int, reason string) {
	s.t.Helper()
	if e := s.wait("error"); e.Code != code || e.Reason != reason {
		s.t.Errorf("error %d %q, want %d %q", e.Code, e.Reason, code, reason)
	}
	s.expectClose(code, reason)
}

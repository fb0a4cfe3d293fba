//go:build interop

package interop

import (
	"net/url"
	"testing"
)

// TestForeignHistory lets clients that know nothing of histories have last values and the queue of
// their user, of a backend of libzmq.
func TestForeignHistory(t *testing.T) {
	need(t, "npm", "python3-zmq")
	for _, tc := range []struct {
		name, script string
		options      map[string]any
		user         *url.Userinfo
	}{
		{"libzmq", "libzmq.mjs", map[string]any{"username": "alice", "password": secrets["alice"]}, nil},
		{"jszmq", "jszmq.mjs", nil, url.UserPassword("alice", secrets["alice"])},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHome(t)
			backend := start(t, "pyzmq.py").bind(t, "XPUB", nil)
			at, err := url.Parse(h.bridge(allMechanisms + route("SUB", backend.endpoint) +
				"[route.history]\ntopics = [\"house/\"]\nlast_value = \"always\"\nqueue = \"user\"\n"))
			if err != nil {
				t.Fatal(err)
			}
			at.User = tc.user
			open := func(peer *process) *socket {
				return peer.open(t, command{Type: "SUB", Connect: at.String(), Subscribe: []string{"house/"}, Options: tc.options})
			}
			equal(t, backend.wait("message").Frames, "\x01house/")
			backend.send("house/t", "1")
			first := start(t, tc.script)
			client := open(first)
			equal(t, client.wait("message").Frames, "house/t", "1") // its last value, or live
			backend.send("house/t", "2")
			equal(t, client.wait("message").Frames, "house/t", "2")
			first.kill()
			backend.send("house/t", "3")
			backend.send("house/t", "4")

			client = open(start(t, tc.script))
			got := ""
			for got != "3" { // what it has not acknowledged comes again
				if got = client.wait("message").Frames[1]; got > "3" {
					t.Fatalf("got %s before 3", got)
				}
			}
			equal(t, client.wait("message").Frames, "house/t", "4")
			backend.send("house/t", "5")
			equal(t, client.wait("message").Frames, "house/t", "5")
		})
	}
}

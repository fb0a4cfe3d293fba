package config

import (
	"strings"
	"testing"
)

const (
	// aRoute is a route without faults and warnings; lines added to it belong to it.
	aRoute = `
[[route]]
path = "/r"
socket = "DEALER"
connect = ["tcp://127.0.0.1:5556"]
allow = [{ user = "*", subscribe = ["#"], send = ["#"] }]
`
	// users is a chain; without one there would be a warning.
	users = `
zap.chain = [{ authn = "users" }]
auth.users = { type = "htpasswd", file = "certs/users" }
`
	// usersAndDevices is the same with an entry for backends that connect.
	usersAndDevices = `
zap.chain = [{ authn = "users" }, { authn = "keys", domains = ["devices"] }]
auth.users = { type = "htpasswd", file = "certs/users" }
auth.keys = { type = "curve", dir = "peers" }
`
)

// check loads text with a route and a chain added if it has none, so that it has no warnings
// about them.
func check(dir, text string) Faults {
	if !strings.Contains(text, "[[route]]") {
		text += aRoute
	}
	switch {
	case strings.Contains(text, "chain"):
	case strings.Contains(text, "devices"):
		text = usersAndDevices + text
	default:
		text = users + text
	}
	_, faults := load(dir, text)
	return faults
}

// row is a configuration and the fault that it must have: "" for none, "warning: …" for one
// that leaves the file legal.
type row struct{ text, want string }

// testRows checks each row. The functions that call it are in the check_*_test.go of the file
// that finds the fault.
func testRows(t *testing.T, rows []row) {
	t.Helper()
	dir := configDir(t)
	for _, tt := range rows {
		faults := check(dir, tt.text)
		var all []string
		for _, f := range faults {
			all = append(all, f.String())
		}
		text := strings.ReplaceAll(strings.Join(all, "\n"), dir, "DIR")
		switch legal := faults.Err() == nil; {
		case tt.want == "" && len(faults) > 0:
			t.Errorf("%s\nwant no fault, got:\n%s", tt.text, text)
		case !strings.Contains(text, tt.want):
			t.Errorf("%s\nwant %q, got:\n%s", tt.text, tt.want, text)
		case legal != (tt.want == "" || strings.HasPrefix(tt.want, "warning: ")):
			t.Errorf("%s\nlegal: %v, got:\n%s", tt.text, legal, text)
		}
	}
}

// TestCheckValues checks values of a wrong type or form and unknown keys, which decode.go finds.
func TestCheckValues(t *testing.T) {
	testRows(t, []row{
		{"", ""},
		{"[server]\nlisten = 1\n", `server.listen: is 1: want a string`},
		{"[server]\nlisten = [\"x\"]\n", `server.listen: is a list: want a string`},
		{"[server]\norigins = \"x\"\n", `server.origins: is "x": want a list, each entry a string`},
		{"[server]\norigins = [1]\n", `server.origins[0]: is 1: want a string`},
		{"[server]\nproxy_protocol = \"true\"\n", `server.proxy_protocol: is "true": want true or false`},
		{"[server]\nmax_frames = \"9\"\n", `server.max_frames: is "9": want a whole number`},
		{"[server]\nmax_frames = 1.5\n", `server.max_frames: is 1.5: want a whole number`},
		{"[server]\ndrain = 10\n", `server.drain: is 10: want a duration like "10s"`},
		{"[server]\ndrain = \"10\"\n", `server.drain: is "10": want a number with`},
		{"[server]\ndrain = \"-1s\"\n", `server.drain: is "-1s": want a number with`},
		{"[server]\nmax_message = -1\n", `server.max_message: is -1: want a size like "16KiB"`},
		{"[server]\nmax_message = \"1 KiB\"\n", ``},
		{"[server]\nmax_message = \"1KB\"\n", `server.max_message: is "1KB": want a whole number with`},
		{"[server]\nmax_message = \"9999999999GiB\"\n", `is "9999999999GiB": want less than 4294967296 GiB`},
		{"[server]\nmax_message = 2024-01-01\n", `is a date or time: want a size`},
		{"[server]\ntrusted_proxies = [\"10.0.0.0/99\"]\n", `server.trusted_proxies[0]: is "10.0.0.0/99": want a network`},
		{"server = 1\n", `server: is 1: want one table, [server]`},
		{"[server]\nbogus = 1\n", `server.bogus: unknown key: allowed here are acme_cache,`},
		{"[bogus]\n", `bogus: unknown key: allowed here are admin, auth, history, log, route, server, zap`},
		{aRoute + "bogus = 1\n", `route[0].bogus: unknown key`},
		{aRoute + "server_key = \"short\"\n", `route[0].server_key: is not a CURVE public key (40 Z85 characters)`},
		{aRoute + "connect2 = [{ endpoint = \"x\" }]\n", `route[0].connect2: unknown key`},
	})
}

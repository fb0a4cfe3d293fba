package config

import (
	"strings"
	"testing"
)

// TestCheckPlaintext checks that PLAIN, which sends passwords in the clear, is refused to other
// machines.
func TestCheckPlaintext(t *testing.T) {
	route := func(endpoint, more string) string {
		return "[[route]]\npath = \"/r\"\nsocket = \"DEALER\"\nallow = []\ncredentials = \"client\"\nconnect = [\"" + endpoint + "\"]\n" + more + "\n"
	}
	testRows(t, []row{
		{route("tcp://127.0.0.1:1", ""), ``},
		{route("tcp://[::1]:1", ""), ``},
		{route("tcp://localhost:1", ""), ``},
		{route("ipc:///x", ""), ``},
		{route("tcp://10.0.0.1:1", ""), `route[0].connect[0]: is neither loopback nor ipc`},
		{route("tcp://localhost.example:1", ""), `route[0].connect[0]: is neither loopback nor ipc`},
		{route("tcp://127.0.0.1.example:1", ""), `route[0].connect[0]: is neither loopback nor ipc`},
		{route("tcp://10.0.0.1:1", "insecure_plaintext = true"), `warning: route[0].insecure_plaintext: passwords go to`},
	})
}

// TestCheckReconnect checks the waits before a backend is tried again.
func TestCheckReconnect(t *testing.T) {
	const bound = "[[route]]\npath = \"/r\"\nsocket = \"DEALER\"\nallow = []\nbind_allow = []\nbind = [\"ipc://x\"]\nbind_domain = \"devices\"\nmechanism = \"PLAIN\"\n"
	const form = `: want the shortest and the longest duration, like "100ms..10s"`
	testRows(t, []row{
		{aRoute + `reconnect = "10ms..1m30s"`, ``},
		{aRoute + `reconnect = "1s..1s"`, ``},
		{aRoute + `reconnect = "1s"`, `F:10: route[0].reconnect: is "1s"` + form},
		{aRoute + `reconnect = "10s..1s"`, `route[0].reconnect: is "10s..1s"` + form},
		{aRoute + `reconnect = "0s..1s"`, `route[0].reconnect: is "0s..1s"` + form},
		{aRoute + `reconnect = "-1s..1s"`, `route[0].reconnect: is "-1s..1s"` + form},
		{aRoute + `reconnect = "1..2"`, `route[0].reconnect: is "1..2"` + form},
		{aRoute + `reconnect = 100`, `route[0].reconnect: is 100: want two durations like "100ms..10s"`},
		{aRoute + `reconnect = "9ms..1s"`, `route[0].reconnect: is "9ms..1s": want at least 10ms`},
		{bound + `reconnect = "1s..2s"`, `warning: route[0].reconnect: has no effect: backends connect to the bridge`},
	})
}

// TestCheckBind checks routes with bind; TestCheckPeers checks what their backends may do.
func TestCheckBind(t *testing.T) {
	bind := func(endpoint, more string) string {
		return "[[route]]\npath = \"/r\"\nsocket = \"DEALER\"\nallow = []\nbind_allow = []\nbind = [\"" + endpoint + "\"]\n" + more + "\n"
	}
	const curve = "mechanism = \"CURVE\"\n"
	const devices = "bind_domain = \"devices\"\n"
	testRows(t, []row{
		{bind("tcp://*:1", curve+devices), ``},
		{bind("tcp://*:1", curve), `route[0]: has bind and no bind_domain`},
		{bind("tcp://*:1", curve+"bind_domain = \"global\"\n"), `route[0].bind_domain: "global" is a domain that clients log in to`},
		{bind("tcp://*:1", curve+"bind_domain = \"house\"\n") + strings.Replace(aRoute, "/r", "/s", 1) + "domain = \"house\"\n", `route[0].bind_domain: "house" is a domain that clients log in to`},
		{bind("tcp://*:1", curve+"bind_domain = \"other\"\n"), `warning: route[0].bind_domain: no entry of zap.chain has "other" in its domains`},
		{bind("tcp://*:1", devices), `route[0].bind[0]: accepts every backend with mechanism "NULL"`},
		{bind("tcp://*:1", devices+"insecure_null = true\n"), `warning: route[0].insecure_null`},
		{bind("tcp://*:1", devices+"mechanism = \"PLAIN\"\n"), `route[0].bind[0]: takes passwords in the clear`},
		{bind("tcp://127.0.0.1:1", devices+"mechanism = \"PLAIN\"\n"), ``},
		{bind("tcp://:1", curve+devices), `route[0].bind[0]: is "tcp://:1", without a host: want "*"`},
		{"server.curve_cert = \"\"\n" + bind("tcp://*:1", curve+devices), `route[0].bind[0]: needs server.curve_cert`},
		{bind("tcp://*:1", "credentials = \"client\"\nmechanism = \"PLAIN\"\n"+devices), `route[0].credentials: is "client" with bind`},
		{strings.Replace(bind("tcp://*:1", curve+devices), "DEALER", "PAIR", 1), `route[0].socket: is "PAIR" with bind`},
		{strings.Replace(bind("tcp://*:1", curve+devices), "DEALER", "REP", 1), `route[0].socket: is "REP" with bind`},
		{bind("tcp://*:1", curve+devices) + strings.Replace(bind("tcp://*:1", curve+devices), "/r", "/s", 1), `route[1].bind[0]: "tcp://*:1" is also route[0].bind[0]`},
		{bind("tcp://*:1", curve+devices+"on_full = \"block\"\n"), `route[0].on_full: is "block" on a route whose clients share a connection`},
		{aRoute + devices, `route[0].bind_domain: is "devices" on a route without bind`},
	})
}

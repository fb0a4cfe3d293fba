package config

import (
	"strings"
	"testing"
)

// TestCheckRoute checks where a route is and how it connects and logs in to its backends.
func TestCheckRoute(t *testing.T) {
	route := func(lines string) string { return "[[route]]\n" + lines + "\n" }
	const curve = "mechanism = \"CURVE\"\nserver_key = \"" + testKey + "\"\ncert = \"certs/bridge\"\n"
	testRows(t, []row{
		{aRoute + aRoute, `F:12: route[1].path: "/r" is also the path of route[0]`},
		{route(`socket = "SUB"`), `route[0]: has no path`},
		{route(`path = "r"`), `route[0].path: is "r": want an absolute path`},
		{route(`path = "/r/"`), `route[0].path: is "/r/"`},
		{route(`path = "/r/../x"`), `route[0].path: is "/r/../x"`},
		{route(`path = "/{user}"`), `route[0].path: is "/{user}"`},
		{route(`path = "/"`), `route[0]: has no socket: want "SUB", "XSUB",`},
		{route(`socket = "STREAM"`), `route[0].socket: is "STREAM": want "SUB", "XSUB",`},
		{route(`path = "/r"`), `route[0]: has neither connect nor bind`},
		{route(`connect = ["tcp://*:1"]`), `route[0].connect[0]: is "tcp://*:1": want a host and a port to connect to`},
		{route(`connect = ["tcp://h"]`), `route[0].connect[0]: is "tcp://h": want "tcp://host:port"`},
		{route(`connect = ["inproc://x"]`), `route[0].connect[0]: has the transport "inproc"`},
		{route(`connect = [{ server_key = "` + testKey + `" }]`), `route[0].connect[0]: has no endpoint`},
		{route(`connect = ["tcp://{meta.house}:1"]`), `route[0].connect: depends on the client: want endpoints_allowed`},
		{route(`connect = ["tcp://{house}:1"]`), `route[0].connect[0]: holds {house}: want {user}, {claim.NAME}, {meta.NAME}`},
		{route(`connect = ["tcp://{meta}:1"]`), `route[0].connect[0]: holds {meta}`},
		{aRoute + `endpoints_allowed = ["tcp://*.lan:1"]`, ``},
		{aRoute + `endpoints_allowed = ["tcp://127.0.0.1:*"]`, ``},
		{route("connect = [\"tcp://{meta.house}.lan:1\"]\nendpoints_allowed = [\"http://*\"]"), `route[0].endpoints_allowed[0]: is "http://*"`},
		{aRoute + `ready = "some"`, `route[0].ready: is "some": want "any", "all" or "none"`},
		{aRoute + `connect_timeout = "0s"`, `route[0].connect_timeout: is 0s`},
		{aRoute + `domain = "a b"`, `route[0].domain: is "a b"`},
		{aRoute + `mechanism = "GSSAPI"`, `route[0].mechanism: is "GSSAPI": want "NULL", "PLAIN" or "CURVE"`},
		{aRoute + `credentials = "none"`, `route[0].credentials: is "none": want "static" or "client"`},
		{aRoute + "credentials = \"client\"\n", ``},
		{aRoute + "credentials = \"client\"\nmechanism = \"CURVE\"", `route[0].credentials: is "client", and a CURVE login cannot be passed on`},
		{aRoute + "credentials = \"client\"\nmechanism = \"NULL\"", `route[0].credentials: is "client", and mechanism "NULL" passes nothing on`},
		{aRoute + "credentials = \"client\"\nusername = \"x\"", `route[0].username: is only for mechanism = "PLAIN" with credentials = "static"`},
		{aRoute + "mechanism = \"PLAIN\"", `route[0].username: missing`},
		{aRoute + "mechanism = \"PLAIN\"\nusername = \"u-{user}\"\npassword_file = \"certs/{user}\"", ``},
		{aRoute + "mechanism = \"PLAIN\"\nusername = \"{claim.x}\"\npassword_file = \"certs/password\"", `route[0].username: holds {claim.x}: want {user}`},
		{aRoute + "mechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"certs/open\"", `route[0].password_file: `},
		{aRoute + "mechanism = \"PLAIN\"\nusername = \"" + strings.Repeat("u", 256) + "\"\npassword_file = \"certs/password\"", `has 256 bytes: want at most 255, the limit of PLAIN`},
		{aRoute + curve, ``},
		{aRoute + "server_key = \"" + testKey + "\"", `route[0].server_key: is only for mechanism = "CURVE": mechanism is "NULL"`},
		{aRoute + "cert = \"certs/bridge\"", `route[0].cert: is only for mechanism = "CURVE"`},
		{aRoute + "mechanism = \"CURVE\"\ncert = \"certs/bridge\"", `route[0].connect[0]: has no server_key`},
		{aRoute + "mechanism = \"CURVE\"\nserver_key = \"" + testKey + "\"", `route[0].cert: missing`},
		{aRoute + "mechanism = \"CURVE\"\ncert = \"none\"\nserver_key = \"" + testKey + "\"", `create the certificate with zwsbridge keygen`},
		{aRoute + "mechanism = \"CURVE\"\ncert = \"certs/{user}\"\nserver_key = \"" + testKey + "\"", ``},
		{route("path = \"/r\"\nsocket = \"SUB\"\nallow = []\nconnect = [{ endpoint = \"tcp://127.0.0.1:1\", server_key = \"" + testKey + "\" }]"), `route[0].connect[0]: has a server_key, and mechanism is "NULL"`},
		{aRoute + "zmtp2 = true", ``},
		{aRoute + "zmtp2 = true\nmechanism = \"PLAIN\"", `route[0].zmtp2: is only for mechanism = "NULL"`},
		{aRoute + curve + "zmtp2 = true", `route[0].zmtp2: is only for mechanism = "NULL"`},
		{aRoute + "insecure_null = true\nmechanism = \"PLAIN\"", `route[0].insecure_null: is only for`},
	})
}

// TestCheckClients checks what concerns the clients of a route: their logins, queues and
// routing ids, and what they share.
func TestCheckClients(t *testing.T) {
	sub := strings.Replace(aRoute, "DEALER", "SUB", 1)
	sub = strings.Replace(sub, `, send = ["#"]`, "", 1)
	testRows(t, []row{
		{aRoute + `client_mechanisms = []`, `route[0].client_mechanisms: is empty`},
		{aRoute + `client_mechanisms = ["DIGEST"]`, `route[0].client_mechanisms[0]: is "DIGEST"`},
		{aRoute + `client_mechanisms = ["PLAIN", "NULL"]`, `warning: route[0].client_mechanisms[1]: clients can connect without a login`},
		{aRoute + `client_mechanisms = ["TLS"]`, `route[0].client_mechanisms[0]: is "TLS": want server.client_ca, which verifies client certificates`},
		{aRoute + "credentials = \"client\"\nclient_mechanisms = [\"CURVE\"]", `route[0].client_mechanisms[0]: is "CURVE", and credentials = "client" can pass on only`},
		{aRoute + "credentials = \"client\"\nclient_mechanisms = [\"PLAIN\", \"BEARER\"]", ``},
		{"server.curve_cert = \"\"\n" + aRoute + `client_mechanisms = ["CURVE"]`, `route[0].client_mechanisms[0]: is "CURVE", and server.curve_cert does not exist`},
		{"server.curve_cert = \"\"\n" + aRoute, ``},
		{aRoute + `high_water_mark = 0`, `route[0].high_water_mark: is 0: want at least 1`},
		{aRoute + `high_water_bytes = "1KiB"`, `warning: route[0].high_water_bytes: is less than server.max_message`},
		{"server.max_connection_bytes = \"8MiB\"\n" + aRoute + `high_water_bytes = "8MiB"`, ``},
		{"server.max_connection_bytes = \"8MiB\"\n" + aRoute + `high_water_bytes = "9MiB"`, `warning: route[0].high_water_bytes: is more than server.max_connection_bytes`},
		{aRoute + `on_full = "drop"`, `route[0].on_full: is "drop": want "drop-oldest", "drop-newest", "conflate", "disconnect", "block" or "replay"`},
		{aRoute + `on_full = "block"`, ``},
		{sub + `on_full = "block"`, `route[0].on_full: is "block" on a route whose clients share a connection`},
		{sub + "on_full = \"block\"\ncredentials = \"client\"", ``},
		{aRoute + "on_full = \"block\"\nshare = \"requests\"", `route[0].on_full: is "block"`},
		{strings.Replace(aRoute, "DEALER", "REP", 1) + `on_full = "drop-oldest"`, `route[0].on_full: is "drop-oldest" on a REP route`},
		{strings.Replace(aRoute, "DEALER", "REP", 1) + `on_full = "disconnect"`, ``},
		{strings.Replace(aRoute, "DEALER", "REQ", 1) + `on_full = "conflate"`, `route[0].on_full: is "conflate" on a REQ route`},
		{aRoute + `flush = "1s"`, `route[0].flush: is 1s: want less than 1s`},
		{sub + `flush = "999ms"`, ``},
		{aRoute + `flush = "5ms"`, `warning: route[0].flush: has no effect: it collects messages only on SUB and XSUB routes`},
		{sub + "flush = \"5ms\"\ncredentials = \"client\"", `warning: route[0].flush: has no effect`},
		{aRoute + `share = "all"`, `route[0].share: is "all": want "", "requests" or "none"`},
		{sub + `share = "none"`, ``},
		{sub + "share = \"none\"\non_full = \"block\"", ``},
		{sub + "share = \"none\"\ncredentials = \"client\"", ``},
		{aRoute + `share = "none"`, `route[0].share: is "none" on a DEALER route: want SUB or XSUB`},
		{strings.Replace(sub, "connect = [", "bind = [", 1) + `share = "none"`, `route[0].share: is "none" with bind: clients share the backends that connect`},
		{sub + "share = \"none\"\nflush = \"5ms\"", `route[0].flush: is 5ms with share = "none"`},
		{sub + "share = \"none\"\n[route.history]\ntopics = [\"\"]", `route[0].history: needs one connection for all clients: want no share = "none"`},
		{sub + `share = "requests"`, `route[0].share: is "requests" on a SUB route`},
		{aRoute + "share = \"requests\"\ncredentials = \"client\"", `route[0].share: is "requests" with credentials = "client"`},
		{aRoute + `routing_id = "mine"`, `route[0].routing_id: is "mine"`},
		{aRoute + `routing_id = "client"`, ``},
		{aRoute + "routing_id = \"client\"\nshare = \"requests\"", `route[0].routing_id: is "client" on a route whose clients share`},
		{aRoute + `stamp = "header"`, `route[0].stamp: is "header"`},
		{sub + `stamp = "frame"`, `route[0].stamp: is "frame" on a SUB route, whose clients send nothing`},
		{aRoute + "stamp = \"routing-id\"\nshare = \"requests\"", `route[0].stamp: is "routing-id" on a route whose clients share`},
		{strings.Replace(aRoute, "DEALER", "PUSH", 1) + `stamp = "routing-id"`, `route[0].stamp: is "routing-id" on a PUSH route`},
		{aRoute + "stamp = \"routing-id\"\nrouting_id = \"client\"", `want only one of them`},
		{aRoute + `on_wide = "widen"`, `route[0].on_wide: is "widen": want "refuse" or "narrow"`},
		{aRoute + `separator = "::"`, `route[0].separator: is "::": want one ASCII character`},
		{strings.ReplaceAll(aRoute, "allow", "#"), `warning: route[0]: has no allow: every client that can log in here can do everything that a DEALER socket can`},
	})
}

// TestCheckAllow checks the rules of allow.
func TestCheckAllow(t *testing.T) {
	allow := func(rule string) string {
		return "[[route]]\npath = \"/r\"\nsocket = \"DEALER\"\nconnect = [\"tcp://127.0.0.1:1\"]\nallow = [\n" + rule + "\n]\n"
	}
	testRows(t, []row{
		{allow(`{ subscribe = ["a"] }`), `F:9: route[0].allow[0]: has no user: want a user name, or "*"`},
		{allow("{ user = \"\", subscribe = [\"a\"] },\n{ user = \"x\" },"), `warning: route[0].allow[1]: grants nothing`},
		{allow(`{ user = "x", send = ["a+"] }`), `F:9: route[0].allow[0].send[0]: pattern "a+": + and # must fill a whole level`},
		{allow(`{ user = "x", subscribe = ["house/{usr}/"] }`), `unknown placeholder {usr}: want {user}, {claim.NAME} or {meta.NAME}`},
		{allow(`{ user = "x", subscribe = ["*"] }`), `warning: route[0].allow[0].subscribe[0]: "*" is not a wildcard`},
		{allow(`{ user = "x", topics = ["*"] }`), `route[0].allow[0].topics: unknown key: allowed here are send, subscribe, user`},
		{strings.Replace(allow(`{ user = "x", subscribe = ["a"], send = ["a"] }`), "DEALER", "PUSH", 1), `warning: route[0].allow[0].subscribe: has no effect: clients of a PUSH route receive nothing`},
		{strings.Replace(allow(`{ user = "x", subscribe = ["a"], send = ["a"] }`), "DEALER", "SUB", 1), `warning: route[0].allow[0].send: has no effect`},
		{strings.Replace(allow(`{ user = "x", subscribe = ["a"], send = ["a"] }`), "DEALER", "XSUB", 1), ``},
		{"[[route]]\nallow = 5\n", `route[0].allow: is 5: want "all" or a list of rules`},
	})
}

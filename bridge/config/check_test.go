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

func testRows(t *testing.T, rows []row) {
	t.Helper()
	dir := configDir(t)
	for _, tt := range rows {
		faults := check(dir, tt.text)
		var all []string
		for _, f := range faults {
			all = append(all, f.String())
		}
		text := strings.Join(all, "\n")
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
		{"[server]\nmax_message = \"9999999999GiB\"\n", `is "9999999999GiB": want a whole number with`},
		{"[server]\nmax_message = 2024-01-01\n", `is a date or time: want a size`},
		{"[server]\ntrusted_proxies = [\"10.0.0.0/99\"]\n", `server.trusted_proxies[0]: is "10.0.0.0/99": want a network`},
		{"server = 1\n", `server: is 1: want a table`},
		{"[server]\nbogus = 1\n", `server.bogus: unknown key: allowed here are acme_cache,`},
		{"[bogus]\n", `bogus: unknown key: allowed here are admin, auth, route, server, zap`},
		{aRoute + "bogus = 1\n", `route[0].bogus: unknown key`},
		{aRoute + "server_key = \"short\"\n", `route[0].server_key: is not a CURVE public key (40 Z85 characters)`},
		{aRoute + "connect2 = [{ endpoint = \"x\" }]\n", `route[0].connect2: unknown key`},
	})
}

func TestCheckServer(t *testing.T) {
	testRows(t, []row{
		{"[server]\nlisten = \"8443\"\n", `server.listen: is "8443": want host:port`},
		{"[server]\nlisten = \"127.0.0.1:99999\"\n", `server.listen: is "127.0.0.1:99999"`},
		{"[server]\nlisten = \":0\"\n", ``},
		{"[server]\nlisten = \"*:8443\"\n", `server.listen: is "*:8443": want ":8443" for all addresses of this machine`},
		{"[server]\ntls = \"on\"\n", `server.tls: is "on": want "self-signed", "files", "acme" or "off"`},
		{"[server]\ntls = \"off\"\n", ``},
		{"[server]\ntls = \"off\"\nlisten = \"0.0.0.0:80\"\n", `warning: server.tls: 0.0.0.0:80 is reached without TLS`},
		{"[server]\ntls = \"off\"\nclient_ca = \"certs/portal.crt\"\n", `server.client_ca: needs TLS`},
		{"[server]\ntls = \"files\"\n", `server.cert: missing: tls = "files" needs it`},
		{"[server]\ntls = \"files\"\ncert = \"certs/none\"\nkey = \"certs/portal.key\"\n", `server.cert: `},
		{"[server]\ntls = \"files\"\ncert = \"certs/portal.crt\"\nkey = \"certs/open\"\n", `mode 0644, so that other users can access it; want 0600`},
		{"[admin]\ntoken_file = \"certs/open\"\n", `admin.token_file: `},
		{"[admin]\ntoken_file = \"certs/open\"\n[server]\ninsecure_file_modes = true\n", `warning: admin.token_file: `},
		{"[server]\ninsecure_file_modes = true\n", `warning: server.insecure_file_modes: files with secrets are accepted`},
		{"[server]\ntls = \"files\"\ncert = \"certs/portal.key\"\nkey = \"certs/portal.key\"\n", `server.cert: `},
		{"[server]\nclient_ca = \"certs/open\"\n", `server.client_ca: `},
		{"[server]\ncurve_cert = \"certs/password\"\n", `server.curve_cert: `},
		{"[server]\ntls = \"files\"\ncert = \"certs/portal.crt\"\nkey = \"certs/portal.key\"\n", ``},
		{"[server]\ntls = \"acme\"\nacme_cache = \"x\"\n", `server.hosts: missing`},
		{"[server]\ntls = \"acme\"\nhosts = [\"a.example\"]\n", `server.acme_cache: missing`},
		{"[server]\ntls = \"acme\"\nhosts = [\"a.example\"]\nacme_cache = \"x\"\n", ``},
		{"[server]\ntls = \"acme\"\nhosts = [\"192.0.2.1\"]\nacme_cache = \"x\"\n", `server.hosts[0]: acme: host "192.0.2.1" is an IP address, want a DNS name`},
		{"[server]\nhosts = [\"a.example:443\"]\n", `server.hosts[0]: is "a.example:443": want a DNS name`},
		{"[server]\nclient_ca = \"none\"\n", `server.client_ca: `},
		{"[server]\ncurve_cert = \"none\"\n", `server.curve_cert: `},
		{"[server]\ncurve_cert = \"\"\n", ``},
		{"[server]\norigins = [\"*\"]\n", `warning: server.origins[0]: pages of any origin`},
		{"[server]\norigins = [\"portal.example\"]\n", `server.origins[0]: is "portal.example"`},
		{"[server]\norigins = [\"https://portal.example/x\"]\n", `server.origins[0]: is "https://portal.example/x"`},
		{"[server]\norigins = [\"null\"]\n", `server.origins[0]: is "null"`},
		{"[server]\norigins = [\"https://portal.example:444\"]\n", ``},
		{"[server]\norigins = [\"https://portal.example:443\"]\n", ``},
		{"[server]\norigins = [\"https://*.portal.example\"]\n", `warning: server.origins[0]: pages of any host below the domain can connect`},
		{"[server]\norigins = [\"https://*\"]\n", `server.origins[0]: is "https://*"`},
		{"[server]\norigins = [\"https://portal.*\"]\n", `server.origins[0]: is "https://portal.*"`},
		{"[server]\nproxy_protocol = true\n", `server.proxy_protocol: needs server.trusted_proxies`},
		{"[server]\nproxy_protocol = true\ntrusted_proxies = [\"10.0.0.1\"]\n", ``},
		{"[server]\ntrusted_proxies = [\"0.0.0.0/0\"]\n", `warning: server.trusted_proxies[0]: trusts every address`},
		{"[server]\ninsecure_plaintext = true\n", `warning: server.insecure_plaintext`},
		{"[server]\nquery_token = true\n", `warning: server.query_token`},
		{"[server]\nmax_failures = 0\n", `warning: server.max_failures`},
		{"[server]\nmax_failures = -1\n", `server.max_failures: is -1: want at least 0`},
		{"[server]\nhandshake_timeout = \"0s\"\n", `server.handshake_timeout: is 0s: want a duration above 0`},
		{"[server]\nmax_handshake = 1023\n", `server.max_handshake: is 1023: want at least 1024`},
		{"[server]\nmax_handshake = 1024\n", ``},
		{"[server]\nmax_frames = 0\n", `server.max_frames: is 0: want at least 1`},
		{"[server]\nstatic = \"www\"\n", ``},
		{"[server]\nstatic = \"none\"\n", `server.static: `},
		{"[server]\nstatic = \"certs/portal.crt\"\n", `is a file: want a directory`},
		{"[server]\nstatic = \"certs\"\n", `server.static: `},
		{"[server]\nstatic = \".\"\n", `would publish the secret of`},
		{"[server]\nstatic = \"secret\"\n[admin]\ntoken_file = \"secret/token\"\n", `would publish the secret of admin.token_file`},
		{"[server]\nstatic = \"secret\"\n[admin]\ntoken_file = \"www/../secret/token\"\n", `would publish the secret of admin.token_file`},
		{"[server]\nstatic = \"secret\"\n" + aRoute + "mechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"secret/{user}/x\"\n", `would publish the secret of route[0].password_file`},
		{"[server]\nstatic = \"www\"\n[auth.t]\ntype = \"token-endpoint\"\nurl = \"https://x/\"\nidentity_map = \"uuid4\"\nstore = \"www/ids\"\n", `would publish the secret of auth.t.store`},
		{"[admin]\nlisten = \"127.0.0.1:8443\"\n", `admin.listen: is also server.listen`},
		{"[admin]\nlisten = \"0.0.0.0:9090\"\n", `warning: admin.listen: 0.0.0.0:9090 can be reached`},
		{"[admin]\nhosts = [\"http://x\"]\n", `admin.hosts[0]`},
		{"[admin]\ntoken_file = \"certs/open\"\n", `admin.token_file: `},
		{"[admin]\nlisten = \"\"\n", ``},
	})
}

func TestCheckZap(t *testing.T) {
	const ca = "server.client_ca = \"certs/portal.crt\"\n"
	testRows(t, []row{
		{"[zap]\nchain = []\n", `warning: zap: has no chain: nobody can log in`},
		{"[zap]\ndomain = \"\"\n", `zap.domain: is "": want 1 to 255 ASCII`},
		{"[zap]\ndomain = \"a b\"\n", `zap.domain: is "a b"`},
		{"[zap]\ntimeout = \"0s\"\n", `zap.timeout: is 0s`},
		{"[zap]\nlisten = [\"ipc://zap\"]\n", ``},
		{"[zap]\nlisten = [\"ipc://@zap\", \"tcp://127.0.0.1:9000\", \"tcp://[::1]:9000\"]\nclients = \"peers\"\n", ``},
		{"[zap]\nlisten = [\"ipc://zap\", \"tcp://[::1]:9000\"]\n", `warning: zap.listen[1]: every process on this machine can try passwords at tcp://[::1]:9000`},
		{"[zap]\nlisten = [\"ipc://@zap\"]\n", `warning: zap.listen[0]: every process on this machine`},
		{"[zap]\nlisten = [\"ipc://zap\"]\nlisten_domains = [\"lights\", \"global\"]\n", ``},
		{"[zap]\nlisten = [\"ipc://zap\"]\nlisten_domains = [\"lights\", \"\"]\n", `F:6: zap.listen_domains[1]: is "": want 1 to 255 ASCII characters`},
		{"[zap]\nlisten_domains = [\"lights\"]\n", `warning: zap.listen_domains: has no effect without zap.listen`},
		{"[zap]\nlisten = [\"udp://x\"]\n", `zap.listen[0]: has the transport "udp"`},
		{"[zap]\nlisten = [\"tcp://*:9000\"]\n", `zap.listen[0]: is neither ipc nor loopback, so CURVE is needed, with zap.clients`},
		{"[zap]\nlisten = [\"tcp://*:9000\"]\nclients = \"peers\"\n", ``},
		{"server.curve_cert = \"\"\n[zap]\nlisten = [\"tcp://*:9000\"]\nclients = \"certs\"\n", `with server.curve_cert`},
		{"[zap]\nclients = \"none\"\n", `zap.clients: `},
		{"[zap]\nchain = [{ authn = \"x\" }]\n", `zap.chain[0].authn: "x" is not defined: want the name of an [auth.NAME] table`},
		{"zap.chain = [{ authz = [\"users\"] }]\n[auth.users]\ntype = \"htpasswd\"\nfile = \"certs/users\"\n", `zap.chain[0]: has no authn: want "users"`},
		{"zap.chain = [{ authn = \"users\", authz = [\"users\"] }]\n[auth.users]\ntype = \"htpasswd\"\nfile = \"certs/users\"\n", `zap.chain[0].authz[0]: "users" is of type "htpasswd", which cannot judge logins of another authenticator: want one of type "http" or "ip"`},
		{"zap.chain = [{ authn = \"users\", domains = [\"far\"] }]\n[auth.users]\ntype = \"htpasswd\"\nfile = \"certs/users\"\n", `warning: zap.chain[0].domains[0]: has no effect: "far" is not the domain of any route`},
		{"zap.chain = [{ authn = \"users\", domains = [\"far\"] }]\n[auth.users]\ntype = \"htpasswd\"\nfile = \"certs/users\"\n" + aRoute, `warning: route[0].domain: no entry of zap.chain is for "global"`},
		{"[auth.x]\ntype = \"anonymous\"\n", `warning: auth.x: has no effect: no entry of zap.chain names it`},
		{"[auth.x]\n", `auth.x: has no type: want "anonymous", "certificate",`},
		{"[auth.x]\ntype = \"oauth\"\n", `auth.x.type: is "oauth": want "anonymous", "certificate",`},
		{"[auth.x]\ntype = 1\n", `auth.x.type: is 1: want`},
		{"[auth.x]\ntype = \"anonymous\"\nfile = \"x\"\n", `auth.x.file: unknown key: allowed here are type, user_prefix`},
		{"[auth.x]\ntype = \"htpasswd\"\n", `auth.x.file: missing`},
		{"[auth.x]\ntype = \"htpasswd\"\nfile = \"none\"\n", `warning: auth.x.file: `},
		{"[auth.x]\ntype = \"htpasswd\"\nfile = \"certs/open\"\n", `warning: auth.x.file: `}, // mode 0644
		{"[auth.x]\ntype = \"htpasswd\"\nfile = \"certs/portal.crt\"\n", `auth.x.file: htpasswd: `},
		{"[auth.x]\ntype = \"curve\"\ndir = \"*\"\n", `warning: auth.x.dir: is "*"`},
		{"[auth.x]\ntype = \"ip\"\n", `auth.x: has no range`},
		{"[auth.x]\ntype = \"ip\"\nallow = [\"10.0.0.0/200\"]\n", `auth.x.allow[0]: is "10.0.0.0/200"`},
		{"[auth.x]\ntype = \"ip\"\ntag_masks = { admin = [\"x\"] }\n", `auth.x.tag_masks.admin[0]: is "x"`},
		{"[auth.x]\ntype = \"certificate\"\n", `auth.x: needs server.client_ca`},
		{ca + "[auth.x]\ntype = \"certificate\"\nuser_from = [\"mail\"]\n", `auth.x.user_from[0]: is "mail": want "email", "dns", "uri" or "cn"`},
		{"[auth.x]\ntype = \"zap\"\n", `auth.x.endpoint: missing`},
		{"[auth.x]\ntype = \"zap\"\nendpoint = \"tcp://*:1\"\n", `want a host and a port to connect to`},
		{"[auth.x]\ntype = \"zap\"\nendpoint = \"tcp://central.lan:9000\"\n", `auth.x.endpoint: is neither ipc nor loopback, so CURVE is needed`},
		{"[auth.x]\ntype = \"zap\"\nendpoint = \"tcp://127.0.0.1:9000\"\ncert = \"certs/bridge\"\n", `auth.x: has only one of server_key and cert`},
	})
}

func TestCheckTokens(t *testing.T) {
	const (
		jwt  = "[auth.x]\ntype = \"jwt\"\nalgorithms = [\"RS256\"]\nresource_server_id = \"id\"\nissuer = \"https://i/\"\n"
		http = "[auth.x]\ntype = \"http\"\nuser_path = \"http://127.0.0.1:8000/u\"\nresource_path = \"http://localhost/r\"\n"
		chat = "[auth.x]\ntype = \"token-endpoint\"\n"
	)
	testRows(t, []row{
		{jwt, `auth.x: has no keys: want keys, jwks_url, or issuer with discovery = true`},
		{jwt + "discovery = true\n", `warning: auth.x: has no effect: no entry of zap.chain names it`},
		{jwt + "keys = [\"none\"]\n", `auth.x.keys[0]: `},
		{jwt + "jwks_url = \"file:///x\"\n", `auth.x.jwks_url: not a URL that keys can be fetched from: want https://`},
		{jwt + "jwks_url = \"http://keys.example/\"\n", `auth.x.jwks_url: http://keys.example: keys are fetched over https only`},
		{jwt + "jwks_url = \"https://keys/\"\ndiscovery = true\n", `auth.x: has jwks_url and discovery: want only one of them`},
		{jwt + "jwks_url = \"https://keys/\"\nrequire_exp = false\n", `warning: auth.x.require_exp`},
		{jwt + "jwks_url = \"https://keys/\"\nrequire_aud = false\n", `warning: auth.x.require_aud`},
		{jwt + "jwks_url = \"https://keys/\"\nextra_scopes_mode = \"both\"\n", `auth.x.extra_scopes_mode: is "both": want "add" or "replace"`},
		{"[auth.x]\ntype = \"jwt\"\nresource_server_id = \"id\"\njwks_url = \"https://keys/\"\n", `auth.x: has no algorithms`},
		{"[auth.x]\ntype = \"jwt\"\nalgorithms = [\"none\"]\njwks_url = \"https://keys/\"\nresource_server_id = \"id\"\n", `auth.x.algorithms[0]: is "none": want "HS256",`},
		{"[auth.x]\ntype = \"jwt\"\nalgorithms = [\"RS256\"]\njwks_url = \"https://keys/\"\n", `auth.x.resource_server_id: missing`},
		{"[auth.x]\ntype = \"jwt\"\nalgorithms = [\"RS256\"]\nresource_server_id = \"id\"\ndiscovery = true\n", `auth.x.issuer: missing: discovery needs it`},
		{http, `warning: auth.x: has no effect: no entry of zap.chain names it`},
		{http + "method = \"PUT\"\n", `auth.x.method: is "PUT": want "POST" or "GET"`},
		{http + "method = \"GET\"\n", `warning: auth.x.method: GET puts passwords into URLs`},
		{http + "topic_path = \"http://app.example/\"\n", `warning: auth.x.topic_path: is http to another machine`},
		{http + "topic_path = \"/auth/topic\"\n", `auth.x.topic_path: is not a URL`},
		{http + "cert = \"certs/portal.crt\"\n", `auth.x: has only one of cert and key`},
		{http + "key = \"certs/open\"\ncert = \"certs/portal.crt\"\n", `auth.x.cert: `},
		{http + "ca = \"certs/open\"\n", `auth.x.ca: `},
		{"[auth.x]\ntype = \"http\"\nuser_path = \"http://127.0.0.1/\"\n", `auth.x: has nothing to ask: want vhost_path`},
		{chat, `auth.x.url: missing`},
		{chat + "url = \"https://c/\"\ntoken_regex = \"(\"\n", `auth.x.token_regex: is not an RE2 expression`},
		{chat + "url = \"https://c/\"\nidentity_map = \"uuid9\"\n", `auth.x.identity_map: is "uuid9"`},
		{chat + "url = \"https://c/\"\nidentity_map = \"uuid4\"\n", `auth.x.store: missing`},
		{chat + "url = \"https://c/\"\nidentity_map = \"uuid4\"\nstore = \"none/x\"\n", `auth.x.store: `},
	})
}

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
		{route(`connect = ["tcp://{house}:1"]`), `route[0].connect[0]: holds {house}: want {user}, {claim}, {meta}`},
		{route(`connect = ["tcp://{meta}:1"]`), `route[0].connect[0]: holds {meta}`},
		{aRoute + `endpoints_allowed = ["tcp://*.lan:1"]`, `route[0].endpoints_allowed: is only for endpoints with a placeholder`},
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
		{aRoute + "insecure_null = true\nmechanism = \"PLAIN\"", `route[0].insecure_null: is only for`},
	})
}

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
		{aRoute + devices, `route[0].bind_domain: is only for routes with bind`},
	})
}

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
		{aRoute + `on_full = "drop"`, `route[0].on_full: is "drop": want "drop-oldest", "drop-newest", "conflate", "disconnect" or "block"`},
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
		{aRoute + `share = "all"`, `route[0].share: is "all": want "" or "requests"`},
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

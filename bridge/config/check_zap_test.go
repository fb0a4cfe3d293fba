package config

import (
	"testing"
)

// TestCheckZap checks [zap], its chain, and authenticators except those of TestCheckTokens.
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
		{"[zap]\nlisten = [\"tcp://*:9000\"]\n", `zap.listen[0]: is neither ipc nor loopback, so CURVE is needed: want zap.clients`},
		{"[zap]\nlisten = [\"tcp://*:9000\"]\nclients = \"peers\"\n", ``},
		{"server.curve_cert = \"\"\n[zap]\nlisten = [\"tcp://*:9000\"]\nclients = \"certs\"\n", `want server.curve_cert`},
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

// TestCheckTokens checks authenticators for tokens and those that ask an HTTP service.
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
		{http + "topic_path = \"/auth/topic\"\n", `auth.x.topic_path: is "/auth/topic": want a URL`},
		{http + "cert = \"certs/portal.crt\"\n", `auth.x: has only one of cert and key`},
		{http + "key = \"certs/open\"\ncert = \"certs/portal.crt\"\n", `auth.x.key: `},
		{http + "ca = \"certs/open\"\n", `auth.x.ca: `},
		{"[auth.x]\ntype = \"http\"\nuser_path = \"http://127.0.0.1/\"\n", `auth.x: has nothing to ask: want vhost_path`},
		{chat, `auth.x.url: missing`},
		{chat + "url = \"https://c/\"\ntoken_regex = \"(\"\n", `auth.x.token_regex: is "(": want an RE2 expression`},
		{chat + "url = \"https://c/\"\nidentity_map = \"uuid9\"\n", `auth.x.identity_map: is "uuid9"`},
		{chat + "url = \"https://c/\"\nidentity_map = \"uuid4\"\n", `auth.x.store: missing`},
		{chat + "url = \"https://c/\"\nidentity_map = \"uuid4\"\nstore = \"none/x\"\n", `auth.x.store: `},
	})
}

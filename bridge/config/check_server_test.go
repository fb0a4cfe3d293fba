package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCheckServer checks the keys of [server] and [log], and of [admin] except for OIDC.
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
		{"[server]\nallowed_hosts = [\"bridge.example\", \"bridge.example:8080\"]\n", ``},
		{"[server]\nallowed_hosts = [\"http://bridge.example\"]\n", `server.allowed_hosts[0]: is "http://bridge.example": want a host name`},
		{"[server]\nallowed_hosts = [\"*.example\"]\n", `server.allowed_hosts[0]: is "*.example": want a host name`},
		{"[server]\nclient_ca = \"none\"\n", `server.client_ca: `},
		{"[server]\ncurve_cert = \"none\"\n", `server.curve_cert: `},
		{"[server]\ncurve_cert = \"\"\n", ``},
		{"[log]\nlevel = \"warning\"\n", `log.level: is "warning": want "debug", "info", "warn" or "error"`},
		{"[log]\nformat = \"logfmt\"\n", `log.format: is "logfmt": want "auto", "text" or "json"`},
		{"[log]\nrepeat = \"2h\"\n", `log.repeat: is 2h0m0s: want at most 1h0m0s`},
		{"[log]\nlevel = \"error\"\nformat = \"text\"\nrepeat = \"0s\"\n", ``},
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
		{"[server]\nmax_subscription_bytes_per_user = 0\n", `server.max_subscription_bytes_per_user: is 0: want at least 1`},
		{"[server]\nmax_subscription_bytes_per_user = 1023\n", `warning: server.max_subscription_bytes_per_user: is less than server.max_topic`},
		{"[server]\nmax_subscription_bytes_per_user = 1024\n", ``},
		{"[server]\nmax_failures = 0\n", `warning: server.max_failures`},
		{"[server]\nmax_failures = -1\n", `server.max_failures: is -1: want at least 0`},
		{"[server]\nhandshake_timeout = \"0s\"\n", `server.handshake_timeout: is 0s: want a duration above 0`},
		{"[server]\nmax_handshake = 1023\n", `server.max_handshake: is 1023: want at least 1024`},
		{"[server]\nmax_handshake = 1024\n", ``},
		{"[server]\nmax_connection_bytes = 0\n", `server.max_connection_bytes: is 0: want at least 1`},
		{"[server]\nmax_connection_bytes = \"1023KiB\"\n", `warning: server.max_connection_bytes: is less than server.max_message`},
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
		{"[admin]\nready_needs = [\"/none\"]\n", `admin.ready_needs[0]: is "/none": want the path of a route`},
		{"[admin]\nready_needs = [\"/sub\"]\n" + needed("/sub", "SUB", "connect"), ``},
		{"[admin]\nready_needs = [\"/sub\", \"/dealer\"]\n" + needed("/sub", "SUB", "connect") + needed("/dealer", "DEALER", "connect"),
			`admin.ready_needs[1]: route /dealer has no backends without clients`},
		{"[admin]\nready_needs = [\"/pull\"]\n" + needed("/pull", "PULL", "bind") + "bind_domain = \"devices\"\ninsecure_null = true\n", `warning: route[0].insecure_null`},
	})
}

// needed returns a route for admin.ready_needs.
func needed(path, socket, way string) string {
	return fmt.Sprintf("[[route]]\npath = %q\nsocket = %q\n%s = [\"tcp://127.0.0.1:1\"]\nallow = []\n", path, socket, way)
}

// TestAdminTokenLength: a token that can be guessed is warned of.
func TestAdminTokenLength(t *testing.T) {
	for token, warned := range map[string]bool{
		"":                      true,
		"1234567890123456789":   true,
		"1234567890123456789\n": true,
		"12345678901234567890":  false,
	} {
		dir := configDir(t)
		if err := os.WriteFile(filepath.Join(dir, "certs", "password"), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		faults := check(dir, "[admin]\ntoken_file = \"certs/password\"\n")
		if faults.Err() != nil || len(faults) > 0 != warned {
			t.Errorf("%q: %v, want a warning: %v", token, faults, warned)
		}
	}
}

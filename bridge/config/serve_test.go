package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aPath is the beginning of a route whose other keys follow.
const aPath = "[[route]]\npath = \"/r\"\nsocket = \"DEALER\"\n"

// TestCheckServes: what would stop serve, or make a route useless, is reported.
func TestCheckServes(t *testing.T) {
	connect := func(endpoint string) string {
		return aPath + "allow = \"all\"\nconnect = [\"" + endpoint + "\"]\n"
	}
	bind := func(endpoint string) string {
		return aPath + "allow = \"all\"\nbind = [\"" + endpoint + "\"]\nbind_domain = \"devices\"\nbind_allow = []\nmechanism = \"CURVE\"\n"
	}
	testRows(t, []row{
		// endpoints
		{connect("tcp://eth0;192.0.2.1:5556"), `route[0].connect[0]: is "tcp://eth0;192.0.2.1:5556", with a source address`},
		{connect("tcp://192.0.2.9:0;192.0.2.1:5556"), `want`},
		{connect("tcp://127.0.0.1;127.0.0.2:5556"), `with a source address`},
		{connect("tcp://a b:5556"), `want a host name or an address`},
		{connect("tcp://user@host:5556"), `want a host name or an address`},
		{connect("tcp://host,other:5556"), `want a host name or an address`},
		{connect("tcp://house_1.lan:5556"), ``},
		{connect("tcp://[fe80::1%eth0]:5556"), ``},
		{connect("tcp://[::1]:5556"), ``},
		{connect("ipc:///" + strings.Repeat("x", 120)), `want at most 107`},
		{connect("ipc://@" + strings.Repeat("x", 120)), `want at most 107`},
		{bind("tcp://lo:5556"), `with the name of a network interface`},
		{bind("tcp://127.0.0.1:5556"), ``},
		{bind("ipc://none/socket"), `warning: route[0].bind[0]: `},
		{bind("ipc://certs/users/socket"), `route[0].bind[0]: `},
		{bind("ipc://certs/socket"), ``},
		// ports
		{bind("tcp://127.0.0.1:8443"), `route[0].bind[0]: has the port of server.listen`},
		{bind("tcp://*:8443"), `route[0].bind[0]: has the port of server.listen`},
		{bind("tcp://127.0.0.2:8443"), ``},
		{bind("tcp://0.0.0.0:9090") + "[admin]\n", `route[0].bind[0]: has the port of admin.listen`},
		{"[server]\nlisten = \":9090\"\n[admin]\n", `admin.listen: has the port of server.listen`},
		{"[server]\nlisten = \":0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n", ``},
		// paths
		{strings.Replace(aRoute, `"/r"`, `"/zws.js"`, 1), `route[0].path: is "/zws.js", where the bridge serves its JavaScript client`},
		{strings.Replace(aRoute, `"/r"`, `"/zws/nacl.js"`, 1), `where the bridge serves its JavaScript client`},
		{strings.Replace(aRoute, `"/r"`, `"/zws"`, 1), ``},
		{"server.static = \"www\"\n" + strings.Replace(aRoute, `"/r"`, `"/index.html"`, 1), `warning: route[0].path: hides `},
		{"server.static = \"www\"\n" + aRoute, ``},
		// credentials
		{connect("tcp://127.0.0.1:5556") + "credentials = \"client\"\n", ``},
		{connect("tcp://192.0.2.1:5556") + "credentials = \"client\"\n", `PLAIN sends the password in the clear`},
		{connect("tcp://127.0.0.1:5556") + "credentials = \"client\"\nmechanism = \"NULL\"\n", `mechanism "NULL" passes nothing on`},
		// mechanisms that no entry of the chain decides on
		{aRoute + "client_mechanisms = [\"PLAIN\"]\n", ``},
		{aRoute + "client_mechanisms = [\"BEARER\"]\n", `warning: route[0].client_mechanisms: no entry of zap.chain for "global" decides on a login by "BEARER": nobody can log in (route /r)`},
		{"zap.chain = [{ authn = \"g\" }]\nauth.g = { type = \"anonymous\" }\n" + aRoute, `warning: route[0].client_mechanisms: no entry of zap.chain for "global" decides on a login by "PLAIN", "BEARER" or "CURVE"`},
		{"zap.chain = [{ authn = \"z\" }]\nauth.z = { type = \"zap\", endpoint = \"tcp://127.0.0.1:9\" }\n" + aRoute + "client_mechanisms = [\"CURVE\"]\n", ``},
		// rules
		{aPath + "connect = [\"tcp://127.0.0.1:1\"]\n", `warning: route[0]: has no allow: every client that can log in here can do everything`},
		{connect("tcp://127.0.0.1:1"), ``},
		{aPath + "connect = [\"tcp://127.0.0.1:1\"]\nallow = \"any\"\n", `route[0].allow: is "any": want "all" or a list of rules`},
		{aPath + "connect = [\"tcp://127.0.0.1:1\"]\nallow = true\n", `route[0].allow: is true: want "all" or a list of rules`},
		{aPath + "connect = [\"tcp://127.0.0.1:1\"]\nallow = [\"all\"]\n", `route[0].allow[0]: is "all": want a table`},
	})
}

// TestAllowAll: the word means a route without rules.
func TestAllowAll(t *testing.T) {
	c := mustLoad(t, configDir(t), users+aPath+"connect = [\"tcp://127.0.0.1:1\"]\nallow = \"all\"\n")
	if r := c.Routes[0]; r.Allow != nil || !r.AllowAll {
		t.Errorf("allow %v, AllowAll %v", r.Allow, r.AllowAll)
	}
	if _, faults := Validate(c, ValidateOptions{}); len(faults) != 0 {
		t.Errorf("validated again: %v", faults)
	}
}

// TestForeignKeyFiles: files in directories of keys that are not keys are warnings.
func TestForeignKeyFiles(t *testing.T) {
	dir := configDir(t)
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"README": "One file each.\n", "raw": "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)\n"} {
		if err := os.WriteFile(filepath.Join(keys, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{
		"zap.chain = [{ authn = \"k\" }]\nauth.k = { type = \"curve\", dir = \"keys\" }\n" + aRoute,
		"zap.chain = [{ authn = \"k\" }]\nauth.k = { type = \"jwt\", algorithms = [\"ES256\"], issuer = \"i\", resource_server_id = \"z\", keys = \"keys\" }\n" + aRoute,
		users + "zap.listen = [\"ipc://@x\"]\nzap.clients = \"keys\"\n" + aRoute,
	} {
		_, faults := load(dir, text)
		if err := faults.Err(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		for _, file := range []string{"README", "raw"} {
			found := 0
			for _, f := range faults {
				if f.Warning && strings.Contains(f.Text, filepath.Join(keys, file)) && strings.HasSuffix(f.Text, "the file is ignored") {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%s: %d warnings of %s: %v", text, found, file, faults)
			}
		}
	}
}

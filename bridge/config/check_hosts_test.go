package config

import (
	"strings"
	"testing"
)

// TestCheckAllowedHosts checks for which names check warns that routes without credentials
// refuse them.
func TestCheckAllowedHosts(t *testing.T) {
	const (
		origins = "tls = \"off\"\norigins = [\"http://portal.example:81\"]\n"
		null    = aRoute + "client_mechanisms = [\"NULL\"]\n"
	)
	dir := configDir(t)
	for _, tt := range []struct{ server, route, want string }{
		{origins, null, `lacks "portal.example": without TLS, routes that take NULL, such as /r,`},
		{"tls = \"off\"\nlisten = \"bridge.lan:80\"\n", null, `lacks "bridge.lan"`},
		{"tls = \"off\"\nhosts = [\"bridge.lan\"]\n", null, `lacks "bridge.lan"`},
		{"tls = \"off\"\norigins = [\"https://portal.example\"]\n", null, `lacks "portal.example"`},
		{"tls = \"off\"\norigins = [\"https://portal.example\"]\ntrusted_proxies = [\"127.0.0.1\"]\n", null, ""},
		{origins + "allowed_hosts = [\"portal.example\"]\n", null, ""},
		{origins, aRoute, ""},
		{"tls = \"off\"\norigins = [\"http://portal.local\", \"http://192.0.2.1\", \"*\", \"http://*.example\"]\n", null, ""},
		{"tls = \"off\"\nlisten = \":80\"\n", null, ""},
		{"origins = [\"http://portal.example\"]\n", null, ""},
	} {
		found := ""
		for _, f := range check(dir, "[server]\n"+tt.server+tt.route) {
			if f.Key == "server.allowed_hosts" {
				found = f.Text
			}
		}
		if (found == "") != (tt.want == "") || !strings.Contains(found, tt.want) {
			t.Errorf("%s%s\ngot %q, want %q", tt.server, tt.route, found, tt.want)
		}
	}
}

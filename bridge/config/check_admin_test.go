package config

import (
	"runtime"
	"strings"
	"testing"
)

// TestCheckAdminSocket checks the path of admin.socket.
func TestCheckAdminSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		testRows(t, []row{{"[admin]\nsocket = \"certs/admin.sock\"\n", `admin.socket: is not available on Windows`}})
		return
	}
	testRows(t, []row{
		{"[admin]\nsocket = \"/tmp/none.sock\"\n", ``},
		{"[admin]\nlisten = \"\"\nsocket = \"/tmp/none.sock\"\n", ``},
		{"[admin]\nsocket = \"/none/admin.sock\"\n", `warning: admin.socket: directory /none does not exist: make it, or with systemd set RuntimeDirectory=`},
		{"[admin]\nsocket = \"certs/password\"\n", `F:5: admin.socket: `},
		{"[admin]\nsocket = \"/tmp/" + strings.Repeat("x", 200) + "\"\n", `F:5: admin.socket: `},
		{"[admin]\nlisten = \"\"\nsocket = \"/tmp/none.sock\"\nready_needs = [\"/none\"]\n", `admin.ready_needs[0]: is "/none": want the path of a route`},
	})
}

// TestCheckOIDC checks the keys of the login of operators at a provider.
func TestCheckOIDC(t *testing.T) {
	const (
		chain = "zap.chain = [{ authn = \"users\" }, { authn = \"sso\" }]\nauth.users = { type = \"htpasswd\", file = \"certs/users\" }\n"
		sso   = "[auth.sso]\ntype = \"jwt\"\nalgorithms = [\"RS256\"]\nresource_server_id = \"id\"\n"
		known = sso + "issuer = \"https://idp.example/\"\ndiscovery = true\n"
		admin = "[admin]\noidc = \"sso\"\noidc_client_id = \"page\"\n"
	)
	testRows(t, []row{
		{chain + known + admin, ``},
		{chain + known + admin + "oidc_client_secret_file = \"certs/password\"\noidc_scopes = [\"openid\", \"profile\"]\noidc_params = { audience = \"zws\" }\n", ``},
		{chain + known + admin + "listen = \"localhost:9090\"\n", ``},
		{chain + known + admin + "url = \"https://ops.example\"\nhosts = [\"ops.example\"]\n", ``},
		{chain + known + admin + "url = \"https://ops.example:444\"\nhosts = [\"ops.example:444\"]\n", ``},
		{chain + known + admin + "url = \"http://localhost:9999\"\n", ``},
		{chain + known + "[admin]\noidc = \"sso\"\n", `F:9: admin.oidc_client_id: missing: admin.oidc needs it`},
		{chain + known + "[admin]\noidc = \"other\"\n", `F:10: admin.oidc: "other" is not defined: want "sso" or "users"`},
		{chain + known + "[admin]\noidc = \"users\"\n", `admin.oidc: "users" is of type "htpasswd": want one of type "jwt"`},
		{chain + sso + "jwks_url = \"https://idp.example/keys\"\n" + admin, `admin.oidc: "sso" has no issuer`},
		{chain + sso + "jwks_url = \"https://idp.example/keys\"\nissuer = \"http://idp.example\"\n" + admin, `auth.sso.issuer: http://idp.example: keys are fetched over https only`},
		{known + admin, `admin.oidc: "sso" is not the authn of any entry of zap.chain for the domain "global"`},
		{"zap.chain = [{ authn = \"sso\", domains = [\"devices\"] }]\n" + known + admin, `admin.oidc: "sso" is not the authn of any entry of zap.chain for the domain "global"`},
		{chain + known + admin + "listen = \"0.0.0.0:9090\"\n", `admin.oidc: needs admin.url`},
		{chain + known + admin + "listen = \":9090\"\n", `admin.oidc: needs admin.url`},
		{chain + known + admin + "listen = \"127.0.0.1:0\"\n", `admin.oidc: needs admin.url`},
		{chain + known + admin + "url = \"https://ops.example\"\n", `admin.url: has the host "ops.example", which the listener does not answer: add it to admin.hosts`},
		{chain + known + admin + "url = \"https://127.0.0.1/page\"\n", `admin.url: is "https://127.0.0.1/page": want http:// or https:// with a host and nothing after it`},
		{chain + known + admin + "url = \"javascript:alert(1)\"\n", `admin.url: is "javascript:alert(1)"`},
		{chain + known + admin + "url = \"http://ops.example\"\nhosts = [\"ops.example\"]\n", `warning: admin.url: is http to another machine`},
		{chain + known + admin + "oidc_client_secret_file = \"certs/open\"\n", `admin.oidc_client_secret_file: `},
		{chain + known + admin + "oidc_client_secret_file = \"none\"\n", `admin.oidc_client_secret_file: `},
		{chain + known + admin + "oidc_scopes = [\"profile\"]\n", `admin.oidc_scopes: lacks "openid"`},
		{chain + known + admin + "oidc_scopes = [\"openid\", \"a b\"]\n", `admin.oidc_scopes[1]: is "a b"`},
		{chain + known + admin + "oidc_params = { state = \"mine\" }\n", `admin.oidc_params.state: is set by the bridge`},
		{chain + known + admin + "oidc_params = { resource = 1 }\n", `admin.oidc_params.resource: is 1: want a string`},
		{"[admin]\noidc_client_id = \"page\"\n", `admin.oidc_client_id: needs admin.oidc`},
		{chain + known + admin + "oidc_client_secret_file = \"secret/token\"\n[server]\nstatic = \"secret\"\n", `would publish the secret of admin.oidc_client_secret_file`},
	})
}

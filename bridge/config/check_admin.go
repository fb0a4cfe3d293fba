package config

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// admin checks the table [admin], if there is such a listener.
func (c *checker) admin() {
	a := &c.Admin
	if a.Socket != "" {
		c.adminSocket(a.Socket)
	}
	if a.Listen == "" {
		if a.Socket != "" {
			c.allReadyNeeds(a)
		}
		return
	}
	c.listen("admin.listen", a.Listen)
	if a.Listen == c.Server.Listen && !strings.HasSuffix(a.Listen, ":0") {
		c.fault("admin.listen", "is also server.listen: want an address of its own")
	}
	for i, h := range a.Hosts {
		if h == "" || strings.ContainsAny(h, "/ ") {
			c.fault(entry("admin.hosts", i), "is %q: want a host name as in a Host header, like \"ops.example\"", h)
		}
	}
	if a.TokenFile != "" {
		c.secretFile("admin.token_file", a.TokenFile)
		c.adminToken(a.TokenFile)
	}
	c.allReadyNeeds(a)
	if a.URL != "" {
		c.pageURL(a)
	}
	c.oidc(a)
	if !isLoopback(a.Listen) {
		c.warn("admin.listen", "%s can be reached from other machines, without TLS", a.Listen)
	}
}

// adminSocket checks admin.socket: a path of a file that can be made.
func (c *checker) adminSocket(socket Path) {
	const key = "admin.socket"
	if runtime.GOOS == "windows" {
		c.fault(key, "is not available on Windows, where the mode of a socket does not limit who connects: use admin.listen")
		return
	}
	if n := len(socket); n > maxSocketPath {
		c.fault(key, "%s has %d bytes: the path of a unix socket has at most %d", socket, n, maxSocketPath)
	}
	dir := filepath.Dir(string(socket))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		// A warning, since systemd makes it when it starts the bridge.
		c.warn(key, "directory %s does not exist: make it, or with systemd set RuntimeDirectory=", dir)
		return
	}
	if info, err := os.Lstat(string(socket)); err == nil && info.Mode().Type() != os.ModeSocket {
		c.fault(key, "%s exists and is not a socket: want another path", socket)
	}
}

// allReadyNeeds checks admin.ready_needs, which counts for both listeners.
func (c *checker) allReadyNeeds(a *Admin) {
	for i, path := range a.ReadyNeeds {
		c.readyNeeds(entry("admin.ready_needs", i), path)
	}
}

// minAdminToken is the length of an admin token that nobody guesses, in bytes.
const minAdminToken = 20

// adminToken warns of a token that can be guessed.
func (c *checker) adminToken(file Path) {
	text, err := c.Server.Private().Read(string(file), 4<<10)
	if err != nil {
		return // reported as a file with a secret
	}
	if n := len(bytes.TrimSpace(text)); n < minAdminToken {
		c.warn("admin.token_file", "%s: the token has %d bytes and can be guessed: want at least %d, random ones", file, n, minAdminToken)
	}
}

// readyNeeds checks an entry of admin.ready_needs: a route that has backends of its own.
func (c *checker) readyNeeds(key, path string) {
	i := slices.IndexFunc(c.Routes, func(r Route) bool { return r.Path == path })
	switch {
	case i < 0:
		c.fault(key, "is %q: want the path of a route%s", path, c.routePaths())
	case !c.Routes[i].Shared() && len(c.Routes[i].Bind) == 0:
		c.fault(key, "route %s has no backends without clients, each of which has its own connection: want a route whose clients share one", path)
	}
}

// routePaths lists the paths of the first routes for a fault.
func (c *checker) routePaths() string {
	var paths []string
	for _, r := range c.Routes {
		paths = append(paths, r.Path)
	}
	switch {
	case len(paths) == 0:
		return "; there is none"
	case len(paths) > 5:
		return ", like " + choices(paths[:5])
	}
	return ": " + choices(paths)
}

// pageURL checks admin.url: an origin whose host the listener answers.
func (c *checker) pageURL(a *Admin) {
	u, err := url.Parse(a.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Scheme+"://"+u.Host != a.URL {
		c.fault("admin.url", `is %q: want http:// or https:// with a host and nothing after it, like "https://bridge.lan"`, a.URL)
		return
	}
	own, _, _ := net.SplitHostPort(a.Listen)
	if u.Hostname() != "localhost" && u.Hostname() != own && !slices.Contains(a.Hosts, u.Hostname()) && !slices.Contains(a.Hosts, u.Host) {
		c.fault("admin.url", "has the host %q, which the listener does not answer: add it to admin.hosts", u.Host)
	}
	c.plainHTTP("admin.url", a.URL, "the logins of operators can be read on the way")
}

// oidc checks the login of operators at an OpenID Connect provider.
func (c *checker) oidc(a *Admin) {
	if a.OIDC == "" {
		for name, set := range map[string]bool{
			"oidc_client_id":          a.OIDCClientID != "",
			"oidc_client_secret_file": a.OIDCClientSecretFile != "",
			"oidc_scopes":             a.OIDCScopes != nil,
			"oidc_params":             a.OIDCParams != nil,
		} {
			if c.isGiven("admin."+name, set) {
				c.fault("admin."+name, `needs admin.oidc: the name of an [auth.NAME] of type "jwt"`)
			}
		}
		return
	}
	c.oidcIssuer(a)
	if a.PageURL() == "" {
		c.fault("admin.oidc", "needs admin.url: admin.listen does not name an address that the provider can send browsers back to")
	}
	c.required("admin.oidc_client_id", a.OIDCClientID, "admin.oidc")
	if a.OIDCClientSecretFile != "" {
		c.secretFile("admin.oidc_client_secret_file", a.OIDCClientSecretFile)
	}
	if !slices.Contains(a.OIDCScopes, "openid") {
		c.fault("admin.oidc_scopes", `lacks "openid", without which the provider issues no ID token`)
	}
	for i, scope := range a.OIDCScopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			c.fault(entry("admin.oidc_scopes", i), "is %q: want a scope of visible ASCII characters", scope)
		}
	}
	for _, name := range oidcOwnParams {
		if _, given := a.OIDCParams[name]; given {
			c.fault(joinKey("admin.oidc_params", name), "is set by the bridge")
		}
	}
}

// oidcOwnParams are the parameters of requests to a provider that the bridge sets itself.
var oidcOwnParams = []string{
	"client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "code_verifier", "grant_type",
	"nonce", "redirect_uri", "response_mode", "response_type", "scope", "state",
}

// oidcIssuer checks the authenticator that admin.oidc names: its issuer is the provider, and
// it has to accept the access tokens of the provider.
func (c *checker) oidcIssuer(a *Admin) {
	sso, ok := c.Auth[a.OIDC]
	if !ok {
		c.fault("admin.oidc", "%q is not defined: want %s", a.OIDC, c.authNames())
		return
	}
	s, ok := c.JWT(a.OIDC)
	if !ok {
		c.fault("admin.oidc", `%q is of type %q: want one of type "jwt", whose issuer is the provider`, a.OIDC, sso.Type)
		return
	}
	if s.Issuer == "" {
		c.fault("admin.oidc", "%q has no issuer: want the URL of the provider", a.OIDC)
	} else if !s.Discovery { // with discovery, its own check does this
		c.keyURL(joinKey("auth", a.OIDC)+".issuer", s.Issuer)
	}
	accepts := func(e ChainEntry) bool {
		return e.Authn == a.OIDC && (len(e.Domains) == 0 || slices.Contains(e.Domains, c.Zap.Domain))
	}
	if !c.ownHandler && !slices.ContainsFunc(c.Zap.Chain, accepts) {
		c.fault("admin.oidc", "%q is not the authn of any entry of zap.chain for the domain %q: its tokens would be refused", a.OIDC, c.Zap.Domain)
	}
}

package config

import (
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap/certificate"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zap/ip"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

// authorizes tells whether the authenticator can also look at logins that another one has
// accepted.
func (a *Auth) authorizes() bool {
	switch a.Settings.(type) {
	case *IP, *HTTP, nil: // nil: a fault of its own
		return true
	}
	return false
}

// auth checks one [auth.NAME].
func (c *checker) auth(key string, a Auth) {
	switch s := a.Settings.(type) {
	case *Htpasswd:
		c.required(key+".file", string(s.File), `type = "htpasswd"`)
		if c.exists(key+".file", s.File, "add users with zwsbridge passwd") {
			c.users(key+".file", s.File)
			c.hashes(key+".file", s.File)
		}
	case *IP:
		c.authIP(key, s)
	case *Anonymous:
		c.warn(key, "lets everybody in without a login, where a route takes NULL")
	case *Curve:
		c.required(key+".dir", string(s.Dir), `type = "curve"`)
		if s.Dir == "*" {
			c.warn(key+".dir", `is "*": everybody who makes a key may come in`)
			return
		}
		c.exists(key+".dir", s.Dir, "put the public zcert file of every client into it")
	case *Certificate:
		if c.Server.ClientCA == "" {
			c.fault(key, "needs server.client_ca: without one no client certificate is asked for")
		}
		for i, from := range s.UserFrom {
			c.oneOf(entry(key+".user_from", i), from, fieldNames())
		}
	case *Remote:
		c.authRemote(key, s)
	case *JWT:
		c.authJWT(key, s)
	case *HTTP:
		c.authHTTP(key, s)
	case *TokenEndpoint:
		c.authTokenEndpoint(key, s)
	}
}

// authenticates tells whether [auth.NAME] is the authn of an entry of the chain.
func (c *checker) authenticates(key string) bool {
	return slices.ContainsFunc(c.Zap.Chain, func(e ChainEntry) bool { return joinKey("auth", e.Authn) == key })
}

// users reports an htpasswd file that cannot be used.
func (c *checker) users(key string, p Path) {
	a, err := htpasswd.New(htpasswd.Options{File: string(p), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.fault(key, "%s", reason(err))
		return
	}
	_ = a.Close() // it was only read
}

func fieldNames() (names []string) {
	for _, f := range certificate.DefaultUserFrom {
		names = append(names, string(f))
	}
	return names
}

func (c *checker) authIP(key string, s *IP) {
	ranges := func(key string, list []string) {
		for i, r := range list {
			if _, err := ip.New(ip.Options{Allow: []string{r}}); err != nil {
				c.fault(entry(key, i), `is %q: want a range like "10.0.0.0/8" or an address`, r)
			}
		}
	}
	ranges(key+".allow", s.Allow)
	ranges(key+".deny", s.Deny)
	ranges(key+".default_masks", s.DefaultMasks)
	for _, tag := range slices.Sorted(maps.Keys(s.TagMasks)) {
		ranges(joinKey(key+".tag_masks", tag), s.TagMasks[tag])
	}
	if len(s.Allow)+len(s.Deny)+len(s.DefaultMasks)+len(s.TagMasks) == 0 {
		c.fault(key, `names no range: want allow, deny, tag_masks or default_masks, "0.0.0.0/0" for any IPv4 address`)
	}
}

func (c *checker) authRemote(key string, s *Remote) {
	c.positive(key+".timeout", s.Timeout)
	if s.Endpoint == "" {
		c.required(key+".endpoint", "", `type = "zap"`)
		return
	}
	if !c.endpoint(key+".endpoint", s.Endpoint, false) {
		return
	}
	if !LocalEndpoint(s.Endpoint) && s.ServerKey.IsZero() {
		c.fault(key+".endpoint", "is neither ipc nor loopback, so CURVE is needed: want server_key and cert")
	}
	if s.ServerKey.IsZero() != (s.Cert == "") {
		c.fault(key, "has only one of server_key and cert: CURVE needs both, NULL neither")
	}
	if s.Cert != "" {
		c.secretCert(key+".cert", s.Cert)
	}
}

func (c *checker) authJWT(key string, s *JWT) {
	if len(s.Algorithms) == 0 {
		c.fault(key, "has no algorithms: want a list of %s", choices(jwt.Algorithms))
	}
	for i, a := range s.Algorithms {
		c.oneOf(entry(key+".algorithms", i), a, jwt.Algorithms)
	}
	c.required(key+".resource_server_id", s.ResourceServerID, `type = "jwt"`)
	if len(s.Keys) == 0 && s.JWKSURL == "" && !s.Discovery {
		c.fault(key, "has no keys: want keys, jwks_url, or issuer with discovery = true")
	}
	for i, p := range s.Keys {
		c.keys(entry(key+".keys", i), p)
	}
	if s.JWKSURL != "" {
		c.keyURL(key+".jwks_url", s.JWKSURL)
	}
	if s.JWKSURL != "" && s.Discovery {
		c.fault(key, "has jwks_url and discovery: want one of them")
	}
	if s.Discovery {
		c.required(key+".issuer", s.Issuer, "discovery")
		if s.Issuer != "" {
			c.keyURL(key+".issuer", s.Issuer)
		}
	}
	if s.Issuer == "" {
		c.warn(key, "has no issuer: the iss claim of its tokens is not checked")
	}
	if !s.RequireExp {
		c.warn(key+".require_exp", "is false: a token without exp is good for ever")
	}
	c.oneOf(key+".extra_scopes_mode", s.ExtraScopesMode, []string{"add", extraScopesReplace})
	c.positive(key+".timeout", s.Timeout)
	c.roots(key+".ca", s.CA)
}

// keyURL checks where keys come from: over TLS, or from this machine. Whoever is on the way
// of anything else can give us keys of his own.
func (c *checker) keyURL(key, text string) {
	if err := jwt.CheckURL(text); err != nil {
		c.fault(key, "%v", err)
	}
}

// plainHTTP reports http:// to another machine.
func (c *checker) plainHTTP(key, text, so string) {
	rest, ok := strings.CutPrefix(text, "http://")
	if !ok {
		return
	}
	host, _, _ := strings.Cut(rest, "/")
	if !isLoopback(host) && !isLoopback(host+":80") {
		c.warn(key, "goes over http to another machine: %s", so)
	}
}

func (c *checker) authHTTP(key string, s *HTTP) {
	c.oneOf(key+".method", s.Method, []string{"POST", "GET"})
	for _, u := range []struct{ name, text string }{
		{"user_path", s.UserPath}, {"vhost_path", s.VhostPath},
		{"resource_path", s.ResourcePath}, {"topic_path", s.TopicPath},
	} {
		if u.text != "" {
			c.url(joinKey(key, u.name), u.text, "https", "http")
			c.plainHTTP(joinKey(key, u.name), u.text, "passwords can be read, and answers forged, on the way")
		}
	}
	if s.UserPath == "" && c.authenticates(key) {
		c.fault(key, "has no user_path, and is an authn in zap.chain")
	}
	if s.VhostPath == "" && s.ResourcePath == "" && s.TopicPath == "" && !c.authenticates(key) {
		c.fault(key, "has none of vhost_path, resource_path and topic_path: there is nothing to ask")
	}
	if s.Method == "GET" {
		c.warn(key+".method", "GET puts passwords into URLs, which servers log")
	}
	c.positive(key+".timeout", s.Timeout)
	c.clientTLS(key, s.CA, s.Cert, s.Key)
}

func (c *checker) authTokenEndpoint(key string, s *TokenEndpoint) {
	c.required(key+".url", s.URL, `type = "token-endpoint"`)
	if s.URL != "" {
		c.url(key+".url", s.URL, "https", "http")
		c.plainHTTP(key+".url", s.URL, "tokens can be read, and answers forged, on the way")
	}
	if _, err := regexp.Compile(s.TokenRegex); err != nil {
		c.fault(key+".token_regex", "is no RE2 expression: %v", err)
	}
	c.oneOf(key+".identity_map", s.IdentityMap, []string{"", "uuid4"})
	if s.IdentityMap != "" {
		c.required(key+".store", string(s.Store), "identity_map")
	}
	if s.Store != "" {
		c.folder(key+".store", Path(filepath.Dir(string(s.Store))))
	}
	c.positive(key+".timeout", s.Timeout)
	c.clientTLS(key, s.CA, s.Cert, s.Key)
}

// clientTLS checks the TLS files of an HTTP client.
func (c *checker) clientTLS(key string, ca, cert, private Path) {
	c.roots(key+".ca", ca)
	c.pair(key+".cert", cert, private)
	if (cert == "") != (private == "") {
		c.fault(key, "has only one of cert and key: want both or neither")
	}
}

package config

import (
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

func init() {
	registerAuth("token-endpoint", func() AuthKind {
		return &TokenEndpoint{TokenRegex: tokenendpoint.DefaultForm, Timeout: tokenendpoint.DefaultTimeout}
	})
}

// TokenEndpoint is type = "token-endpoint": an HTTP service that validates tokens, with the
// contract of Wave.
type TokenEndpoint struct {
	URL         string        `toml:"url"`         // required
	TokenRegex  string        `toml:"token_regex"` // RE2, anchored at both ends; empty means the form of a JSON Web Token
	Timeout     time.Duration `toml:"timeout"`
	IdentityMap string        `toml:"identity_map"` // "" or "uuid4": what backends see instead of the user
	Store       Path          `toml:"store"`        // file of the identity map
	SingleToken bool          `toml:"single_token"`
	CA          Path          `toml:"ca"`
	Cert        Path          `toml:"cert"`
	Key         Path          `toml:"key"`
}

func (*TokenEndpoint) decides() []zap.Mechanism { return []zap.Mechanism{zap.BEARER, zap.PLAIN} }

// Secrets implements [AuthKind].
func (s *TokenEndpoint) Secrets() []Secret { return []Secret{{"key", s.Key}, {"store", s.Store}} }

// Fingerprint implements [AuthKind].
func (s *TokenEndpoint) Fingerprint() string { return fingerprint(s, s.CA, s.Cert, s.Key) }

func (s *TokenEndpoint) validate(c *checker, key string) {
	c.required(key+".url", s.URL, `type = "token-endpoint"`)
	if s.URL != "" {
		c.url(key+".url", s.URL, "https", "http")
		c.plainHTTP(key+".url", s.URL, "tokens can be read, and answers forged, on the way")
	}
	if _, err := regexp.Compile(s.TokenRegex); err != nil {
		c.fault(key+".token_regex", `is %q: want an RE2 expression like "[0-9a-f]{32}": %v`, s.TokenRegex, err)
	}
	c.oneOf(key+".identity_map", s.IdentityMap, []string{"", "uuid4"})
	if s.IdentityMap != "" {
		c.required(key+".store", string(s.Store), "identity_map")
	}
	if s.Store != "" {
		c.directory(key+".store", Path(filepath.Dir(string(s.Store))))
		if info, err := os.Stat(string(s.Store)); err == nil && !info.Mode().IsRegular() {
			c.fault(key+".store", "%s is not a regular file", s.Store)
		}
	}
	c.positive(key+".timeout", s.Timeout)
	c.clientTLS(key, s.CA, s.Cert, s.Key)
}

package config

import (
	"strconv"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

func init() {
	registerAuth("jwt", func() AuthKind {
		return &JWT{ExtraScopesMode: extraScopesAdd, RequireExp: new(true), RequireAud: new(true), Timeout: jwt.DefaultTimeout}
	})
}

// The values of extra_scopes_mode.
const (
	extraScopesAdd     = "add"
	extraScopesReplace = "replace"
)

// JWT is type = "jwt": JSON Web Tokens of one issuer, with scopes.
type JWT struct {
	Algorithms []string `toml:"algorithms"` // the only ones that are accepted: HS256 … EdDSA; required

	Keys       Paths  `toml:"keys"`        // PEM or JWK files, or watched directories of them; the name without extension is the kid
	DefaultKey string `toml:"default_key"` // kid for tokens that have none
	JWKSURL    string `toml:"jwks_url"`
	Discovery  bool   `toml:"discovery"` // OIDC: the JWKS URL is that of the issuer's discovery document
	CA         Path   `toml:"ca"`        // PEM: authorities for the issuer's TLS; empty = the system's

	Issuer             string `toml:"issuer"`
	ResourceServerID   string `toml:"resource_server_id"`   // must be in aud; required
	ResourceServerType string `toml:"resource_server_type"` // RFC 9396 type; empty = authorization_details are not read

	ScopePrefix             *string          `toml:"scope_prefix"` // nil means ResourceServerID and a dot
	ScopeAliases            map[string]Words `toml:"scope_aliases"`
	ExtraScopesSource       string           `toml:"extra_scopes_source"`
	ExtraScopesMode         string           `toml:"extra_scopes_mode"` // "add" (default) or "replace"
	PreferredUsernameClaims []string         `toml:"preferred_username_claims"`
	StrictTopics            bool             `toml:"strict_topics"`
	LoginOnly               bool             `toml:"login_only"` // a token without scopes is a login whose rights come from allow

	Leeway     time.Duration `toml:"leeway"`
	RequireExp *bool         `toml:"require_exp"` // nil means true
	RequireAud *bool         `toml:"require_aud"` // nil means true
	Timeout    time.Duration `toml:"timeout"`     // of one request for keys
}

func (*JWT) decides() []zap.Mechanism { return []zap.Mechanism{zap.BEARER, zap.PLAIN} }

// Secrets implements [AuthKind].
func (s *JWT) Secrets() []Secret {
	var all []Secret
	for i, p := range s.Keys {
		all = append(all, Secret{"keys[" + strconv.Itoa(i) + "]", p})
	}
	return all
}

// Fingerprint implements [AuthKind]. The authenticator watches the files of keys itself.
func (s *JWT) Fingerprint() string { return fingerprint(s, s.CA) }

func (s *JWT) complete(*Config) {
	if s.ScopePrefix == nil {
		s.ScopePrefix = new(s.scopePrefix())
	}
}

// scopePrefix returns the prefix in force.
func (s *JWT) scopePrefix() string {
	if s.ScopePrefix == nil {
		return s.ResourceServerID + "."
	}
	return *s.ScopePrefix
}

// requiresExp reports whether tokens without an expiry are refused.
func (s *JWT) requiresExp() bool { return s.RequireExp == nil || *s.RequireExp }

// requiresAud reports whether tokens without an audience are refused.
func (s *JWT) requiresAud() bool { return s.RequireAud == nil || *s.RequireAud }

// Options returns the settings as package zap/jwt takes them, without a logger. It reads the
// file of authorities.
func (s *JWT) Options() (jwt.Options, error) {
	o := jwt.Options{
		Algorithms:              s.Algorithms,
		DefaultKey:              s.DefaultKey,
		JWKSURL:                 s.JWKSURL,
		Discovery:               s.Discovery,
		Issuer:                  s.Issuer,
		ResourceServerID:        s.ResourceServerID,
		ResourceServerType:      s.ResourceServerType,
		ScopePrefix:             s.scopePrefix(),
		ScopeAliases:            make(map[string][]string, len(s.ScopeAliases)),
		ExtraScopesSource:       s.ExtraScopesSource,
		ReplaceScopes:           s.ExtraScopesMode == extraScopesReplace,
		StrictTopics:            s.StrictTopics,
		PreferredUsernameClaims: s.PreferredUsernameClaims,
		Leeway:                  s.Leeway,
		AllowNoExpiry:           !s.requiresExp(),
		AllowNoAudience:         !s.requiresAud(),
		LoginOnly:               s.LoginOnly,
		Timeout:                 s.Timeout,
	}
	for _, p := range s.Keys {
		o.Keys = append(o.Keys, string(p))
	}
	for alias, scopes := range s.ScopeAliases {
		o.ScopeAliases[alias] = scopes
	}
	var err error
	if s.CA != "" {
		o.Roots, err = certs.Roots(string(s.CA))
	}
	return o, err
}

func (s *JWT) validate(c *checker, key string) {
	if len(s.Algorithms) == 0 {
		c.fault(key, "has no algorithms: want a list of %s", choices(jwt.Algorithms))
	}
	for i, a := range s.Algorithms {
		c.oneOf(entry(key+".algorithms", i), a, jwt.Algorithms)
	}
	c.required(key+".resource_server_id", s.ResourceServerID, `type = "jwt"`)
	s.validateKeys(c, key)
	if s.Issuer == "" {
		c.warn(key, "has no issuer: the iss claim of its tokens is not checked")
	}
	if !s.requiresExp() {
		c.warn(key+".require_exp", "is false: a token without exp never expires")
	}
	if !s.requiresAud() {
		c.warn(key+".require_aud", "is false: a token without aud is accepted, whatever its issuer made it for")
	}
	c.oneOf(key+".extra_scopes_mode", s.ExtraScopesMode, []string{extraScopesAdd, extraScopesReplace})
	c.positive(key+".timeout", s.Timeout)
	c.roots(key+".ca", s.CA)
}

// validateKeys checks where the keys of the issuer come from.
func (s *JWT) validateKeys(c *checker, key string) {
	if len(s.Keys) == 0 && s.JWKSURL == "" && !s.Discovery {
		c.fault(key, "has no keys: want keys, jwks_url, or issuer with discovery = true")
	}
	for i, p := range s.Keys {
		ignored, err := jwt.CheckKeys(string(p), c.Server.Private())
		for _, problem := range ignored {
			c.warn(entry(key+".keys", i), "%s: the file is ignored", reason(problem))
		}
		if err != nil {
			c.fault(entry(key+".keys", i), "%s", unusable(err))
		}
	}
	if s.JWKSURL != "" {
		c.keyURL(key+".jwks_url", s.JWKSURL)
	}
	if s.JWKSURL != "" && s.Discovery {
		c.fault(key, "has jwks_url and discovery: want only one of them")
	}
	if s.Discovery {
		c.required(key+".issuer", s.Issuer, "discovery")
		if s.Issuer != "" {
			c.keyURL(key+".issuer", s.Issuer)
		}
	}
}

// keyURL checks a URL that keys are fetched from: https, or on this machine. Anyone on the
// network path of another URL could put in their own keys.
func (c *checker) keyURL(key, text string) {
	if err := jwt.CheckURL(text); err != nil {
		c.fault(key, "%v", err)
	}
}

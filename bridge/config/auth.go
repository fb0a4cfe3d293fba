package config

import "time"

// Auth is one table [auth.NAME].
type Auth struct {
	Type       string `toml:"type"`
	UserPrefix string `toml:"user_prefix"` // stands before every user name that it gives
	// Settings are the keys of the type: *Htpasswd, *IP, *Anonymous,
	// *Curve, *Certificate, *Remote, *JWT, *HTTP or
	// *TokenEndpoint.
	Settings any `toml:"-"`
}

// Htpasswd is type = "htpasswd": a file of bcrypt lines.
type Htpasswd struct {
	File Path `toml:"file"`
}

// IP is type = "ip": addresses that may come in.
type IP struct {
	Allow []string `toml:"allow"`
	Deny  []string `toml:"deny"`
	// TagMasks and DefaultMasks are RabbitMQ's: a user with one of the tags must come
	// from one of its networks, a user with none from one of the defaults.
	TagMasks     map[string][]string `toml:"tag_masks"`
	DefaultMasks []string            `toml:"default_masks"`
}

// Anonymous is type = "anonymous": NULL logins, with an empty user.
type Anonymous struct{}

// Curve is type = "curve": a folder of public zcert files. Dir "*" lets any key in.
type Curve struct {
	Dir Path `toml:"dir"`
}

// Certificate is type = "certificate": TLS client certificates that server.client_ca
// verifies.
type Certificate struct {
	UserFrom []string `toml:"user_from"` // where the name stands: "email", "dns", "uri", "cn"; default in this order
}

// Remote is type = "zap": a ZAP handler of any language behind an endpoint.
type Remote struct {
	Endpoint  string        `toml:"endpoint"`
	ServerKey CurveKey      `toml:"server_key"`
	Cert      Path          `toml:"cert"`
	Timeout   time.Duration `toml:"timeout"` // default zap.timeout
}

// JWT is type = "jwt": JSON Web Tokens of one issuer, with scopes.
type JWT struct {
	Algorithms []string `toml:"algorithms"` // the allow-list: HS256 … EdDSA; required

	Keys       Paths  `toml:"keys"`        // PEM or JWK files, or folders of them that are watched; the name without extension is the kid
	DefaultKey string `toml:"default_key"` // kid for tokens that name none
	JWKSURL    string `toml:"jwks_url"`
	Discovery  bool   `toml:"discovery"` // OIDC: the issuer's own document tells the JWKS URL
	CA         Path   `toml:"ca"`        // PEM: who vouches for the issuer's TLS; empty = the system's

	Issuer             string `toml:"issuer"`
	ResourceServerID   string `toml:"resource_server_id"`   // must be in aud; required
	ResourceServerType string `toml:"resource_server_type"` // RFC 9396 type; empty = authorization_details are not read

	ScopePrefix             *string          `toml:"scope_prefix"` // default resource_server_id and a dot; Load fills it in
	ScopeAliases            map[string]Words `toml:"scope_aliases"`
	ExtraScopesSource       string           `toml:"extra_scopes_source"`
	ExtraScopesMode         string           `toml:"extra_scopes_mode"` // "add" or "replace"
	PreferredUsernameClaims []string         `toml:"preferred_username_claims"`
	StrictTopics            bool             `toml:"strict_topics"`

	Leeway     time.Duration `toml:"leeway"`
	RequireExp bool          `toml:"require_exp"`
	Timeout    time.Duration `toml:"timeout"` // of one request for keys
}

// HTTP is type = "http": RabbitMQ's rabbitmq_auth_backend_http contract.
type HTTP struct {
	Method       string        `toml:"method"` // "POST" or "GET"
	UserPath     string        `toml:"user_path"`
	VhostPath    string        `toml:"vhost_path"`
	ResourcePath string        `toml:"resource_path"`
	TopicPath    string        `toml:"topic_path"`
	Timeout      time.Duration `toml:"timeout"`
	Cache        time.Duration `toml:"cache"` // how long resource and topic answers are reused
	CA           Path          `toml:"ca"`
	Cert         Path          `toml:"cert"`
	Key          Path          `toml:"key"`
}

// TokenEndpoint is type = "token-endpoint": Wave's contract.
type TokenEndpoint struct {
	URL         string        `toml:"url"`
	TokenRegex  string        `toml:"token_regex"` // RE2, anchored at both ends
	Timeout     time.Duration `toml:"timeout"`
	IdentityMap string        `toml:"identity_map"` // "" or "uuid4": what native peers see in place of the user
	Store       Path          `toml:"store"`        // file of the identity map
	SingleToken bool          `toml:"single_token"`
	CA          Path          `toml:"ca"`
	Cert        Path          `toml:"cert"`
	Key         Path          `toml:"key"`
}

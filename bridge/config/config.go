package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Config is a configuration file, decoded strictly, with its defaults filled in, its
// environment variables expanded and its relative paths made relative to the file.
// [Load] makes one. It is read by many goroutines and changed by none.
type Config struct {
	// File is where it was read from, and Dir the folder that it lies in.
	File string `toml:"-"`
	Dir  string `toml:"-"`

	Server Server          `toml:"server"`
	Admin  Admin           `toml:"admin"`
	Zap    Zap             `toml:"zap"`
	Auth   map[string]Auth `toml:"auth"` // by the name that zap.chain uses
	Routes []Route         `toml:"route"`
}

// Path is the name of a file or folder; empty for none. [Load] makes it absolute.
type Path string

// Server is the table [server]: the listener that browsers reach, and its limits.
type Server struct {
	Listen string `toml:"listen"` // host:port

	TLS       string   `toml:"tls"` // TLSSelfSigned, TLSFiles, TLSACME or TLSOff
	Cert      Path     `toml:"cert"`
	Key       Path     `toml:"key"`
	Hosts     []string `toml:"hosts"`
	ACMECache Path     `toml:"acme_cache"`
	ACMEURL   string   `toml:"acme_url"` // directory; empty for Let's Encrypt's
	ClientCA  Path     `toml:"client_ca"`

	CurveCert Path `toml:"curve_cert"` // zcert name; CURVE is offered only if it exists

	Origins           []string       `toml:"origins"`
	Static            Path           `toml:"static"`
	TrustedProxies    []netip.Prefix `toml:"trusted_proxies"`
	ProxyProtocol     bool           `toml:"proxy_protocol"`
	InsecurePlaintext bool           `toml:"insecure_plaintext"`
	QueryToken        bool           `toml:"query_token"`

	HandshakeTimeout time.Duration `toml:"handshake_timeout"`
	PingInterval     time.Duration `toml:"ping_interval"` // 0 = no pings
	WriteTimeout     time.Duration `toml:"write_timeout"`
	Drain            time.Duration `toml:"drain"`

	MaxHandshake        Size `toml:"max_handshake"`
	MaxMessage          Size `toml:"max_message"`
	MaxFrames           int  `toml:"max_frames"`
	MaxSubscriptions    int  `toml:"max_subscriptions"`
	MaxChannels         int  `toml:"max_channels"` // of one client of ZWSMUX1.0
	MaxTopic            Size `toml:"max_topic"`
	MaxConnections      int  `toml:"max_connections"`
	MaxConnectionsPerIP int  `toml:"max_connections_per_ip"` // 0 = no limit
	MaxFailures         int  `toml:"max_failures"`           // a minute, per address and per user; 0 = no limit
}

// SelfSignedDir is the folder where a self-signed certificate is kept: that of server.key,
// or certs beside the configuration file.
func (c *Config) SelfSignedDir() string {
	if c.Server.Key != "" {
		return filepath.Dir(string(c.Server.Key))
	}
	return filepath.Join(c.Dir, "certs")
}

// The values of server.tls.
const (
	TLSSelfSigned = "self-signed"
	TLSFiles      = "files"
	TLSACME       = "acme"
	TLSOff        = "off"
)

// Admin is the table [admin]. Without the table there is no such listener.
type Admin struct {
	Listen    string   `toml:"listen"` // empty = none
	Hosts     []string `toml:"hosts"`
	TokenFile Path     `toml:"token_file"`
	// URL is where browsers reach the page, as scheme://host[:port]; empty means
	// http:// and Listen. See PageURL.
	URL string `toml:"url"`

	// OIDC names the [auth.NAME] of type "jwt" with whose issuer operators can log in by
	// redirect; empty = none.
	OIDC                 string            `toml:"oidc"`
	OIDCClientID         string            `toml:"oidc_client_id"`
	OIDCClientSecretFile Path              `toml:"oidc_client_secret_file"` // empty = a public client
	OIDCScopes           []string          `toml:"oidc_scopes"`             // "openid" has to be one, and alone is the default
	OIDCParams           map[string]string `toml:"oidc_params"`             // of the requests for a code and for tokens
}

// PageURL is where browsers reach the operators' page, without a slash at the end: admin.url,
// or else the address that admin.listen names, if it names one.
func (a *Admin) PageURL() string {
	if a.URL != "" {
		return a.URL
	}
	host, port, err := net.SplitHostPort(a.Listen)
	if ip, noIP := netip.ParseAddr(host); err != nil || host == "" || port == "0" || noIP == nil && ip.IsUnspecified() {
		return ""
	}
	return "http://" + a.Listen
}

// Zap is the table [zap]: who decides on logins, and in which order.
type Zap struct {
	Domain  string        `toml:"domain"`
	Timeout time.Duration `toml:"timeout"`
	Cache   time.Duration `toml:"cache"`   // 0 = answers are not reused
	Listen  []string      `toml:"listen"`  // endpoints
	Clients Path          `toml:"clients"` // folder of zcert files: who may ask over CURVE
	Chain   []ChainEntry  `toml:"chain"`
}

// ChainEntry is one entry of zap.chain.
type ChainEntry struct {
	Authn string   `toml:"authn"` // a name in Auth
	Authz []string `toml:"authz"` // names in Auth; all must agree
	// Domains are the ZAP domains that the entry answers for. Empty means every domain
	// but the bind_domain of a route: who dials in there is named here or refused.
	Domains []string `toml:"domains"`
}

// Route is one [[route]].
type Route struct {
	Path   string          `toml:"path"`
	Socket zmtp.SocketType `toml:"socket"` // the socket that the bridge opens

	// Relay passes on the login that the client does with the backend, and what follows.
	Relay bool `toml:"relay"`

	Connect          []Endpoint `toml:"connect"`
	EndpointsAllowed []string   `toml:"endpoints_allowed"` // for endpoints that hold a placeholder
	Bind             []string   `toml:"bind"`
	BindDomain       string     `toml:"bind_domain"`
	InsecureNull     bool       `toml:"insecure_null"`

	Mechanism         zap.Mechanism `toml:"mechanism"`   // towards the backends: NULL, PLAIN or CURVE
	Credentials       string        `toml:"credentials"` // CredentialsStatic or CredentialsClient
	Username          string        `toml:"username"`
	PasswordFile      Path          `toml:"password_file"`
	ServerKey         CurveKey      `toml:"server_key"`
	Cert              Path          `toml:"cert"`
	InsecurePlaintext bool          `toml:"insecure_plaintext"`

	Domain           string          `toml:"domain"` // ZAP domain of the clients; never empty
	ClientMechanisms []zap.Mechanism `toml:"client_mechanisms"`

	Ready          string        `toml:"ready"` // ReadyAny, ReadyAll or ReadyNone
	ConnectTimeout time.Duration `toml:"connect_timeout"`

	HighWaterMark  int           `toml:"high_water_mark"`
	HighWaterBytes Size          `toml:"high_water_bytes"`
	OnFull         string        `toml:"on_full"` // OnFullDropOldest …
	Flush          time.Duration `toml:"flush"`
	Share          string        `toml:"share"` // "" or ShareRequests

	RoutingID string      `toml:"routing_id"` // "" or RoutingIDClient
	Stamp     string      `toml:"stamp"`      // "", StampFrame or StampRoutingID
	Allow     []AllowRule `toml:"allow"`      // nil = no rules: all that the socket type can
	Separator string      `toml:"separator"`  // between the levels of a topic, one octet
	OnWide    string      `toml:"on_wide"`    // OnWideRefuse or OnWideNarrow
}

// The values of the words in a route.
const (
	CredentialsStatic = "static"
	CredentialsClient = "client"

	ReadyAny  = "any"
	ReadyAll  = "all"
	ReadyNone = "none"

	OnFullDropOldest = "drop-oldest"
	OnFullDropNewest = "drop-newest"
	OnFullConflate   = "conflate"
	OnFullDisconnect = "disconnect"
	OnFullBlock      = "block"

	ShareRequests   = "requests"
	RoutingIDClient = "client"

	StampFrame     = "frame"
	StampRoutingID = "routing-id"

	OnWideRefuse = "refuse"
	OnWideNarrow = "narrow"
)

// Endpoint is one of a route's backends: in the file a plain string, or a table
// where it has a server key of its own.
type Endpoint struct {
	Endpoint  string   `toml:"endpoint"`
	ServerKey CurveKey `toml:"server_key"` // Load fills in the route's where it has none of its own
}

// AllowRule grants rights on a route; the patterns are those of package rights.
type AllowRule struct {
	User      string   `toml:"user"` // "*" = everybody, the anonymous included
	Subscribe []string `toml:"subscribe"`
	Send      []string `toml:"send"`
}

// Shared tells whether all clients of the route may share one upstream: a SUB or XSUB
// whose login does not depend on who the client is, or requests that are told apart by an
// envelope.
func (r *Route) Shared() bool {
	if r.Relay || r.Credentials != CredentialsStatic || r.PerUser() {
		return false
	}
	return r.Socket == zmtp.SUB || r.Socket == zmtp.XSUB || r.Share == ShareRequests
}

// Stalls tells whether a client that is not read from would hold up others of the route
// if the bridge waited for it, since they share a connection.
func (r *Route) Stalls() bool {
	if len(r.Bind) > 0 && slices.Contains([]zmtp.SocketType{zmtp.DEALER, zmtp.REQ, zmtp.ROUTER}, r.Socket) {
		return true
	}
	return r.Shared()
}

// Receives tells whether clients of the route get messages.
func (r *Route) Receives() bool {
	return r.Socket != zmtp.PUSH && r.Socket != zmtp.PUB && r.Socket != zmtp.XPUB
}

// Sends tells whether clients of the route send messages, subscriptions not counted.
func (r *Route) Sends() bool {
	return r.Socket != zmtp.PULL && r.Socket != zmtp.SUB
}

// PerUser tells whether the upstream of the route depends on who the client is.
func (r *Route) PerUser() bool {
	for _, e := range r.Connect {
		if HasPlaceholder(e.Endpoint) {
			return true
		}
	}
	return HasPlaceholder(r.Username) || HasPlaceholder(string(r.PasswordFile)) || HasPlaceholder(string(r.Cert))
}

// ClientDomains are the ZAP domains that clients of the bridge log in to, each once.
func (c *Config) ClientDomains() []string {
	domains := []string{c.Zap.Domain}
	for i := range c.Routes {
		if d := c.Routes[i].Domain; !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return domains
}

// BindDomains are the ZAP domains of those who dial in, each once. A chain entry that
// names no domains does not answer for them: see [Config.BindChain].
func (c *Config) BindDomains() []string {
	var domains []string
	for i := range c.Routes {
		if d := c.Routes[i].BindDomain; d != "" && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return domains
}

// BindChain are the entries of the chain that name domain, which is the bind_domain of a
// route: only they decide on who dials in there, so that no resident's password opens a
// door that is meant for devices.
func (c *Config) BindChain(domain string) []ChainEntry {
	var entries []ChainEntry
	for _, e := range c.Zap.Chain {
		if slices.Contains(e.Domains, domain) {
			entries = append(entries, e)
		}
	}
	return entries
}

// Issuers returns the issuers of tokens that the configuration names, each once.
func (c *Config) Issuers() []string {
	var issuers []string
	for _, a := range c.Auth {
		if s, ok := a.Settings.(*JWT); ok && s.Issuer != "" && !slices.Contains(issuers, s.Issuer) {
			issuers = append(issuers, s.Issuer)
		}
	}
	return issuers
}

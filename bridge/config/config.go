package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

// Config is the configuration of a bridge. One that [Load], [Parse] or [Validate] returned is
// complete: its defaults are filled in. It is not changed afterwards, so that any number of
// goroutines can read it.
type Config struct {
	// File is the file that the configuration was read from; empty if it was made in Go.
	File string `toml:"-"`
	// Dir is the directory that relative paths are relative to; empty means the working
	// directory of the process.
	Dir string `toml:"-"`

	Server  Server          `toml:"server"`
	Admin   Admin           `toml:"admin"`
	Log     Log             `toml:"log"`
	Zap     Zap             `toml:"zap"`
	History History         `toml:"history"`
	Auth    map[string]Auth `toml:"auth"` // by the name that zap.chain uses
	Routes  []Route         `toml:"route"`
}

// Path is the name of a file or directory; empty means none. [Load] and [Parse] make it
// absolute.
type Path string

// Server is the table [server]: the listener that clients reach, and its limits.
type Server struct {
	Listen string `toml:"listen"` // host:port

	TLS       string   `toml:"tls"` // TLSSelfSigned, TLSFiles, TLSACME or TLSOff
	Cert      Path     `toml:"cert"`
	Key       Path     `toml:"key"`
	Hosts     []string `toml:"hosts"`
	ACMECache Path     `toml:"acme_cache"`
	ACMEURL   string   `toml:"acme_url"` // directory URL; empty means Let's Encrypt
	ClientCA  Path     `toml:"client_ca"`

	// Announce is the name by which the bridge is announced in the local network (DNS-SD), with
	// {host} for the name of this machine; empty = it is not. The program that has the listener
	// announces it.
	Announce string `toml:"announce"`

	CurveCert Path `toml:"curve_cert"` // zcert name; CURVE is offered only if the file exists

	Origins           []string       `toml:"origins"`
	Static            Path           `toml:"static"`
	TrustedProxies    []netip.Prefix `toml:"trusted_proxies"`
	AllowedHosts      []string       `toml:"allowed_hosts"` // on routes that take NULL, without TLS
	ProxyProtocol     bool           `toml:"proxy_protocol"`
	InsecurePlaintext bool           `toml:"insecure_plaintext"`
	InsecureFileModes bool           `toml:"insecure_file_modes"`
	QueryToken        bool           `toml:"query_token"`

	HandshakeTimeout time.Duration `toml:"handshake_timeout"`
	PingInterval     time.Duration `toml:"ping_interval"` // 0 = no pings
	WriteTimeout     time.Duration `toml:"write_timeout"`
	Drain            time.Duration `toml:"drain"`
	HandoverDrain    time.Duration `toml:"handover_drain"`

	MaxHandshake     Size `toml:"max_handshake"`
	MaxMessage       Size `toml:"max_message"`
	MaxFrames        int  `toml:"max_frames"`
	MaxSubscriptions int  `toml:"max_subscriptions"`
	// MaxSubscriptionBytesPerUser limits the topics that one user is subscribed to on all
	// connections, or the anonymous clients of one address.
	MaxSubscriptionBytesPerUser Size `toml:"max_subscription_bytes_per_user"`

	MaxChannels         int  `toml:"max_channels"` // on one ZWSMUX1.0 connection
	MaxTopic            Size `toml:"max_topic"`
	MaxConnectionBytes  Size `toml:"max_connection_bytes"` // held for the client of one connection
	MaxConnections      int  `toml:"max_connections"`
	MaxConnectionsPerIP int  `toml:"max_connections_per_ip"` // 0 = no limit
	MaxFailures         int  `toml:"max_failures"`           // a minute, per address and per user; 0 = no limit
}

// SelfSignedDir returns the directory of the self-signed certificate: that of server.key, or
// certs beside the configuration file.
func (c *Config) SelfSignedDir() string {
	if c.Server.Key != "" {
		return filepath.Dir(string(c.Server.Key))
	}
	return filepath.Join(c.Dir, "certs")
}

// Private reads the files with secrets that the configuration names.
func (s *Server) Private() certs.Private { return certs.Private{AnyMode: s.InsecureFileModes} }

// The values of server.tls.
const (
	TLSSelfSigned = "self-signed"
	TLSFiles      = "files"
	TLSACME       = "acme"
	TLSOff        = "off"
)

// Admin is the table [admin]: the operators' interface. Without the table there is none.
type Admin struct {
	Listen    string   `toml:"listen"` // host:port; empty = no such listener
	Socket    Path     `toml:"socket"` // a unix socket, mode 0660, whose peers are administrators; empty = none
	Hosts     []string `toml:"hosts"`
	TokenFile Path     `toml:"token_file"`
	// ReadyNeeds are the paths of routes without whose backends /readyz answers 503.
	ReadyNeeds []string `toml:"ready_needs"`
	// URL is where browsers reach the page, as scheme://host[:port]; empty means
	// http:// and Listen. See PageURL.
	URL string `toml:"url"`

	// OIDC is the name of the [auth.NAME] of type "jwt" at whose issuer operators can log
	// in by redirect; empty = none.
	OIDC                 string            `toml:"oidc"`
	OIDCClientID         string            `toml:"oidc_client_id"`
	OIDCClientSecretFile Path              `toml:"oidc_client_secret_file"` // empty = a public client
	OIDCScopes           []string          `toml:"oidc_scopes"`             // must contain "openid"; nil means only that
	OIDCParams           map[string]string `toml:"oidc_params"`             // added to the requests for a code and for tokens
}

// PageURL returns where browsers reach the operators' page, without a trailing slash:
// admin.url, or the address of admin.listen. It is empty if that address does not name one
// host and port.
func (a *Admin) PageURL() string {
	if a.URL != "" {
		return a.URL
	}
	host, port, err := net.SplitHostPort(a.Listen)
	if err != nil || host == "" || port == "0" {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		return ""
	}
	return "http://" + a.Listen
}

// Zap is the table [zap]: which authenticators decide on logins, and in which order.
type Zap struct {
	Domain  string        `toml:"domain"` // of routes without a domain of their own
	Timeout time.Duration `toml:"timeout"`
	Cache   time.Duration `toml:"cache"`  // how long answers are reused; 0 = not at all
	Listen  []string      `toml:"listen"` // endpoints where native servers ask the chain
	// ListenDomains are the ZAP domains that may be asked about at Listen; empty means all.
	ListenDomains []string     `toml:"listen_domains"`
	Clients       Path         `toml:"clients"` // directory of zcert files: servers that may ask by CURVE
	Chain         []ChainEntry `toml:"chain"`
}

// ChainEntry is one entry of zap.chain.
type ChainEntry struct {
	Authn string   `toml:"authn"` // a name in Auth
	Authz []string `toml:"authz"` // names in Auth; all of them must agree
	// Domains are the ZAP domains that the entry answers for. Empty means every domain
	// except the bind_domain of a route: an entry that decides on backends names theirs.
	Domains []string `toml:"domains"`
}

// ClientDomains returns the ZAP domains that clients of the bridge log in to, each once.
func (c *Config) ClientDomains() []string {
	domains := []string{c.Zap.Domain}
	for i := range c.Routes {
		if d := c.Routes[i].Domain; !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return domains
}

// BindDomains returns the ZAP domains of backends that connect to a bind endpoint, each once.
// A chain entry without domains does not answer for them: see [Config.BindChain].
func (c *Config) BindDomains() []string {
	var domains []string
	for i := range c.Routes {
		if d := c.Routes[i].BindDomain; d != "" && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return domains
}

// BindChain returns the entries of the chain that name domain, the bind_domain of a route.
// Only they decide on backends that connect there: the password of a client must not work at
// a listener for backends.
func (c *Config) BindChain(domain string) []ChainEntry {
	var entries []ChainEntry
	for _, e := range c.Zap.Chain {
		if slices.Contains(e.Domains, domain) {
			entries = append(entries, e)
		}
	}
	return entries
}

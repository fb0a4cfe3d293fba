package config

import (
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Route is one [[route]]: a path, a socket type, its backends and its rules. In a Route made
// in Go, zero fields get their defaults from [Validate].
type Route struct {
	Path   string          `toml:"path"`
	Socket zmtp.SocketType `toml:"socket"` // the socket that the bridge opens

	// Relay passes the handshake of the client, and everything after it, on to the backend.
	Relay bool `toml:"relay"`

	Connect          []Endpoint `toml:"connect"`
	EndpointsAllowed []string   `toml:"endpoints_allowed"` // for endpoints with a placeholder
	ConnectFile      Path       `toml:"connect_file"`      // a JSON list of further endpoints, watched
	Bind             []string   `toml:"bind"`
	BindDomain       string     `toml:"bind_domain"`
	LaterFrames      string     `toml:"later_frames"` // XSUB: "" or LaterFramesAny
	PeerIDs          string     `toml:"peer_ids"`     // ROUTER with Bind: "" or PeerIDsAny
	Envelope         string     `toml:"envelope"`     // ROUTER with Bind: EnvelopeNone or EnvelopeFrame
	BindAllow        []PeerRule `toml:"bind_allow"`   // nil = no rules: backends that connect may send and subscribe to everything
	InsecureNull     bool       `toml:"insecure_null"`
	ZMTP2            bool       `toml:"zmtp2"` // with mechanism NULL: backends of ZMTP 2.0 too

	Mechanism    zap.Mechanism `toml:"mechanism"`   // towards the backends: NULL, PLAIN or CURVE
	Credentials  string        `toml:"credentials"` // CredentialsStatic or CredentialsClient
	Username     string        `toml:"username"`
	PasswordFile Path          `toml:"password_file"`
	ServerKey    CurveKey      `toml:"server_key"`
	// ServerKeys are the keys that backends of dnssd:// may announce; InsecureAnnouncedKeys takes
	// any.
	ServerKeys            []CurveKey `toml:"server_keys"`
	InsecureAnnouncedKeys bool       `toml:"insecure_announced_keys"`
	Cert                  Path       `toml:"cert"`
	InsecurePlaintext     bool       `toml:"insecure_plaintext"`

	Domain           string          `toml:"domain"` // ZAP domain of the clients; empty means zap.domain
	ClientMechanisms []zap.Mechanism `toml:"client_mechanisms"`

	Ready          string        `toml:"ready"` // ReadyAny, ReadyAll or ReadyNone
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	Reconnect      Interval      `toml:"reconnect"` // how long to wait before a backend is tried again

	HighWaterMark  int           `toml:"high_water_mark"`
	HighWaterBytes Size          `toml:"high_water_bytes"`
	OnFull         string        `toml:"on_full"` // OnFullDropOldest …
	Flush          time.Duration `toml:"flush"`
	// MaxSubscriptionBytes limits what is subscribed to on the route: by all clients of a SUB or
	// XSUB, by all backends that connect to a PUB or XPUB.
	MaxSubscriptionBytes Size   `toml:"max_subscription_bytes"`
	Share                string `toml:"share"` // "", ShareRequests or ShareNone

	RoutingID string     `toml:"routing_id"` // "" or RoutingIDClient
	Stamp     string     `toml:"stamp"`      // "", StampFrame or StampRoutingID
	Allow     AllowRules `toml:"allow"`      // nil = no rules: everything that the socket type can do
	AllowAll  bool       `toml:"-"`          // allow = "all": there are no rules on purpose
	// Separator stands between the levels of a topic: one byte, or empty for topics without
	// levels; nil means "/".
	Separator *string `toml:"separator"`
	OnWide    string  `toml:"on_wide"` // OnWideRefuse or OnWideNarrow

	History RouteHistory `toml:"history"` // nothing is kept without Topics
}

// AllowRules are the rules of a route. In the file the word "all" instead of a list means no
// rules, on purpose.
type AllowRules []AllowRule

const allowAll = "all"

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
	OnFullReplay     = "replay"

	EnvelopeNone  = "none"
	EnvelopeFrame = "frame"
	PeerIDsAny    = "any"

	LaterFramesAny = "any"

	ShareRequests   = "requests"
	ShareNone       = "none"
	RoutingIDClient = "client"

	StampFrame     = "frame"
	StampRoutingID = "routing-id"

	OnWideRefuse = "refuse"
	OnWideNarrow = "narrow"
)

// Endpoint is one of the backends of a route, or a source that finds some: srv://NAME for DNS SRV
// records, dnssd://TYPE for what is announced in the local network. In the file it is a string, or
// a table if it has a server key of its own.
type Endpoint struct {
	Endpoint  string   `toml:"endpoint"`
	ServerKey CurveKey `toml:"server_key"` // zero means that of the route
}

// AllowRule grants rights on a route. Its patterns may hold +, # and placeholders like
// {user}; see allow in bridge.toml.
type AllowRule struct {
	User      string   `toml:"user"` // "*" = everybody, anonymous clients included; "" = anonymous clients
	Subscribe []string `toml:"subscribe"`
	Send      []string `toml:"send"`
}

// PeerRule grants rights to backends that connect to a bind endpoint. Its patterns are those
// of [AllowRule]; {user} is the user that the backend has logged in as.
type PeerRule struct {
	User      string   `toml:"user"`      // "*" = every backend, those without a user name included
	Publish   []string `toml:"publish"`   // topics of the messages that it may send to clients
	Subscribe []string `toml:"subscribe"` // topics that it may subscribe to
}

// Shared reports whether all clients of the route share one upstream: a SUB or XSUB whose
// login does not depend on the client, unless the route says otherwise, or requests whose
// envelopes tell the clients apart.
func (r *Route) Shared() bool {
	if r.Relay || r.Credentials != CredentialsStatic || r.PerUser() {
		return false
	}
	return r.Socket.Subscribes() && r.Share != ShareNone || r.Share == ShareRequests
}

// Stalls reports whether waiting for a slow client would hold up other clients or a backend
// of the route, because they share a connection. On PULL and PUSH routes with bind nobody
// else waits: another client takes the job, and clients of a PUSH receive nothing.
func (r *Route) Stalls() bool {
	if len(r.Bind) > 0 && !slices.Contains([]zmtp.SocketType{zmtp.PULL, zmtp.PUSH}, r.Socket) {
		return true
	}
	return r.Shared()
}

// Receives reports whether clients of the route get messages.
func (r *Route) Receives() bool {
	return r.Socket != zmtp.PUSH && r.Socket != zmtp.PUB && r.Socket != zmtp.XPUB
}

// Sends reports whether clients of the route send messages; subscriptions do not count.
func (r *Route) Sends() bool {
	return r.Socket != zmtp.PULL && r.Socket != zmtp.SUB
}

// PerUser reports whether the upstream of the route depends on the user.
func (r *Route) PerUser() bool {
	for _, e := range r.Connect {
		if HasPlaceholder(e.Endpoint) {
			return true
		}
	}
	return HasPlaceholder(r.Username) || HasPlaceholder(string(r.PasswordFile)) || HasPlaceholder(string(r.Cert))
}

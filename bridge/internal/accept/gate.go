package accept

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
)

// Options are what a [Gate] needs. All are required.
type Options struct {
	// Name is the listener's in the log.
	Name    string
	Log     *slog.Logger
	Metrics Metrics
	// Refused records a connection that was not served; the address is invalid for one of a
	// proxy. It must not block.
	Refused func(from netip.Addr, reason Reason)
}

// Metrics counts what a [Gate] does.
type Metrics interface {
	// Refused counts a connection that was not served for a [Reason].
	Refused(reason string)
	// AcceptFailed counts a connection for which there was no file descriptor.
	AcceptFailed()
	// Stalled counts a connection that was closed because its client read nothing.
	Stalled()
}

// Reason is why a connection is refused.
type Reason string

// The limits that a connection can be beyond.
const (
	Address     Reason = "address"
	Connections Reason = "connections"
	Descriptors Reason = "descriptors"
)

// Stranger is why a connection is refused that does not come from a trusted proxy, where only those
// connect.
const Stranger Reason = "stranger"

// Reasons are the limits.
var Reasons = []string{string(Address), string(Connections), string(Descriptors)}

// Text returns the reason for a client.
func (r Reason) Text() string {
	switch r {
	case Address:
		return "too many connections from this address: try again later"
	case Stranger:
		return "not a proxy of server.trusted_proxies, which server.proxy_protocol requires"
	}
	return "too many connections to this bridge: try again later"
}

// Limit returns what an operator can change about it.
func (r Reason) Limit() string {
	switch r {
	case Address:
		return "server.max_connections_per_ip is reached"
	case Connections:
		return "server.max_connections is reached"
	case Descriptors:
		return "the limit of file descriptors is reached: ulimit -n, LimitNOFILE of systemd"
	}
	return ""
}

// Limits are what a [Gate] permits. The zero value permits everything, for any time.
type Limits struct {
	// Connections and PerAddress limit the connections in all and for each address
	// (clientaddr.Network); 0 means no limit.
	Connections, PerAddress int
	// Descriptors is how many connections the process can have; see [Capacity]. 0 means no limit.
	Descriptors int
	// Proxies are the peers that connect for others. They have no limit for each address.
	Proxies []netip.Prefix
	// WriteTimeout is how long a client may take nothing of what is written to it.
	WriteTimeout time.Duration
}

// Max returns the number of connections in all; 0 means no limit.
func (l *Limits) Max() int {
	if l.Descriptors > 0 && (l.Connections == 0 || l.Descriptors < l.Connections) {
		return l.Descriptors
	}
	return l.Connections
}

// The connections beyond the limits that are accepted to be told so, in all and for each
// address.
const (
	maxSpare           = 16
	maxSparePerAddress = 4
)

// Gate counts and limits the connections of a listener. All methods may be called
// concurrently.
type Gate struct {
	o Options

	mu       sync.Mutex
	limits   Limits
	within   int // connections within the limits
	spare    int // connections that are beyond
	networks map[netip.Addr]*network
	guests   conns // within the limits, without a login
	idle     conns // those of them that wait for a request
}

// network are the connections of one address.
type network struct{ within, spare, guests, idle int }

// New returns a gate without limits.
func New(o Options) *Gate {
	return &Gate{o: o, networks: make(map[netip.Addr]*network)}
}

// SetLimits replaces the limits. Connections beyond new ones stay.
func (g *Gate) SetLimits(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = l
}

// Open returns how many connections there are, and how many there can be; 0 means no limit.
func (g *Gate) Open() (open, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.within + g.spare, g.limits.Max()
}

// enter counts c, which was accepted. It reports false if c must be closed.
func (g *Gate) enter(c *Conn) bool {
	g.mu.Lock()
	if !clientaddr.Contains(g.limits.Proxies, c.peer) {
		c.network, c.from = clientaddr.Network(c.peer), c.peer
	}
	return g.accept(c)
}

// rename counts c for the address in its PROXY header. It reports false if c must be closed.
func (g *Gate) rename(c *Conn, a netip.Addr) bool {
	g.mu.Lock()
	if c.place == gone {
		g.mu.Unlock()
		return false
	}
	g.remove(c)
	c.network, c.from = clientaddr.Network(a), a
	return g.accept(c)
}

// accept puts c within the limits or beyond, and reports false if neither is possible. Lock held
// on entry, and released.
func (g *Gate) accept(c *Conn) bool {
	reason, evicted := g.place(c)
	ok := reason == "" || g.placeBeyond(c)
	g.mu.Unlock()
	g.closeAll(evicted)
	if !ok {
		g.refused(c, reason)
	}
	return ok
}

// leave forgets a connection that was closed.
func (g *Gate) leave(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.place != gone {
		g.remove(c)
	}
}

// closeAll closes connections that have given their places to others. Those that did not only
// wait for a request were refused something.
func (g *Gate) closeAll(conns []*Conn) {
	for _, c := range conns {
		c.TCPConn.Close()
		if c.crowded != "" {
			g.refused(c, c.crowded)
		}
	}
}

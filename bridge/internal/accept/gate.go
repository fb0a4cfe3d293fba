package accept

import (
	"container/list"
	"context"
	"log/slog"
	"net/http"
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

// Reasons are all of them.
var Reasons = []string{string(Address), string(Connections), string(Descriptors)}

// Text returns the reason for a client.
func (r Reason) Text() string {
	if r == Address {
		return "too many connections from this address: try again later"
	}
	return "too many connections to this bridge: try again later"
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
	idle     list.List // of *Conn within the limits that wait for a request, oldest first
	refusals map[Reason]*report
	failures report
}

// network are the connections of one address.
type network struct{ within, spare, idle int }

// New returns a gate without limits.
func New(o Options) *Gate {
	return &Gate{o: o, networks: make(map[netip.Addr]*network), refusals: make(map[Reason]*report)}
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
		c.network = clientaddr.Network(c.peer)
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
	c.network = clientaddr.Network(a)
	return g.accept(c)
}

// accept puts c within the limits or beyond, and reports false if neither is possible. Lock held
// on entry, and released.
func (g *Gate) accept(c *Conn) bool {
	reason, evicted := g.place(c)
	ok := reason == "" || g.placeBeyond(c)
	g.mu.Unlock()
	closeAll(evicted)
	if !ok {
		g.refused(c, reason)
	}
	return ok
}

// Admit returns why the connection that a request came by is not to be served; empty if it is,
// or if no gate counts it. A connection that was accepted beyond the limits is served if there
// is room by now. ctx is the request's.
func Admit(ctx context.Context) Reason {
	c, ok := ctx.Value(connKey{}).(*Conn)
	if !ok {
		return ""
	}
	g := c.gate
	g.mu.Lock()
	if c.place != beyond {
		g.mu.Unlock()
		return ""
	}
	g.remove(c)
	reason, evicted := g.place(c)
	if reason != "" { // it takes back the place that it had
		g.put(c, beyond)
	}
	g.mu.Unlock()
	closeAll(evicted)
	if reason != "" {
		g.refused(c, reason)
	}
	return reason
}

// Busy answers a request with 503 if its connection is not to be served, as [Admit] has it,
// and reports whether it has.
func Busy(w http.ResponseWriter, r *http.Request) bool {
	reason := Admit(r.Context())
	if reason == "" {
		return false
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Retry-After", "10")
	http.Error(w, reason.Text(), http.StatusServiceUnavailable)
	return true
}

// closeAll closes connections that have given their places to others.
func closeAll(conns []*Conn) {
	for _, c := range conns {
		c.TCPConn.Close()
	}
}

// place puts c within the limits. Without room it takes that of idle connections, which the
// caller closes, and returns the limit that c is beyond if that does not do. Lock held on
// entry.
func (g *Gate) place(c *Conn) (reason Reason, evicted []*Conn) {
	for {
		reason = g.lacks(c.network)
		if reason == "" {
			g.put(c, within)
			return "", evicted
		}
		victim := g.oldestIdle(c.network, reason == Address)
		if victim == nil {
			return reason, evicted
		}
		g.remove(victim)
		evicted = append(evicted, victim)
	}
}

// lacks returns the limit that one more connection of an address would be beyond. Lock held on
// entry.
func (g *Gate) lacks(a netip.Addr) Reason {
	l := &g.limits
	switch n := g.networks[a]; {
	case n != nil && l.PerAddress > 0 && n.within >= l.PerAddress:
		return Address
	case l.Descriptors > 0 && g.within >= l.Descriptors:
		return Descriptors
	case l.Connections > 0 && g.within >= l.Connections:
		return Connections
	}
	return ""
}

// oldestIdle returns the connection that waits longest for a request, of any address or of
// one. Lock held on entry.
func (g *Gate) oldestIdle(a netip.Addr, same bool) *Conn {
	if n := g.networks[a]; same && (n == nil || n.idle == 0) {
		return nil
	}
	for e := g.idle.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); !same || c.network == a {
			return c
		}
	}
	return nil
}

// placeBeyond puts c beyond the limits, to be told so. It reports false if there are too many
// already. Lock held on entry.
func (g *Gate) placeBeyond(c *Conn) bool {
	n := g.networks[c.network]
	if g.spare >= maxSpare || n != nil && n.spare >= maxSparePerAddress {
		return false
	}
	g.put(c, beyond)
	return true
}

// put counts c at a place. Lock held on entry.
func (g *Gate) put(c *Conn, p place) {
	c.place = p
	n := g.networks[c.network]
	if n == nil && c.network.IsValid() {
		n = new(network)
		g.networks[c.network] = n
	}
	g.count(n, p, 1)
}

// remove forgets c. Lock held on entry.
func (g *Gate) remove(c *Conn) {
	g.setIdle(c, false)
	n := g.networks[c.network]
	g.count(n, c.place, -1)
	c.place = gone
	if n != nil && *n == (network{}) {
		delete(g.networks, c.network)
	}
}

// count adds d to the connections at a place. n is nil for those of proxies.
func (g *Gate) count(n *network, p place, d int) {
	var unknown network
	if n == nil {
		n = &unknown
	}
	switch p {
	case within:
		g.within += d
		n.within += d
	case beyond:
		g.spare += d
		n.spare += d
	}
}

// setIdle keeps the list of connections that wait for a request. Lock held on entry.
func (g *Gate) setIdle(c *Conn, idle bool) {
	if idle = idle && c.place == within; idle == (c.idle != nil) {
		return
	}
	d := 1
	if idle {
		c.idle = g.idle.PushBack(c)
	} else {
		g.idle.Remove(c.idle)
		c.idle, d = nil, -1
	}
	if n := g.networks[c.network]; n != nil {
		n.idle += d
	}
}

// leave forgets a connection that was closed.
func (g *Gate) leave(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.place != gone {
		g.remove(c)
	}
}

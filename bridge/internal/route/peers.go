package route

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// What backends that connect to a bind endpoint may do: claim a routing id, send to clients,
// and subscribe to what clients publish.

// listen opens a socket that inbound backends connect to.
func (r *Route) listen() (*backend.Shared, error) {
	return backend.Listen(r.listenOptions(r.links.Load()))
}

// listenOptions are the options for listening by l.
func (r *Route) listenOptions(l *links) backend.ListenOptions {
	o := l.inbound
	o.Options = l.options(r.socketOptions)
	o.OwnsID = r.ownsID
	o.Rights = r.peerRights
	o.Forbidden = r.violations.report
	o.Refused = func(address string, err error) {
		f := refusal.OfPeer(refusal.Backend, address, err)
		f.Route = r.path
		r.refusals.Add(f)
	}
	o.Failed = r.acceptFailed
	return o
}

// Listener returns what listens on an endpoint of bind; nil if the route does not.
func (r *Route) Listener(endpoint string) *zmtp.Listener {
	if s := r.listening(); s != nil {
		return s.Listener(endpoint)
	}
	return nil
}

// listening returns the socket that listens; nil if there is none.
func (r *Route) listening() *backend.Shared {
	switch u := r.upstream.(type) {
	case *shared:
		if r.listens {
			return u.socket
		}
	case *clustered:
		if r.listens {
			return u.current()
		}
	}
	return nil
}

// acceptFailed counts and logs a backend that could not be accepted.
func (r *Route) acceptFailed(err error) {
	r.metrics.AcceptFailed()
	r.log.Error("inbound backends cannot be accepted", "error", err.Error())
}

// ownsID reports whether a peer may claim a routing id: a user its own name, or that and the
// separator and anything; a peer without a user what no connected user may claim.
func (r *Route) ownsID(reply *zap.Reply, id string) bool {
	rules := r.Rules()
	separator := rules.patterns.Separator
	switch {
	case rules.anyPeerID:
		return true
	case reply != nil && reply.UserID != "":
		return owns(reply.UserID, id, separator)
	}
	return !r.users.own(id, separator)
}

// owns reports whether a routing id is a user's. Without a separator only the name is.
func owns(user, id, separator string) bool {
	rest, ok := strings.CutPrefix(id, user)
	return ok && (rest == "" || separator != "" && strings.HasPrefix(rest, separator))
}

// users counts the connected inbound backends of each user.
type users struct {
	mu        sync.Mutex
	connected map[string]int
}

// changed follows the states of inbound backends.
func (u *users) changed(s backend.Status) {
	if s.User == "" || s.Position > 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch s.State {
	case backend.Connected:
		if u.connected == nil {
			u.connected = make(map[string]int)
		}
		u.connected[s.User]++
	case backend.Gone:
		switch n := u.connected[s.User]; { // 0: it came while the socket was being closed
		case n > 1:
			u.connected[s.User] = n - 1
		case n == 1:
			delete(u.connected, s.User)
		}
	}
}

// own reports whether a connected user owns a routing id.
func (u *users) own(id, separator string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for user := range u.connected {
		if owns(user, id, separator) {
			return true
		}
	}
	return false
}

// peerRights returns the rights of an inbound backend by the rules in force, also after a
// reload.
func (r *Route) peerRights(reply *zap.Reply) backend.PeerRights {
	p := &peerRights{rules: r.Rules}
	if reply != nil {
		p.subject = rights.Subject{User: reply.UserID, Claims: reply.Claims, Meta: reply.Metadata}
	}
	return p
}

type peerRights struct {
	rules   func() *Rules // in force
	subject rights.Subject
	last    atomic.Pointer[peerGrant]
}

// peerGrant is what some rules grant a peer.
type peerGrant struct {
	rules *Rules
	grant rights.Grant // nil = nothing
}

func (p *peerRights) grant() rights.Grant {
	rules := p.rules()
	g := p.last.Load()
	if g == nil || g.rules != rules {
		g = &peerGrant{rules: rules, grant: rules.peerGrant(p.subject)}
		p.last.Store(g)
	}
	return g.grant
}

// peerGrant returns what bind_allow grants a peer; nil if that cannot be computed.
func (r *Rules) peerGrant(s rights.Subject) rights.Grant {
	if r.peers == nil {
		return rights.Everything
	}
	set, err := r.peers.For(s)
	if err != nil { // too many patterns
		return nil
	}
	return set
}

// Publish implements backend.PeerRights.
func (p *peerRights) Publish(topic []byte) bool {
	g := p.grant()
	return g != nil && g.Send(context.Background(), topic) == nil // a Set never blocks
}

// Subscribe implements backend.PeerRights. The bridge does not filter what a peer gets, so a
// subscription must be granted as it is.
func (p *peerRights) Subscribe(topic []byte) bool {
	g := p.grant()
	if g == nil {
		return false
	}
	allowed, err := g.Subscribe(context.Background(), topic)
	return err == nil && !allowed.Filter && len(allowed.Prefixes) == 1 && bytes.Equal(allowed.Prefixes[0], topic)
}

const (
	// violationInterval is the time between two warnings about the same peer.
	violationInterval = time.Minute
	// maxViolators is how many peers are warned about in that time.
	maxViolators = 1000
	// maxTopicInLog limits a topic in a warning, in bytes.
	maxTopicInLog = 100
)

// violations logs what inbound backends do beyond their rights, once in a while for each.
type violations struct {
	log *slog.Logger

	mu     sync.Mutex
	warned map[string]time.Time // by user, or address without one
}

// report logs a violation, unless the peer was warned about lately. It does not block.
func (v *violations) report(s backend.Status, topic []byte) {
	if !v.due(peerName(s), time.Now()) {
		return
	}
	v.log.Warn("an inbound backend has sent or subscribed to what bind_allow does not grant: dropped",
		"user", s.User, "address", s.Address, "topic", fmt.Sprintf("%.*q", maxTopicInLog, topic))
}

// peerName is what stays the same when a peer connects again.
func peerName(s backend.Status) string {
	if s.User != "" {
		return "user " + s.User
	}
	if host, _, err := net.SplitHostPort(s.Address); err == nil {
		return "address " + host
	}
	return "address " + s.Address
}

// due reports whether a warning about a peer is due, and notes that it was given.
func (v *violations) due(name string, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if last, ok := v.warned[name]; ok && now.Sub(last) < violationInterval {
		return false
	}
	if len(v.warned) >= maxViolators {
		for n, last := range v.warned {
			if now.Sub(last) >= violationInterval {
				delete(v.warned, n)
			}
		}
	}
	if len(v.warned) >= maxViolators {
		return false
	}
	if v.warned == nil {
		v.warned = make(map[string]time.Time)
	}
	v.warned[name] = now
	return true
}

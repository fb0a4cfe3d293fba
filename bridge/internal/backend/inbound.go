package backend

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file holds what applies to inbound peers only: what they may claim and send.

// maxInReason limits a routing id or user in a refusal, in bytes.
const maxInReason = 40

// admit refuses a peer that claims a routing id it does not own. It is the socket's
// [zmtp.ServerSecurity].Admit, so that the peer gets an ERROR command.
func (o *ListenOptions) admit(_ context.Context, peer *zmtp.Peer) error {
	id := claimedID(peer)
	if o.OwnsID == nil || id == "" || o.OwnsID(peer.Reply, id) {
		return nil
	}
	whose := "a peer without a user may claim only what no user owns"
	if user := userOf(peer.Reply); user != "" {
		whose = fmt.Sprintf("user %.*q may claim its name, or its name, the separator and anything", maxInReason, user)
	}
	return &zmtp.RefusedError{Status: zap.Refused, Peer: peer, Reason: fmt.Sprintf(
		"routing id %.*q is not the peer's own: %s (peer_ids = \"any\" permits every id)", maxInReason, id, whose)}
}

// claimedID returns the routing id that a peer claims; empty if it leaves the choice to the
// socket. One that begins with 00 is reserved for generated ids, and ignored as libzmq does.
func claimedID(peer *zmtp.Peer) string {
	id := peer.Metadata.Get("Identity")
	if id == "" || id[0] == 0 {
		return ""
	}
	return id
}

// userOf returns the user of a ZAP reply, which may be nil.
func userOf(reply *zap.Reply) string {
	if reply == nil {
		return ""
	}
	return reply.UserID
}

// owner is on whose account an inbound peer's subscriptions and jobs are: its user, or the
// address of peers without one. An IPv6 host can use every address of its /64, which counts as
// one.
type owner struct{ user, address string }

// ownerOf returns the owner of the peer behind conn.
func ownerOf(conn *zmtp.Conn) owner {
	if user := userOf(conn.Peer().Reply); user != "" {
		return owner{user: user}
	}
	return owner{address: network(conn.RemoteAddr().String())}
}

// network returns the part of a remote address that counts as one owner.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}

// mayPublish reports whether p may send m, without its envelope, to clients. If not, m is
// counted and reported, and the caller drops it. It must be called without the lock.
func (p *peer) mayPublish(m zmtp.Message) bool {
	if p.rights == nil {
		return true
	}
	topic := publishedTopic(p.core.o.SocketType, m)
	if p.rights.Publish(topic) {
		return true
	}
	p.core.forbidden(p, topic)
	return false
}

// publishedTopic returns the frame of a peer's message that rights are about: the first, or
// where requests are answered the one after a leading delimiter; on a REQ an envelope may
// precede that.
func publishedTopic(ours zmtp.SocketType, m zmtp.Message) []byte {
	if ours == zmtp.REQ {
		m = m[max(0, delimiter(m)):]
	}
	answers := ours == zmtp.DEALER || ours == zmtp.REQ || ours == zmtp.ROUTER
	if answers && len(m) > 1 && len(m[0]) == 0 {
		return m[1]
	}
	if len(m) == 0 {
		return nil
	}
	return m[0]
}

// forbidden counts and reports a violation of p's rights.
func (c *core) forbidden(p *peer, topic []byte) {
	c.mu.Lock()
	c.drop(Forbidden)
	status := p.status
	c.mu.Unlock()
	if c.violated != nil {
		c.violated(status, topic)
	}
}

package dnssd

import (
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a fake network segment.
type network struct {
	mu    sync.Mutex
	links []*fakeLink
	sent  []*message // all that was multicast
}

// fakeLink is one machine with one interface.
type fakeLink struct {
	net  *network
	in   chan packet
	addr netip.Addr
	deaf bool // receives nothing; guarded by net.mu
	mute bool // what it sends is lost; guarded by net.mu

	ifaces []iface
}

// join adds a machine. Packets to it are dropped once 1000 wait.
func (n *network) join(addr string) *fakeLink {
	a := netip.MustParseAddr(addr)
	l := &fakeLink{net: n, in: make(chan packet, 1000), addr: a,
		ifaces: []iface{{index: 2, name: "eth0", prefixes: []netip.Prefix{netip.PrefixFrom(a, 24)}}}}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, l)
	return l
}

func (l *fakeLink) interfaces() []iface    { return l.ifaces }
func (l *fakeLink) rescan() error          { return nil }
func (l *fakeLink) packets() <-chan packet { return l.in }
func (l *fakeLink) close()                 {}

func (l *fakeLink) multicast(_ int, b []byte) { l.transmit(b, port, netip.Addr{}) }

func (l *fakeLink) unicast(to netip.AddrPort, b []byte) { l.transmit(b, port, to.Addr()) }

// transmit sends from a port, to everybody if to is not valid.
func (l *fakeLink) transmit(b []byte, from uint16, to netip.Addr) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	if l.mute {
		return
	}
	if m, err := parse(b); err == nil && !to.IsValid() {
		l.net.sent = append(l.net.sent, m)
	}
	for _, other := range l.net.links {
		if other.deaf || to.IsValid() && other.addr != to {
			continue
		}
		select {
		case other.in <- packet{b, netip.AddrPortFrom(l.addr, from), 2}:
		default:
		}
	}
}

// set changes whether a machine hears and is heard.
func (l *fakeLink) set(deaf, mute bool) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.deaf, l.mute = deaf, mute
}

// queries returns how many multicast messages were questions for a name and kind.
func (n *network) queries(name string, kind uint16) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, m := range n.sent {
		for _, q := range m.questions {
			if !m.response && key(q.name) == name && q.kind == kind {
				count++
			}
		}
	}
	return count
}

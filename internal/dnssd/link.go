package dnssd

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const port = 5353

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: port}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: port}
)

// errNoInterface means that there is not a network to ask in.
var errNoInterface = errors.New("no network interface that can multicast")

// packet is one that was received.
type packet struct {
	data  []byte
	from  netip.AddrPort
	iface int // index of the interface
}

// iface is a network interface that can multicast.
type iface struct {
	index    int
	name     string
	loopback bool
	prefixes []netip.Prefix // its addresses
}

// link is what browsers and publishers see of the network. Its methods are called by one
// goroutine.
type link interface {
	// interfaces returns the interfaces whose groups are joined; rescan joins new ones first.
	interfaces() []iface
	rescan() error
	// multicast sends on one interface; failures do not matter, as those of the network do not.
	multicast(iface int, b []byte)
	unicast(to netip.AddrPort, b []byte)
	packets() <-chan packet
	close()
}

// sockets is the link of this machine.
type sockets struct {
	v4     *ipv4.PacketConn // nil without IPv4
	v6     *ipv6.PacketConn // nil without IPv6
	conns  []*net.UDPConn
	in     chan packet
	closed chan struct{}
	wait   sync.WaitGroup

	mu     sync.Mutex
	joined []iface
}

// openLink joins the groups of multicast DNS on all interfaces.
func openLink() (link, error) {
	s := &sockets{in: make(chan packet, 64), closed: make(chan struct{})}
	list, err := multicastInterfaces()
	if err != nil {
		return nil, err
	}
	var failed error
	for _, i := range list { // any will do for the first: rescan joins the others
		ni := &net.Interface{Index: i.index, Name: i.name}
		if conn, err := net.ListenMulticastUDP("udp4", ni, group4); err == nil {
			s.open4(conn)
			break
		} else {
			failed = err
		}
	}
	for _, i := range list {
		ni := &net.Interface{Index: i.index, Name: i.name}
		if conn, err := net.ListenMulticastUDP("udp6", ni, group6); err == nil {
			s.open6(conn)
			break
		} else {
			failed = cmp.Or(failed, err)
		}
	}
	if len(s.conns) == 0 {
		return nil, fmt.Errorf("multicast DNS: %w", cmp.Or(failed, errNoInterface))
	}
	if err := s.rescan(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sockets) open4(conn *net.UDPConn) {
	s.v4 = ipv4.NewPacketConn(conn)
	_ = s.v4.SetMulticastTTL(255)       // RFC 6762, 11
	_ = s.v4.SetMulticastLoopback(true) // others on this machine listen too
	_ = s.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true)
	s.conns = append(s.conns, conn)
	s.wait.Go(func() {
		s.read(func(b []byte) (n, iface int, to net.IP, from net.Addr, err error) {
			n, cm, from, err := s.v4.ReadFrom(b)
			if cm != nil {
				iface, to = cm.IfIndex, cm.Dst
			}
			return n, iface, to, from, err
		})
	})
}

func (s *sockets) open6(conn *net.UDPConn) {
	s.v6 = ipv6.NewPacketConn(conn)
	_ = s.v6.SetMulticastHopLimit(255)
	_ = s.v6.SetMulticastLoopback(true)
	_ = s.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true)
	s.conns = append(s.conns, conn)
	s.wait.Go(func() {
		s.read(func(b []byte) (n, iface int, to net.IP, from net.Addr, err error) {
			n, cm, from, err := s.v6.ReadFrom(b)
			if cm != nil {
				iface, to = cm.IfIndex, cm.Dst
			}
			return n, iface, to, from, err
		})
	})
}

// read passes packets on until the socket is closed.
func (s *sockets) read(from func(b []byte) (n, iface int, to net.IP, from net.Addr, err error)) {
	buf := make([]byte, maxPacket)
	for {
		n, index, to, addr, err := from(buf)
		if err != nil {
			select {
			case <-s.closed:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // of one packet: an ICMP error, for example
		}
		udp, ok := addr.(*net.UDPAddr)
		if !ok {
			continue
		}
		source := udp.AddrPort()
		source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
		local := s.onLink(source.Addr())
		if !to.IsMulticast() && local == 0 && !source.Addr().IsLinkLocalUnicast() {
			continue // from another network (RFC 6762, 11)
		}
		if index == 0 { // Windows does not tell
			index = local
		}
		select {
		case s.in <- packet{slices.Clone(buf[:n]), source, index}:
		case <-s.closed:
			return
		}
	}
}

// onLink returns the index of an interface whose network an address is of; 0 if there is none.
func (s *sockets) onLink(a netip.Addr) int {
	for _, i := range s.interfaces() {
		if slices.ContainsFunc(i.prefixes, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) }) {
			return i.index
		}
	}
	return 0
}

func (s *sockets) interfaces() []iface {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joined
}

func (s *sockets) rescan() error {
	list, err := multicastInterfaces()
	if err != nil {
		return err
	}
	before := s.interfaces()
	for _, i := range list {
		known := func(j iface) bool { return j.index == i.index }
		if slices.ContainsFunc(before, known) {
			continue
		}
		ni := &net.Interface{Index: i.index, Name: i.name} // joined already, perhaps
		if s.v4 != nil {
			_ = s.v4.JoinGroup(ni, group4)
		}
		if s.v6 != nil {
			_ = s.v6.JoinGroup(ni, group6)
		}
	}
	s.mu.Lock()
	s.joined = list
	s.mu.Unlock()
	return nil
}

// multicastInterfaces lists the interfaces that are up and can multicast. The loopback interface
// is only listed if it is the only one.
func multicastInterfaces() ([]iface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []iface
	for _, ni := range all {
		const want = net.FlagUp | net.FlagMulticast
		if ni.Flags&want != want {
			continue
		}
		addresses, err := ni.Addrs()
		if err != nil || len(addresses) == 0 {
			continue
		}
		i := iface{index: ni.Index, name: ni.Name, loopback: ni.Flags&net.FlagLoopback != 0}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				i.prefixes = append(i.prefixes, p)
			}
		}
		list = append(list, i)
	}
	if slices.ContainsFunc(list, func(i iface) bool { return !i.loopback }) {
		list = slices.DeleteFunc(list, func(i iface) bool { return i.loopback })
	}
	if len(list) == 0 {
		return nil, errNoInterface
	}
	return list, nil
}

func (s *sockets) multicast(index int, b []byte) {
	s.mu.Lock() // the interface is a setting of the socket
	defer s.mu.Unlock()
	ni := &net.Interface{Index: index}
	for _, i := range s.joined {
		if i.index == index {
			ni.Name = i.name
		}
	}
	if s.v4 != nil && s.v4.SetMulticastInterface(ni) == nil {
		_, _ = s.v4.WriteTo(b, nil, group4)
	}
	if s.v6 != nil && s.v6.SetMulticastInterface(ni) == nil {
		_, _ = s.v6.WriteTo(b, nil, &net.UDPAddr{IP: group6.IP, Port: port, Zone: ni.Name})
	}
}

func (s *sockets) unicast(to netip.AddrPort, b []byte) {
	addr := net.UDPAddrFromAddrPort(to)
	if to.Addr().Is4() && s.v4 != nil {
		_, _ = s.v4.WriteTo(b, nil, addr)
	} else if to.Addr().Is6() && s.v6 != nil {
		_, _ = s.v6.WriteTo(b, nil, addr)
	}
}

func (s *sockets) packets() <-chan packet { return s.in }

func (s *sockets) close() {
	close(s.closed)
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.wait.Wait()
}

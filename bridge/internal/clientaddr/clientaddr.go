package clientaddr

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Client says where a request came from: the client behind the proxies that are trusted.
type Client struct {
	// Address is the client's, unmapped and without a zone. It is the zero Addr where the
	// request came over a transport without addresses.
	Address netip.Addr
	// Secure reports whether nobody between the client and the bridge can read along: TLS
	// ends here, or at a trusted proxy that says so.
	Secure bool
	// Local reports whether the client is a program on this machine that connected without a
	// proxy in between.
	Local bool
	// Named reports whether the client cannot have been sent here by a name that a stranger has
	// made resolve to this machine: TLS proves the name, or else [KnownHost] knows it. Locate
	// leaves it false.
	Named bool
}

// String returns the address as a ZAP request carries it; empty for the zero Addr.
func (c Client) String() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}

// forwardingHeaders are written by proxies only: a request that carries one did not start
// where its TCP connection starts.
var forwardingHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// Locate returns where r came from. Forwarding headers count only if the TCP peer is in
// trusted: X-Forwarded-For and X-Forwarded-Proto, or if there is neither, Forwarded (RFC
// 7239). The client is then the rightmost entry that is not a trusted proxy itself, since the
// client could have written everything left of it. Locate fails if such an entry is not an IP
// address.
func Locate(r *http.Request, trusted []netip.Prefix) (Client, error) {
	peer := Parse(r.RemoteAddr)
	forwarded := slices.ContainsFunc(forwardingHeaders, func(h string) bool { return r.Header.Get(h) != "" })
	c := Client{
		Address: peer,
		Secure:  r.TLS != nil,
		Local:   peer.IsLoopback() && !forwarded,
	}
	if !Contains(trusted, peer) {
		return c, nil
	}
	way, err := forwarding(r.Header)
	if err != nil {
		return Client{}, err
	}
	c.Secure = way.secure()
	for _, entry := range slices.Backward(way.clients) {
		a := Parse(entry)
		if !a.IsValid() {
			return Client{}, fmt.Errorf("%s entry %.64q is not an IP address", way.header, entry)
		}
		c.Address = a
		if !Contains(trusted, a) {
			break
		}
	}
	return c, nil
}

// Parse reads an IP address with or without a port, as http.Request.RemoteAddr and proxies
// write it. It returns the zero Addr if s is not one.
func Parse(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// Network returns the key under which limits count an address: an IPv6 host can use every
// address of its /64, an IPv4 host only its own.
func Network(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// Contains reports whether a is in one of the networks.
func Contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

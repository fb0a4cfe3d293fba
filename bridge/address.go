package bridge

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// origin is where a request came from: the client behind the proxies that we trust.
type origin struct {
	// address is the client's, unmapped and without a zone; the zero Addr where the
	// request came over something that has no addresses.
	address netip.Addr
	// secure tells that nobody between the client and us can read along: TLS ends here,
	// or at a trusted proxy that says so.
	secure bool
	// local tells that the client is a program on this machine that connected without
	// any proxy between.
	local bool
}

// forwardingHeaders are those that only a proxy writes: a request that carries one did
// not start where its TCP connection starts.
var forwardingHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// locate finds out where a request came from. Forwarding headers count only from a
// trusted proxy, and then the client is the rightmost entry of X-Forwarded-For that is
// not itself a trusted proxy: everything left of it the client could have written.
func locate(r *http.Request, trusted []netip.Prefix) (origin, error) {
	peer := remoteAddress(r.RemoteAddr)
	forwarded := slices.ContainsFunc(forwardingHeaders, func(h string) bool { return r.Header.Get(h) != "" })
	if !contains(trusted, peer) {
		return origin{
			address: peer,
			secure:  r.TLS != nil,
			local:   peer.IsLoopback() && !forwarded,
		}, nil
	}
	o := origin{
		address: peer,
		secure:  forwardedByHTTPS(r.Header),
		local:   peer.IsLoopback() && !forwarded,
	}
	entries := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, entry := range slices.Backward(entries) {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		a := remoteAddress(entry)
		if !a.IsValid() {
			return origin{}, fmt.Errorf("X-Forwarded-For entry %.64q is no IP address", entry)
		}
		o.address = a
		if !contains(trusted, a) {
			break
		}
	}
	return o, nil
}

// forwardedByHTTPS tells whether X-Forwarded-Proto says nothing but https. A proxy that adds
// its own to what the client sent leaves two of them.
func forwardedByHTTPS(h http.Header) bool {
	values := h.Values("X-Forwarded-Proto")
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !strings.EqualFold(v, "https") })
}

// remoteAddress reads an IP address with or without a port, as RemoteAddr and proxies
// write it; the zero Addr if it is none.
func remoteAddress(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// text is the address as a ZAP request carries it.
func (o origin) text() string {
	if !o.address.IsValid() {
		return ""
	}
	return o.address.String()
}

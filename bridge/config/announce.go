package config

import (
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// hostPlaceholder stands for the name of this machine in server.announce.
const hostPlaceholder = "{host}"

// maxPaths is how long the list of paths in an announcement can be, in bytes: one string of a TXT
// record has 255.
const maxPaths = 240

// Publication returns what server.announce announces of a bridge that listens on a port: its page
// and its routes. The machine's own name may be that of another responder, so the bridge has one
// of its own: HOST-zwsbridge.local.
func (c *Config) Publication(port uint16) dnssd.Publication {
	host := hostLabel()
	p := dnssd.Publication{
		Instance: strings.ReplaceAll(c.Server.Announce, hostPlaceholder, host),
		Host:     host[:min(len(host), 50)] + "-zwsbridge",
		Port:     port,
	}
	if name, _, err := net.SplitHostPort(c.Server.Listen); err == nil {
		if a, err := netip.ParseAddr(name); err == nil && !a.IsUnspecified() && !a.IsLoopback() {
			p.Only = a.Unmap()
		}
	}
	page, tls := "_https._tcp", "tls=1"
	if c.Server.TLS == TLSOff {
		page, tls = "_http._tcp", "tls=0"
	}
	var paths []string
	for i := range c.Routes {
		if next := append(paths, c.Routes[i].Path); len(strings.Join(next, ",")) <= maxPaths {
			paths = next
		}
	}
	p.Services = []dnssd.PublishedService{
		{Type: page, Text: []string{"path=/"}},
		{Type: "_zws._tcp", Text: []string{tls, "paths=" + strings.Join(paths, ",")}},
	}
	return p
}

// hostLabel returns the first label of this machine's name.
func hostLabel() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}

// announce checks what the bridge is announced as.
func (c *checker) announce() {
	const key = "server.announce"
	text := c.Server.Announce
	if text == "" {
		return
	}
	if HasPlaceholder(strings.ReplaceAll(text, hostPlaceholder, "")) {
		c.fault(key, "is %q: want a name whose only placeholder is {host}", text)
	} else if err := dnssd.CheckInstance(strings.ReplaceAll(text, hostPlaceholder, hostLabel())); err != nil {
		c.fault(key, "cannot be a name in the network: %v", err)
	}
	if isLoopback(c.Server.Listen) {
		c.warn(key, "announces a bridge that only this machine can reach: want server.listen = %q or the like", ":8443")
	}
}

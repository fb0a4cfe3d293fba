package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ValidateOptions are what [Validate] has to know about the program that runs the bridge.
type ValidateOptions struct {
	// OwnHandler means that the program decides on logins (bridge.Options.Handler), so that
	// zap.chain is not used and need not exist.
	OwnHandler bool
}

// Validate returns a copy of c with its defaults filled in, checked as [Load] checks a file.
// In routes and settings of authenticators, zero fields get their defaults; in the other
// tables only those that depend on other keys do, so start from [Default]. If faults.Err() is
// not nil the Config is nil; otherwise faults has warnings only. Validating a complete
// configuration changes nothing in it.
func Validate(c *Config, o ValidateOptions) (_ *Config, faults Faults) {
	c = c.clone()
	r := &reporter{file: c.File}
	for i := range c.Routes {
		setZero(&c.Routes[i], new(defaultRoute()))
		setZero(&c.Routes[i].History, new(defaultHistory()))
	}
	for name, a := range c.Auth {
		if err := completeAuth(&a); err != nil {
			r.fault(joinKey("auth", name), "%v", err)
		}
		c.Auth[name] = a
	}
	c.complete()
	return (&checker{reporter: r, Config: c, ownHandler: o.OwnHandler}).run()
}

// checker finds values that decode but cannot work, and those that work but are risky.
type checker struct {
	*reporter
	*Config
	given      map[string]bool // the keys in the file; nil if the configuration was made in Go
	ownHandler bool
}

// isGiven reports whether somebody set key: it is in the file, or, in a configuration made in
// Go, its value differs from the default.
func (c *checker) isGiven(key string, differs bool) bool {
	if c.given == nil {
		return differs
	}
	return c.given[key]
}

// run checks everything and returns what [Validate] returns.
func (c *checker) run() (*Config, Faults) {
	c.server()
	c.tls()
	c.limits()
	c.announce()
	c.admin()
	c.log()
	c.zap()
	c.chain()
	c.authenticators()
	c.history()
	c.routes()
	c.listeners()
	c.secrets()
	c.nameRoutes(c.Routes)
	faults := c.sorted()
	if faults.Err() != nil {
		return nil, faults
	}
	return c.Config, faults
}

func (c *checker) oneOf(key, value string, allowed []string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	c.fault(key, "is %q: want %s", value, choices(allowed))
	return false
}

func (c *checker) required(key, value, because string) {
	if value == "" {
		c.fault(key, "missing: %s needs it", because)
	}
}

func (c *checker) positive(key string, d time.Duration) {
	if d <= 0 {
		c.fault(key, "is %v: want a duration above 0", d)
	}
}

func (c *checker) atLeast(key string, n, least int64) {
	if n < least {
		c.fault(key, "is %d: want at least %d", n, least)
	}
}

func (c *checker) listen(key, address string) {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil && strings.Count(address, ":") > 2 && address[0] != '[':
		c.fault(key, `is %q: want brackets around an IPv6 address, like "[::1]:8443"`, address)
	case err != nil:
		c.fault(key, `is %q: want host:port like "127.0.0.1:8443"`, address)
	case !validPort(port):
		c.fault(key, `is %q: want a port from 0 to 65535, like "127.0.0.1:8443"`, address)
	case host == "*": // the form of ZeroMQ, as in bind
		c.fault(key, "is %q: want %q for all addresses of this machine", address, ":"+port)
	case !validHost(host):
		c.fault(key, "is %q: want a host name or an address before the port", address)
	}
}

// url checks a URL. It shows none that can contain a password.
func (c *checker) url(key, text string, schemes ...string) {
	u, err := url.Parse(text)
	if err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme) {
		return
	}
	if strings.ContainsAny(text, "@?") {
		c.fault(key, "is not a URL with a host and the scheme %s", choices(schemes))
		return
	}
	c.fault(key, `is %q: want a URL with a host and the scheme %s, like "%s://host.example/path"`, text, choices(schemes), schemes[0])
}

// plainHTTP warns of http:// to another machine.
func (c *checker) plainHTTP(key, text, consequence string) {
	rest, ok := strings.CutPrefix(text, "http://")
	if !ok {
		return
	}
	host, _, _ := strings.Cut(rest, "/")
	if !isLoopback(host) && !isLoopback(host+":80") {
		c.warn(key, "is http to another machine: %s", consequence)
	}
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}

// isLoopback reports whether host:port can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// entry returns the key of an entry of a list.
func entry(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }

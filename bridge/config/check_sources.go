package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/discover"
	"github.com/zwsbridge/zwsbridge/internal/dnssd"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Sources in connect, by what they begin with.
const (
	srvScheme   = "srv://"
	dnssdScheme = "dnssd://"
)

// SRV returns the DNS name of a source srv://NAME, whose SRV records are backends.
func (e *Endpoint) SRV() (name string, ok bool) { return strings.CutPrefix(e.Endpoint, srvScheme) }

// DNSSD returns the service type of a source dnssd://TYPE, whose instances in the local network
// are backends.
func (e *Endpoint) DNSSD() (service string, ok bool) {
	service, ok = strings.CutPrefix(e.Endpoint, dnssdScheme)
	return strings.TrimSuffix(service, ".local"), ok
}

// IsSource reports whether e is not one backend but finds some.
func (e *Endpoint) IsSource() bool {
	_, srv := e.SRV()
	_, dnssd := e.DNSSD()
	return srv || dnssd
}

// HasSources reports whether the backends of the route are found while the bridge runs.
func (r *Route) HasSources() bool {
	for i := range r.Connect {
		if r.Connect[i].IsSource() {
			return true
		}
	}
	return r.ConnectFile != ""
}

// connects reports whether the route has backends to connect to, or may find some.
func (r *Route) connects() bool { return len(r.Connect) > 0 || r.ConnectFile != "" }

// FoundEndpoint checks an endpoint that a source has found and returns it with the path of ipc
// absolute; a relative one is relative to dir.
func FoundEndpoint(dir, endpoint string) (string, error) {
	switch {
	case HasPlaceholder(endpoint):
		return "", fmt.Errorf("is %q: placeholders are only for connect in the configuration", endpoint)
	case endpoint == "":
		return "", fmt.Errorf("has no endpoint: want %s", endpointForms)
	}
	if err := parseEndpoint(endpoint, false); err != nil {
		return "", err
	}
	return absoluteEndpoint(dir, endpoint), nil
}

// sources checks the sources of a route.
func (c *checker) sources(key string, r *Route) {
	local := false
	for i := range r.Connect {
		e, of := &r.Connect[i], entry(key+".connect", i)
		if name, ok := e.SRV(); ok {
			c.sourceName(of, e.Endpoint, validName(name))
		}
		if service, ok := e.DNSSD(); ok {
			local = true
			c.sourceName(of, e.Endpoint, dnssd.CheckType(service))
			if r.Mechanism != zap.CURVE {
				c.warn(of, "connects to every machine in the local network that announces %s: only mechanism = \"CURVE\" lets a route know its backends", service)
			}
		}
	}
	c.connectFile(key+".connect_file", r)
	c.announcedKeys(key, r, local)
	if !r.HasSources() {
		return
	}
	of := c.firstSource(key, r)
	switch {
	case r.Relay:
		c.fault(of, "finds backends, and a relay has exactly one: want one endpoint in connect")
	case len(r.Bind) > 0:
		c.fault(of, "finds backends to connect to, and to a route with bind they connect themselves: want only one of the two")
	case r.Socket == zmtp.PAIR:
		c.fault(of, "can find several backends, and a PAIR has one: want one endpoint in connect")
	case r.Credentials == CredentialsClient:
		c.fault(of, `finds backends, and credentials = "client" would send passwords of clients to whatever is found: want "static", or endpoints in connect`)
	case r.Mechanism == zap.PLAIN && !r.InsecurePlaintext:
		c.fault(of, "finds backends, and PLAIN would send them the password in the clear: want insecure_plaintext = true on this route, if the network between is trusted")
	}
}

// firstSource returns the key of a source.
func (c *checker) firstSource(key string, r *Route) string {
	for i := range r.Connect {
		if r.Connect[i].IsSource() {
			return entry(key+".connect", i)
		}
	}
	return key + ".connect_file"
}

func (c *checker) sourceName(of, endpoint string, err error) {
	if HasPlaceholder(endpoint) {
		c.fault(of, "is %q: sources cannot have placeholders", endpoint)
	} else if err != nil {
		c.fault(of, "is %q: %v", endpoint, err)
	}
}

// validName reports an error if name cannot be a DNS name.
func validName(name string) error {
	if !discover.ValidName(strings.TrimSuffix(name, ".")) {
		return errors.New(`want a DNS name with SRV records, without a port, like "srv://_zmtp._tcp.houses.lan"`)
	}
	return nil
}

// connectFile checks what is in the file now. What is wrong with it is a warning: the bridge
// starts, and waits for a file that it can use.
func (c *checker) connectFile(key string, r *Route) {
	if r.ConnectFile == "" {
		return
	}
	_, err := discover.ReadFile(r.FileOptions(c.Dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.warn(key, "%s does not exist yet: it has no backends until it does", r.ConnectFile)
	case err != nil:
		c.warn(key, "%s: the file is not used until this is mended", reason(err))
	}
}

// FileOptions returns how connect_file is read. dir is for relative paths of ipc.
func (r *Route) FileOptions(dir string) discover.FileOptions {
	curve := r.Mechanism == zap.CURVE
	return discover.FileOptions{
		Path:     string(r.ConnectFile),
		Endpoint: func(e string) (string, error) { return FoundEndpoint(dir, e) },
		TakesKey: curve,
		NeedsKey: curve && r.ServerKey.IsZero(),
	}
}

// announcedKeys checks which keys from the local network count. local says that the route has a
// source there.
func (c *checker) announcedKeys(key string, r *Route, local bool) {
	given := map[string]bool{"server_keys": len(r.ServerKeys) > 0, "insecure_announced_keys": r.InsecureAnnouncedKeys}
	for _, name := range []string{"server_keys", "insecure_announced_keys"} {
		if given[name] && (!local || r.Mechanism != zap.CURVE) {
			c.fault(key+"."+name, `is only for mechanism = "CURVE" with a source like "dnssd://_zmtp._tcp" in connect`)
		}
	}
	if r.InsecureAnnouncedKeys && local {
		c.warn(key+".insecure_announced_keys", "every machine in the local network can announce itself with a key of its own: want server_keys with those of your backends")
	}
}

// keyOfSource reports a source whose backends would have no server key.
func (c *checker) keyOfSource(of string, r *Route, e *Endpoint) {
	_, local := e.DNSSD()
	switch {
	case !e.ServerKey.IsZero():
	case !local:
		c.fault(of, `has no server_key, and neither has the route: mechanism = "CURVE" needs the public key that all these backends have`)
	case len(r.ServerKeys) == 0 && !r.InsecureAnnouncedKeys:
		c.fault(of, `has no server_key, and the route has neither server_key nor server_keys: mechanism = "CURVE" needs the keys of the backends that are announced (TXT curve=…)`)
	}
}

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// endpointForms are the forms of an endpoint.
const endpointForms = `"tcp://host:port", "ipc:///path" or "ipc://@name"`

// maxSocketPath is how long the path of a socket can be on Linux (unix(7)); some systems take
// less.
const maxSocketPath = 107

// parseEndpoint checks a ZeroMQ endpoint. Only an endpoint to bind can have the host "*" and
// the port 0.
func parseEndpoint(endpoint string, bound bool) error {
	transport, address, ok := strings.Cut(endpoint, "://")
	if !ok {
		return fmt.Errorf("is %q: want %s", endpoint, endpointForms)
	}
	switch transport {
	case "ipc":
		if address == "" || address == "@" || strings.Contains(address, "\x00") {
			return fmt.Errorf("is %q, without the name of a socket: want %s", endpoint, endpointForms)
		}
		if len(address) > maxSocketPath {
			return fmt.Errorf("has %d bytes after ipc://: want at most %d, the limit of the system for the path of a socket", len(address), maxSocketPath)
		}
		return nil
	case "tcp":
		host, port, err := net.SplitHostPort(address)
		switch {
		case err != nil:
			return fmt.Errorf("is %q: want %s", endpoint, endpointForms)
		case strings.ContainsAny(port, "/?#"):
			return fmt.Errorf("is %q: want nothing after the port", endpoint)
		case !validPort(port):
			return fmt.Errorf("is %q: want a port from 0 to 65535", endpoint)
		case bound && host == "":
			return fmt.Errorf(`is %q, without a host: want "*" for all addresses`, endpoint)
		case !bound && (host == "" || host == "*" || port == "0"):
			return fmt.Errorf("is %q: want a host and a port to connect to", endpoint)
		case strings.Contains(host, ";"):
			return fmt.Errorf("is %q, with a source address: the bridge connects from the address that the system chooses, want only what follows the semicolon", endpoint)
		case host != "*" && !validHost(host):
			return fmt.Errorf("is %q: want a host name or an address before the port", endpoint)
		case bound && isInterface(host):
			return fmt.Errorf("is %q, with the name of a network interface: want one of its addresses", endpoint)
		}
		return nil
	}
	return fmt.Errorf("has the transport %q: want %s", transport, endpointForms)
}

// validHost reports whether host can be a DNS name or an address, with a zone.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`*/;:,?#[]@!$&'()+=%<>"\^{}|`+"`", r)
	})
}

// isInterface reports whether host names a network interface of this machine, as libzmq takes
// it, and is not a name that resolves.
func isInterface(host string) bool {
	_, err := net.InterfaceByName(host)
	return err == nil
}

// LocalEndpoint reports whether traffic over the endpoint stays on this machine.
func LocalEndpoint(endpoint string) bool {
	if address, ok := strings.CutPrefix(endpoint, "tcp://"); ok {
		return isLoopback(address)
	}
	return strings.HasPrefix(endpoint, "ipc://")
}

// absoluteEndpoint makes the path of an ipc endpoint absolute; a relative one is relative to
// dir.
func absoluteEndpoint(dir, endpoint string) string {
	path, ok := strings.CutPrefix(endpoint, "ipc://")
	if !ok || path == "" || path[0] == '@' || filepath.IsAbs(path) {
		return endpoint
	}
	return "ipc://" + filepath.Join(dir, path)
}

// endpoint checks an endpoint and reports whether it is right.
func (c *checker) endpoint(key, endpoint string, bound bool) bool {
	if err := parseEndpoint(endpoint, bound); err != nil {
		c.fault(key, "%v", err)
		return false
	}
	if path, ok := strings.CutPrefix(endpoint, "ipc://"); ok && bound && path[0] != '@' {
		dir := filepath.Dir(path)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) { // serve may create it for another file
			c.warn(key, "%s does not exist: the socket cannot be opened before it does", dir)
		} else {
			c.directory(key, Path(dir))
		}
	}
	return true
}

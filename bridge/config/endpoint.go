package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// endpointForms is what endpoints may look like.
const endpointForms = `"tcp://host:port", "ipc:///path" or "ipc://@name"`

// parseEndpoint checks a ZeroMQ endpoint. A bound one may have "*" as its host and 0 as
// its port; one that is dialled may have neither.
func parseEndpoint(endpoint string, bound bool) error {
	transport, address, ok := strings.Cut(endpoint, "://")
	if !ok {
		return fmt.Errorf("is %q: want %s", endpoint, endpointForms)
	}
	switch transport {
	case "ipc":
		if address == "" || address == "@" || strings.Contains(address, "\x00") {
			return fmt.Errorf("is %q, which names no socket: want %s", endpoint, endpointForms)
		}
		return nil
	case "tcp":
		host, port, err := net.SplitHostPort(address)
		switch {
		case err != nil:
			return fmt.Errorf("is %q: want %s", endpoint, endpointForms)
		case !validPort(port):
			return fmt.Errorf("is %q, with a port that is not a number from 0 to 65535", endpoint)
		case bound && host == "":
			return fmt.Errorf(`is %q, without a host: want * for all addresses`, endpoint)
		case !bound && (host == "" || host == "*" || port == "0"):
			return fmt.Errorf("is %q: want a host and a port to connect to", endpoint)
		case host != "*" && strings.ContainsAny(host, "*/ "):
			return fmt.Errorf("is %q, with a host that is no name and no address", endpoint)
		}
		return nil
	}
	return fmt.Errorf("has the transport %q: want %s", transport, endpointForms)
}

// LocalEndpoint tells whether what goes over the endpoint stays on this machine.
func LocalEndpoint(endpoint string) bool {
	address, ok := strings.CutPrefix(endpoint, "tcp://")
	return !ok || isLoopback(address)
}

// absoluteEndpoint makes the path of an ipc endpoint relative to dir, if it is relative.
func absoluteEndpoint(dir, endpoint string) string {
	path, ok := strings.CutPrefix(endpoint, "ipc://")
	if !ok || path == "" || path[0] == '@' || filepath.IsAbs(path) {
		return endpoint
	}
	return "ipc://" + filepath.Join(dir, path)
}

// endpoint reports what is wrong with an endpoint and tells whether nothing is.
func (c *checker) endpoint(key, endpoint string, bound bool) bool {
	if err := parseEndpoint(endpoint, bound); err != nil {
		c.fault(key, "%v", err)
		return false
	}
	return true
}

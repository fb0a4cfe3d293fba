package zmtp

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
)

// ParseEndpoint splits a ZeroMQ endpoint into the network and the address of package net:
// "tcp" and "host:port", or "unix" and a path or "@name". The port is a number. In an endpoint
// to listen on the host can be * and the port * or 0.
func ParseEndpoint(endpoint string) (network, address string, err error) {
	scheme, rest, _ := strings.Cut(endpoint, "://")
	switch scheme {
	case "tcp":
		return parseTCP(endpoint, rest)
	case "ipc":
		return parseIPC(endpoint, rest)
	}
	return "", "", fmt.Errorf("zmtp: endpoint %q: want tcp://host:port, ipc:///path or ipc://@name", endpoint)
}

func parseTCP(endpoint, address string) (string, string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "", "", fmt.Errorf("zmtp: endpoint %q: want tcp://host:port, an IPv6 address in brackets", endpoint)
	}
	if host == "*" {
		host = ""
	}
	if port == "*" {
		port = "0"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("zmtp: endpoint %q: port %q, want a number from 0 to 65535", endpoint, port)
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// maxIPCPath is the longest path in Linux's sockaddr_un, without the zero byte at its end.
// Other systems have lower limits and return errors of their own.
const maxIPCPath = 107

func parseIPC(endpoint, path string) (string, string, error) {
	switch {
	case path == "" || path == "@":
		return "", "", fmt.Errorf("zmtp: endpoint %q: want ipc:///path or ipc://@name", endpoint)
	case path[0] == '@' && runtime.GOOS != "linux":
		return "", "", fmt.Errorf("zmtp: endpoint %q: only Linux has abstract sockets", endpoint)
	case len(path) > maxIPCPath:
		return "", "", fmt.Errorf("zmtp: endpoint %q: path of %d bytes, at most %d are allowed", endpoint, len(path), maxIPCPath)
	case strings.ContainsRune(path, 0):
		return "", "", fmt.Errorf("zmtp: endpoint %q: path with a zero byte", endpoint)
	}
	return "unix", path, nil
}

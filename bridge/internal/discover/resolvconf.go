package discover

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	resolvConfFile = "/etc/resolv.conf"
	maxResolvConf  = 64 << 10 // bytes
	maxServers     = 3        // as resolv.conf(5)
)

// resolvConf is what resolv.conf(5) says of the servers.
type resolvConf struct {
	servers  []string // host:port
	timeout  time.Duration
	attempts int // rounds through the servers
}

// readResolvConf reads the file, which network managers replace.
func readResolvConf(file string) (*resolvConf, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := parseResolvConf(io.LimitReader(f, maxResolvConf))
	if len(c.servers) == 0 {
		return nil, fmt.Errorf("%s names no server: want a line like %q", file, "nameserver 192.0.2.1")
	}
	return c, nil
}

var errNoServers = errors.New("no DNS server answered")

// parseResolvConf reads what it understands: nameserver, and timeout and attempts of options.
func parseResolvConf(r io.Reader) *resolvConf {
	c := &resolvConf{timeout: 5 * time.Second, attempts: 2}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(words[1]); err == nil && len(c.servers) < maxServers {
				c.servers = append(c.servers, net.JoinHostPort(a.String(), "53"))
			}
		case "options":
			for _, o := range words[1:] {
				name, value, _ := strings.Cut(o, ":")
				n, err := strconv.Atoi(value)
				if err != nil {
					continue
				}
				switch name {
				case "timeout":
					c.timeout = time.Duration(min(max(n, 1), 30)) * time.Second
				case "attempts":
					c.attempts = min(max(n, 1), 5)
				}
			}
		}
	}
	return c
}

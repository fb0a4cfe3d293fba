package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEOptions say for which names certificates are ordered and where they are kept.
type ACMEOptions struct {
	// Hosts are the DNS names to order certificates for, at least one. A connection that
	// asks for another name gets none.
	Hosts []string
	// Cache is the folder where account key and certificates are kept (files of mode
	// 0600); it is made if it is missing. Required: authorities limit how often the same
	// certificate may be ordered.
	Cache string
	// Email is where the authority may write to; may be empty.
	Email string
	// Client says which authority is asked; nil means Let's Encrypt.
	Client *acme.Client
}

// ACME returns a TLS configuration whose certificates are ordered from an authority
// (RFC 8555) at the first connection that asks for the name, and renewed in time. The
// authority checks us by TLS-ALPN-01 (RFC 8737) on port 443, which must lead to a
// listener with this configuration. To use it is to accept the authority's terms.
func ACME(o ACMEOptions) (*tls.Config, error) {
	if len(o.Hosts) == 0 {
		return nil, errors.New("acme: no hosts: name those that certificates are to be ordered for")
	}
	for _, host := range o.Hosts {
		if err := CheckACMEHost(host); err != nil {
			return nil, err
		}
	}
	if o.Cache == "" {
		return nil, errors.New("acme: no cache folder for the certificates")
	}
	if err := os.MkdirAll(o.Cache, 0o700); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	m := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(o.Cache),
		HostPolicy: autocert.HostWhitelist(o.Hosts...),
		Email:      o.Email,
		Client:     o.Client,
	}
	return serverConfig(m.GetCertificate, acme.ALPNProto), nil
}

// CheckACMEHost refuses a name for which [ACME] cannot order a certificate.
func CheckACMEHost(host string) error {
	switch {
	case net.ParseIP(host) != nil:
		return fmt.Errorf("acme: host %q is an address, want a DNS name", host)
	case strings.ContainsAny(host, "*:/ ") || !strings.Contains(strings.Trim(host, "."), "."):
		return fmt.Errorf("acme: host %q: want a full DNS name such as portal.example.org, without port, path or wildcard", host)
	}
	return nil
}

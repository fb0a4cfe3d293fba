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

// ACMEOptions are the options of [ACME].
type ACMEOptions struct {
	// Hosts are the DNS names to order certificates for, at least one. A connection that
	// asks for another name fails.
	Hosts []string
	// Cache is the directory for the account key and the certificates (files of mode
	// 0600). It is created if it is missing. Required: a certificate authority limits how
	// often it issues the same certificate.
	Cache string
	// Email is the contact address for the authority, optional.
	Email string
	// Client selects the authority and the account key; nil means Let's Encrypt.
	Client *acme.Client
}

// ACME returns a TLS configuration that orders certificates from a certificate authority
// (RFC 8555) at the first connection to a name, and renews them before they expire. The
// authority validates the names with TLS-ALPN-01 (RFC 8737): port 443 of each must lead to
// a listener with this configuration. Calling ACME accepts the authority's terms of service.
func ACME(o ACMEOptions) (*tls.Config, error) {
	if len(o.Hosts) == 0 {
		return nil, errors.New("acme: no hosts: list the DNS names of the certificates")
	}
	for _, host := range o.Hosts {
		if err := CheckACMEHost(host); err != nil {
			return nil, err
		}
	}
	if o.Cache == "" {
		return nil, errors.New("acme: no cache: name a directory for the certificates")
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

// CheckACMEHost returns an error if [ACME] cannot order a certificate for host.
func CheckACMEHost(host string) error {
	switch {
	case net.ParseIP(host) != nil:
		return fmt.Errorf("acme: host %q is an IP address, want a DNS name", host)
	case strings.ContainsAny(host, "*:/ ") || !strings.Contains(strings.Trim(host, "."), "."):
		return fmt.Errorf("acme: host %q: want a full DNS name such as portal.example.org, without port, path or wildcard", host)
	}
	return nil
}

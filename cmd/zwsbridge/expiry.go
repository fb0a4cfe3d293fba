package main

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// expiry returns a function that returns when the certificate of a TLS configuration, or an earlier
// one of its chain, expires: the one that is in use now, or with ACME, where asking for it could request
// it, the one that the last client got. It replaces tc.GetCertificate for that; tc can be nil.
func expiry(c *config.Config, tc *tls.Config) func() time.Time {
	if tc == nil || tc.GetCertificate == nil {
		return nil
	}
	get := tc.GetCertificate
	if c.Server.TLS != config.TLSACME {
		return func() time.Time {
			cert, err := get(&tls.ClientHelloInfo{})
			if err != nil {
				return time.Time{}
			}
			return firstExpiry(cert)
		}
	}
	var last atomic.Pointer[tls.Certificate]
	tc.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := get(hello)
		if err == nil && !slices.Contains(hello.SupportedProtos, acme.ALPNProto) { // not that of a challenge
			last.Store(cert)
		}
		return cert, err
	}
	return func() time.Time { return firstExpiry(last.Load()) }
}

// firstExpiry returns when the first certificate of a chain expires; zero if there is none.
func firstExpiry(c *tls.Certificate) (first time.Time) {
	if c == nil {
		return time.Time{}
	}
	for _, der := range c.Certificate {
		if parsed, err := x509.ParseCertificate(der); err == nil && (first.IsZero() || parsed.NotAfter.Before(first)) {
			first = parsed.NotAfter
		}
	}
	return first
}

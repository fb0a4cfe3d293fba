package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
	"golang.org/x/crypto/acme"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
)

// listen opens the listener for clients: TCP, with the PROXY protocol and TLS on top of it
// if they are configured. The caller closes the listener, then the closer.
func listen(c *config.Config, log *slog.Logger) (net.Listener, io.Closer, error) {
	config, closer, err := tlsConfig(c, log)
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", c.Server.Listen)
	if err != nil {
		closer.Close()
		return nil, nil, err
	}
	if c.Server.ProxyProtocol {
		l = proxyListener(l, c)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	return l, closer, nil
}

// proxyListener returns a listener that accepts connections only from trusted proxies and
// only with a PROXY header.
func proxyListener(l net.Listener, c *config.Config) net.Listener {
	return &proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: c.Server.HandshakeTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if from, err := netip.ParseAddrPort(o.Upstream.String()); err == nil {
				for _, trusted := range c.Server.TrustedProxies {
					if trusted.Contains(from.Addr().Unmap().WithZone("")) {
						return proxyproto.REQUIRE, nil
					}
				}
			}
			return proxyproto.REJECT, fmt.Errorf("%w: %v", proxyproto.ErrInvalidUpstream, o.Upstream)
		},
	}
}

// tlsConfig returns the TLS configuration for clients, nil if TLS is off. The closer stops
// watching certificate files; it is never nil unless there is an error.
func tlsConfig(c *config.Config, log *slog.Logger) (tc *tls.Config, closer io.Closer, err error) {
	closer = io.NopCloser(nil)
	switch c.Server.TLS {
	case config.TLSOff:
		return nil, closer, nil
	case config.TLSFiles:
		var files *certs.FileCertificate
		files, err = certs.Files(certs.FilesOptions{Cert: string(c.Server.Cert), Key: string(c.Server.Key), Private: c.Server.Private(), Log: log})
		if err == nil {
			tc, closer = files.Config(), files
		}
	case config.TLSACME:
		o := certs.ACMEOptions{Hosts: c.Server.Hosts, Cache: string(c.Server.ACMECache)}
		if c.Server.ACMEURL != "" {
			o.Client = &acme.Client{DirectoryURL: c.Server.ACMEURL}
		}
		tc, err = certs.ACME(o)
	case config.TLSSelfSigned:
		tc, err = certs.SelfSigned(certs.SelfSignedOptions{Dir: c.SelfSignedDir(), Hosts: c.Server.Hosts})
	default:
		err = fmt.Errorf("unknown server.tls %q (one of %q, %q, %q, %q)", c.Server.TLS,
			config.TLSSelfSigned, config.TLSFiles, config.TLSACME, config.TLSOff)
	}
	if err == nil && c.Server.ClientCA != "" {
		tc.ClientAuth = tls.VerifyClientCertIfGiven
		tc.ClientCAs, err = certs.Roots(string(c.Server.ClientCA))
	}
	if err != nil {
		closer.Close()
		return nil, nil, err
	}
	return tc, closer, nil
}

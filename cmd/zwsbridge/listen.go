package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"

	"golang.org/x/crypto/acme"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
)

// listen opens the listener for clients, unless it was passed, and returns the TLS configuration that belongs on top
// of it; nil if TLS is off. The caller closes the listener, then the closer.
func listen(c *config.Config, log *slog.Logger, passed sockets) (net.Listener, *tls.Config, io.Closer, error) {
	config, closer, err := tlsConfig(c, log)
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := passed.listen(serverSocket, c.Server.Listen, log)
	if err != nil {
		closer.Close()
		return nil, nil, nil, err
	}
	return l, config, closer, nil
}

// withTLS returns l with TLS on top of it, unless config is nil.
func withTLS(l net.Listener, config *tls.Config) net.Listener {
	if config == nil {
		return l
	}
	return tls.NewListener(l, config)
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

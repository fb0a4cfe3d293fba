package bridge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/anonymous"
	"github.com/zwsbridge/zwsbridge/zap/certificate"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zap/ip"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// authentication is the one ZAP handler of the bridge, made of the file's [zap] and
// [auth.*] tables.
type authentication struct {
	*zap.Chain
	closers []io.Closer // of the authenticators
}

// newAuthentication makes the chain and everything in it. The caller closes it.
func newAuthentication(c *Config, log *slog.Logger, observe func(entry string, status zap.Status)) (_ *authentication, err error) {
	a := new(authentication)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	made := make(map[string]any)
	for _, name := range used(c.Zap.Chain) {
		if made[name], err = newAuthenticator(c, c.Auth[name], log); err != nil {
			return nil, fmt.Errorf("auth.%s: %w", name, err)
		}
		if closer, ok := made[name].(io.Closer); ok {
			a.closers = append(a.closers, closer)
		}
	}
	options := zap.ChainOptions{
		Timeout: c.Zap.Timeout,
		Cache:   zap.CacheOptions{TTL: c.Zap.Cache},
		Logger:  log,
		Observe: observe,
	}
	for _, e := range c.Zap.Chain {
		entry, err := newEntry(c, e, made)
		if err != nil {
			return nil, err
		}
		options.Entries = append(options.Entries, entry)
	}
	a.Chain, err = zap.NewChain(options)
	return a, err
}

// used lists the names that the chain mentions, each once.
func used(chain []ChainEntry) []string {
	var names []string
	for _, e := range chain {
		for _, name := range append([]string{e.Authn}, e.Authz...) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// newEntry makes one step of the chain. One that names no domains answers for all but
// those of the peers that dial in.
func newEntry(c *Config, e ChainEntry, made map[string]any) (zap.Entry, error) {
	handler, ok := made[e.Authn].(zap.Handler)
	if !ok {
		return zap.Entry{}, fmt.Errorf("zap.chain: %q cannot authenticate", e.Authn)
	}
	entry := zap.Entry{Name: e.Authn, Handler: handler, Domains: e.Domains, UserPrefix: c.Auth[e.Authn].UserPrefix}
	if len(entry.Domains) == 0 {
		entry.Domains = c.ClientDomains()
	}
	for _, name := range e.Authz {
		authorizer, ok := made[name].(zap.Authorizer)
		if !ok {
			return zap.Entry{}, fmt.Errorf("zap.chain: %q cannot authorize", name)
		}
		entry.Authz = append(entry.Authz, authorizer)
	}
	return entry, nil
}

// newAuthenticator makes a handler, an authorizer, or what is both.
func newAuthenticator(c *Config, a AuthConfig, log *slog.Logger) (any, error) {
	switch s := a.Settings.(type) {
	case *HtpasswdConfig:
		return htpasswd.New(htpasswd.Options{File: string(s.File), Logger: log})
	case *IPConfig:
		return ip.New(ip.Options{
			Allow:        s.Allow,
			Deny:         s.Deny,
			TagMasks:     s.TagMasks,
			DefaultMasks: s.DefaultMasks,
		})
	case *AnonymousConfig:
		return anonymous.New(), nil
	case *CurveConfig:
		return curvekeys.New(curvekeys.Options{Dir: string(s.Dir), Logger: log})
	case *CertificateConfig:
		o := certificate.Options{}
		for _, field := range s.UserFrom {
			o.UserFrom = append(o.UserFrom, certificate.Field(field))
		}
		return certificate.New(o)
	case *RemoteConfig:
		return newRemote(s)
	}
	return nil, fmt.Errorf("type %q is not known", a.Type)
}

// newRemote makes the client of a ZAP handler elsewhere.
func newRemote(s *RemoteConfig) (*remote.Client, error) {
	o := remote.Options{Endpoint: s.Endpoint, Timeout: s.Timeout}
	if s.Cert != "" {
		cert, err := certs.ReadSecret(string(s.Cert))
		if err != nil {
			return nil, err
		}
		o.Security = zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: s.ServerKey}
	}
	return remote.New(o)
}

// Close ends the chain, then what it asks.
func (a *authentication) Close() error {
	var errs []error
	if a.Chain != nil {
		errs = append(errs, a.Chain.Close())
	}
	for _, c := range slices.Backward(a.closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

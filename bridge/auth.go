package bridge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/anonymous"
	"github.com/zwsbridge/zwsbridge/zap/certificate"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zap/ip"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// authentication is the one ZAP handler of the bridge, made of the file's [zap] and
// [auth.*] tables.
type authentication struct {
	*zap.Chain
	made    map[string]any // the authenticators, by the name that the chain uses
	recipes map[string]recipe
	stores  map[config.Path]*tokenendpoint.Identities
	closing sync.Once
}

// newAuthentication makes the chain and everything in it. Clients of HTTP services that
// would be made as they were in old, the one before a reload, are taken over: what they
// remember lasts, and whom they have let in stays. Of those that are not, the sessions end,
// since their rights can be asked no more. The caller closes it; old may be nil.
func newAuthentication(c *config.Config, old *authentication, log *slog.Logger, observe func(entry string, status zap.Status)) (_ *authentication, err error) {
	a := &authentication{
		made:    make(map[string]any),
		recipes: make(map[string]recipe),
		stores:  make(map[config.Path]*tokenendpoint.Identities),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close(old))
		}
	}()
	for _, name := range used(c.Zap.Chain) {
		if err := a.add(c, name, old, log); err != nil {
			return nil, fmt.Errorf("auth.%s: %w", name, err)
		}
	}
	options := zap.ChainOptions{
		Timeout: c.Zap.Timeout,
		Cache:   zap.CacheOptions{TTL: c.Zap.Cache},
		Logger:  log,
		Observe: observe,
	}
	for _, e := range c.Zap.Chain {
		entry, err := newEntry(c, e, a.made)
		if err != nil {
			return nil, err
		}
		options.Entries = append(options.Entries, entry)
	}
	a.Chain, err = zap.NewChain(options)
	return a, err
}

// add makes the authenticator called name, or takes it over from old.
func (a *authentication) add(c *config.Config, name string, old *authentication, log *slog.Logger) error {
	recipe, lasts := recipeOf(c.Auth[name].Settings)
	if lasts {
		a.recipes[name] = recipe
		if old != nil && old.made[name] != nil && reflect.DeepEqual(recipe, old.recipes[name]) {
			a.made[name] = old.made[name]
			if s, ok := c.Auth[name].Settings.(*config.TokenEndpoint); ok && s.IdentityMap != "" {
				a.stores[s.Store] = old.stores[s.Store]
			}
			return nil
		}
	}
	made, err := a.newAuthenticator(c, c.Auth[name], old, log)
	if err == nil {
		a.made[name] = made
	}
	return err
}

// used lists the names that the chain mentions, each once.
func used(chain []config.ChainEntry) []string {
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
func newEntry(c *config.Config, e config.ChainEntry, made map[string]any) (zap.Entry, error) {
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
func (a *authentication) newAuthenticator(c *config.Config, of config.Auth, old *authentication, log *slog.Logger) (any, error) {
	switch s := of.Settings.(type) {
	case *config.Htpasswd:
		return htpasswd.New(htpasswd.Options{File: string(s.File), Logger: log})
	case *config.IP:
		return ip.New(ip.Options{
			Allow:        s.Allow,
			Deny:         s.Deny,
			TagMasks:     s.TagMasks,
			DefaultMasks: s.DefaultMasks,
		})
	case *config.Anonymous:
		return anonymous.New(), nil
	case *config.Curve:
		return curvekeys.New(curvekeys.Options{Dir: string(s.Dir), Logger: log})
	case *config.Certificate:
		o := certificate.Options{}
		for _, field := range s.UserFrom {
			o.UserFrom = append(o.UserFrom, certificate.Field(field))
		}
		return certificate.New(o)
	case *config.Remote:
		return newRemote(s)
	case *config.JWT:
		return newJWT(s, log)
	case *config.HTTP:
		return newHTTP(s)
	case *config.TokenEndpoint:
		return a.newTokenEndpoint(s, old)
	}
	return nil, fmt.Errorf("type %q is not known", of.Type)
}

// newRemote makes the client of a ZAP handler elsewhere.
func newRemote(s *config.Remote) (*remote.Client, error) {
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

// newJWT makes the authenticator of one issuer's tokens.
func newJWT(s *config.JWT, log *slog.Logger) (*jwt.Authenticator, error) {
	o, err := s.Options()
	if err != nil {
		return nil, err
	}
	o.Logger = log
	return jwt.New(o)
}

// close ends the chain, then what it asks, but for what kept has taken over, or has given;
// kept may be nil. Closing again does nothing.
func (a *authentication) close(kept *authentication) (err error) {
	if kept == nil {
		kept = new(authentication)
	}
	a.closing.Do(func() {
		var errs []error
		if a.Chain != nil {
			errs = append(errs, a.Chain.Close())
		}
		for name, made := range a.made {
			if c, ok := made.(io.Closer); ok && kept.made[name] != made {
				errs = append(errs, c.Close())
			}
		}
		for file, store := range a.stores {
			if kept.stores[file] != store {
				errs = append(errs, store.Close())
			}
		}
		err = errors.Join(errs...)
	})
	return err
}

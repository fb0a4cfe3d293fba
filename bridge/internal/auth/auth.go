package auth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

// Options are what [New] needs beside the configuration.
type Options struct {
	// Handler, if not nil, decides on every login instead of zap.chain. If it is a
	// [zap.Revoker], logins end when it revokes them.
	Handler zap.Handler
	// Logger gets a line for every decision and no secret. Nil means slog.Default().
	Logger *slog.Logger
	// Observe, if not nil, is called with every decision; see [zap.ChainOptions].
	Observe func(entry string, status zap.Status)
}

// handlerEntry is the name of the only entry of a chain that asks [Options.Handler], in logs
// and metrics.
const handlerEntry = "handler"

// Chain is the ZAP chain of one configuration, with its authenticators. It is safe for
// concurrent use.
type Chain struct {
	*zap.Chain
	authenticators map[string]any // by the name in [auth.NAME]
	recipes        map[string]recipe
	stores         map[config.Path]*tokenendpoint.Identities
	closing        sync.Once
}

// New builds the chain of c. Clients of HTTP services whose settings and files are those of
// previous, the chain before a reload, are taken over with everything they have cached, and
// so are open identity stores; previous may be nil. If New fails it closes what it has
// built. The caller calls Close.
func New(c *config.Config, previous *Chain, o Options) (_ *Chain, err error) {
	a := &Chain{
		authenticators: make(map[string]any),
		recipes:        make(map[string]recipe),
		stores:         make(map[config.Path]*tokenendpoint.Identities),
	}
	if previous == nil {
		previous = new(Chain)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(previous))
		}
	}()
	entries, err := a.entries(c, previous, o)
	if err != nil {
		return nil, err
	}
	a.Chain, err = zap.NewChain(zap.ChainOptions{
		Entries: entries,
		Timeout: c.Zap.Timeout,
		Cache:   zap.CacheOptions{TTL: c.Zap.Cache},
		Logger:  o.Logger,
		Observe: o.Observe,
	})
	return a, err
}

// entries builds the authenticators and the entries of the chain that ask them.
func (a *Chain) entries(c *config.Config, previous *Chain, o Options) ([]zap.Entry, error) {
	if o.Handler != nil {
		return []zap.Entry{{Name: handlerEntry, Handler: o.Handler}}, nil
	}
	for _, name := range named(c.Zap.Chain) {
		if err := a.add(c, name, previous, o.Logger); err != nil {
			return nil, fmt.Errorf("auth.%s: %w", name, err)
		}
	}
	var entries []zap.Entry
	for _, e := range c.Zap.Chain {
		entry, err := a.entry(c, e)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// named lists the authenticators that the chain names, each once.
func named(chain []config.ChainEntry) []string {
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

// entry builds one entry of the chain. One without domains answers for all domains of
// clients, but not for those of backends that connect to a bind endpoint.
func (a *Chain) entry(c *config.Config, e config.ChainEntry) (zap.Entry, error) {
	handler, ok := a.authenticators[e.Authn].(zap.Handler)
	if !ok {
		return zap.Entry{}, fmt.Errorf("zap.chain: %q cannot authenticate", e.Authn)
	}
	entry := zap.Entry{Name: e.Authn, Handler: handler, Domains: e.Domains, UserPrefix: c.Auth[e.Authn].UserPrefix}
	if len(entry.Domains) == 0 {
		entry.Domains = c.ClientDomains()
	}
	for _, name := range e.Authz {
		authorizer, ok := a.authenticators[name].(zap.Authorizer)
		if !ok {
			return zap.Entry{}, fmt.Errorf("zap.chain: %q cannot authorize", name)
		}
		entry.Authz = append(entry.Authz, authorizer)
	}
	return entry, nil
}

// add builds the authenticator called name, or takes it over from previous.
func (a *Chain) add(c *config.Config, name string, previous *Chain, log *slog.Logger) error {
	recipe, lasts := recipeOf(c.Auth[name].Settings)
	if lasts {
		a.recipes[name] = recipe
		if made := previous.authenticators[name]; made != nil && recipe.equal(previous.recipes[name]) {
			a.authenticators[name] = made
			if s, ok := c.Auth[name].Settings.(*config.TokenEndpoint); ok && s.IdentityMap != "" {
				a.stores[s.Store] = previous.stores[s.Store]
			}
			return nil
		}
	}
	made, err := a.build(c.Auth[name], previous, log)
	if err == nil {
		a.authenticators[name] = made
	}
	return err
}

// Close closes the chain, then its authenticators and stores, except those that kept uses
// too; kept may be nil. It may be called more than once: only the first call closes.
func (a *Chain) Close(kept *Chain) (err error) {
	if kept == nil {
		kept = new(Chain)
	}
	a.closing.Do(func() {
		var errs []error
		if a.Chain != nil {
			errs = append(errs, a.Chain.Close())
		}
		for name, made := range a.authenticators {
			if c, ok := made.(io.Closer); ok && kept.authenticators[name] != made {
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

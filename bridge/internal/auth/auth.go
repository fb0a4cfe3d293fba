package auth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

// Options are what [New] needs beside the configuration.
type Options struct {
	// Handler, if not nil, decides on every login instead of zap.chain. If it is a
	// [zap.Revoker], logins end when it revokes them.
	Handler zap.Handler
	// Logger gets a line for every login that is accepted and no secret: refusals are for the caller to
	// record. Nil means slog.Default().
	Logger *slog.Logger
	// Observe, if not nil, is called with every decision; see [zap.ChainOptions].
	Observe func(entry string, status zap.Status, took time.Duration)
	// Entry, if not nil, is called with the name of each entry of the chain, before any decision.
	Entry func(name string)
	// Waiting, if not nil, is called when a login begins to wait for a free processor, and
	// the function that it returns when the wait has ended.
	Waiting func() (done func())
	// Exclusive, if not nil, is called before files are opened that one process only can have open.
	Exclusive func() error
}

// handlerEntry is the name of the only entry of a chain that asks [Options.Handler], in logs
// and metrics.
const handlerEntry = "handler"

// Chain is the ZAP chain of one configuration, with its authenticators. It is safe for
// concurrent use.
type Chain struct {
	*zap.Chain
	authenticators map[string]authenticator // by the name in [auth.NAME]
	authns         []string                 // those that judge logins of clients, each once
	stores         map[config.Path]*tokenendpoint.Identities
	closing        sync.Once
	released       atomic.Bool // the stores are another process's
}

// authenticator is one that was built from an [auth.NAME] table.
type authenticator struct {
	kind        string      // the type in the configuration
	built       any         // a zap.Handler, a zap.Authorizer or both
	fingerprint string      // of the settings, see config.AuthKind
	store       config.Path // of identities; empty without
}

// New builds the chain of c. Clients of HTTP services whose settings and files are those of
// previous, the chain before a reload, are taken over with everything they have cached, and
// so are open identity stores; previous may be nil. If New fails it closes what it has
// built. The caller calls Close.
func New(c *config.Config, previous *Chain, o Options) (_ *Chain, err error) {
	a := &Chain{
		authenticators: make(map[string]authenticator),
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
	for i := range entries {
		if o.Entry != nil {
			o.Entry(entries[i].Name)
		}
	}
	a.Chain, err = zap.NewChain(zap.ChainOptions{
		Entries:     entries,
		Timeout:     c.Zap.Timeout,
		Cache:       zap.CacheOptions{TTL: c.Zap.Cache},
		Logger:      o.Logger,
		LogAccepted: true,
		Observe:     o.Observe,
	})
	return a, err
}

// entries builds the authenticators and the entries of the chain that ask them.
func (a *Chain) entries(c *config.Config, previous *Chain, o Options) ([]zap.Entry, error) {
	if o.Handler != nil {
		return []zap.Entry{{Name: handlerEntry, Handler: o.Handler}}, nil
	}
	for _, name := range named(c.Zap.Chain) {
		if err := a.add(c, name, previous, o); err != nil {
			return nil, fmt.Errorf("auth.%s: %w", name, err)
		}
	}
	var entries []zap.Entry
	for _, e := range c.Zap.Chain {
		if !slices.Contains(a.authns, e.Authn) && judgesClients(c, e) {
			a.authns = append(a.authns, e.Authn)
		}
		entry, err := a.entry(c, e)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// judgesClients reports whether an entry answers for a domain of clients.
func judgesClients(c *config.Config, e config.ChainEntry) bool {
	return len(e.Domains) == 0 || slices.ContainsFunc(c.ClientDomains(), func(d string) bool { return slices.Contains(e.Domains, d) })
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
	handler, ok := a.authenticators[e.Authn].built.(zap.Handler)
	if !ok {
		return zap.Entry{}, fmt.Errorf("zap.chain: %q cannot authenticate", e.Authn)
	}
	entry := zap.Entry{Name: e.Authn, Handler: handler, Domains: e.Domains, UserPrefix: c.Auth[e.Authn].UserPrefix}
	if len(entry.Domains) == 0 {
		entry.Domains = c.ClientDomains()
	}
	for _, name := range e.Authz {
		authorizer, ok := a.authenticators[name].built.(zap.Authorizer)
		if !ok {
			return zap.Entry{}, fmt.Errorf("zap.chain: %q cannot authorize", name)
		}
		entry.Authz = append(entry.Authz, authorizer)
	}
	return entry, nil
}

// Files returns, for each authenticator that reads its users from a file or a directory, why
// that cannot be read at present, so that nobody can log in by it; nil if it can.
func (a *Chain) Files() map[string]error {
	files := make(map[string]error)
	if a == nil {
		return files
	}
	for name, au := range a.authenticators {
		if f, ok := au.built.(interface{ Err() error }); ok {
			files[name] = f.Err()
		}
	}
	return files
}

// Unable returns why an authenticator of the chain cannot judge logins at present, by its name and
// with what is wrong about it: "htpasswd unreadable: users". all reports whether that is so for every
// one, so that no login can be judged.
func (a *Chain) Unable() (why []string, all bool) {
	if a == nil || len(a.authns) == 0 {
		return nil, false
	}
	all = true
	for _, name := range a.authns {
		switch built := a.authenticators[name].built.(type) {
		case interface{ Err() error }:
			if built.Err() != nil {
				why = append(why, fmt.Sprintf("%s unreadable: %s", a.authenticators[name].kind, name))
				continue
			}
		case interface{ Keyless() error }:
			if built.Keyless() != nil {
				why = append(why, fmt.Sprintf("%s without keys: %s", a.authenticators[name].kind, name))
				continue
			}
		}
		all = false
	}
	return why, all
}

// Backlog returns how long the logins that wait for a free processor will take.
func (a *Chain) Backlog() (longest time.Duration) {
	if a == nil {
		return 0
	}
	for _, au := range a.authenticators {
		if b, ok := au.built.(interface{ Backlog() time.Duration }); ok {
			longest = max(longest, b.Backlog())
		}
	}
	return longest
}

// add builds the authenticator called name, or takes it over from previous.
func (a *Chain) add(c *config.Config, name string, previous *Chain, o Options) error {
	next := authenticator{kind: c.Auth[name].Type}
	if settings := c.Auth[name].Settings; settings != nil {
		next.fingerprint = settings.Fingerprint()
	}
	if next.fingerprint != "" && c.Server.InsecureFileModes {
		next.fingerprint += " insecure_file_modes"
	}
	old := previous.authenticators[name]
	if old.built != nil && next.fingerprint != "" && next.fingerprint == old.fingerprint && !(previous.released.Load() && old.store != "") {
		a.authenticators[name] = old
		if old.store != "" {
			a.stores[old.store] = previous.stores[old.store]
		}
		return nil
	}
	var err error
	next.built, err = build(c.Auth[name], deps{log: o.Logger, waiting: o.Waiting, private: c.Server.Private(), store: func(file config.Path) (*tokenendpoint.Identities, error) {
		next.store = file
		return a.openStore(file, previous, o.Exclusive)
	}})
	if err == nil {
		a.authenticators[name] = next
	}
	return err
}

// Close closes the chain, then its authenticators and stores, except those that kept uses
// too; a and kept may be nil. It may be called more than once: only the first call closes.
func (a *Chain) Close(kept *Chain) (err error) {
	if a == nil {
		return nil
	}
	if kept == nil {
		kept = new(Chain)
	}
	a.closing.Do(func() {
		var errs []error
		if a.Chain != nil {
			errs = append(errs, a.Chain.Close())
		}
		for name, old := range a.authenticators {
			if c, ok := old.built.(io.Closer); ok && kept.authenticators[name].built != old.built {
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

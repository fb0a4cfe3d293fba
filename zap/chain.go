package zap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Entry is one step of a [Chain]: who authenticates, and who has to agree.
type Entry struct {
	// Name tells the entry apart in logs, metrics and [Reply.Authenticator]. Required.
	Name string
	// Handler authenticates. Required.
	Handler Handler
	// Authz look at a login that Handler has accepted, in order; one that does not agree
	// ends the chain with 400, one that fails with 300.
	Authz []Authorizer
	// Domains are the ZAP domains that the entry answers for; none means all of them.
	Domains []string
	// UserPrefix is put before every user id that is not empty, so that users of two
	// authenticators with the same name stay apart.
	UserPrefix string
}

// The defaults of [ChainOptions].
const (
	DefaultTimeout    = 5 * time.Second
	DefaultMaxPending = 10000
)

// ChainOptions describe a [Chain].
type ChainOptions struct {
	// Entries are asked in order. A chain without entries refuses everybody.
	Entries []Entry
	// Timeout is how long all entries together may take; 0 means [DefaultTimeout]. A
	// later answer counts as 300, even from a handler that does not heed its context.
	Timeout time.Duration
	// MaxPending is how many requests may be with the entries at the same time; 0 means
	// [DefaultMaxPending]. One more is answered with 300 at once.
	MaxPending int
	// Cache says how long answers are reused. With a zero TTL none is.
	Cache CacheOptions
	// Logger gets a line for every decision: who, where from, what and why, and no
	// secret. Nil means slog.Default().
	Logger *slog.Logger
	// Observe, if not nil, is called with every decision, answers from the cache
	// included. The entry is empty if none decided. It must not block.
	Observe func(entry string, status Status)
}

// Chain is a [Handler] that asks its entries in order; the first that answers decides.
//
// An entry that passes ([ErrPass]) leaves the decision to the next, and so does one that
// is not for the request's domain. A reply, whatever its status, ends the chain, and so
// does an authorizer that refuses. An error ends it with 300. If nobody answers the
// request is refused.
//
// A Chain is a [Revoker] and is safe for concurrent use.
type Chain struct {
	entries []Entry
	timeout time.Duration
	slots   chan struct{} // one for each request that is with the entries
	handler Handler       // the entries, behind the cache if there is one
	cache   *Cache        // nil without one
	log     *slog.Logger
	observe func(string, Status)
	changes Changes
	stops   []func() // registrations with the entries' Revokers
	closing sync.Once
}

// NewChain checks the options and makes a chain, which the caller closes. The chain does
// not close its entries' handlers: whoever made them does, after the chain.
func NewChain(o ChainOptions) (*Chain, error) {
	for i, e := range o.Entries {
		switch {
		case e.Name == "":
			return nil, fmt.Errorf("zap: chain entry %d has no name", i+1)
		case e.Handler == nil:
			return nil, fmt.Errorf("zap: chain entry %q has no handler", e.Name)
		case slices.Contains(e.Authz, Authorizer(nil)):
			return nil, fmt.Errorf("zap: chain entry %q has an authorizer that is nil", e.Name)
		case slices.Contains(e.Domains, ""):
			return nil, fmt.Errorf("zap: chain entry %q names an empty domain", e.Name)
		}
	}
	if o.Timeout < 0 || o.MaxPending < 0 {
		return nil, fmt.Errorf("zap: chain with a timeout of %v and %d pending requests: neither may be negative", o.Timeout, o.MaxPending)
	}
	c := &Chain{
		entries: slices.Clone(o.Entries),
		timeout: cmp.Or(o.Timeout, DefaultTimeout),
		slots:   make(chan struct{}, cmp.Or(o.MaxPending, DefaultMaxPending)),
		log:     o.Logger,
		observe: o.Observe,
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	c.handler = HandlerFunc(c.attempt)
	if o.Cache.TTL != 0 {
		cache, err := NewCache(c.handler, o.Cache)
		if err != nil {
			return nil, err
		}
		c.cache, c.handler = cache, cache
	}
	c.follow()
	return c, nil
}

// Authenticate asks the entries and always returns a reply, never an error.
func (c *Chain) Authenticate(ctx context.Context, req *Request) (*Reply, error) {
	reply := Decide(ctx, c.handler, req)
	c.note(ctx, req, reply)
	return reply, nil
}

// attempt asks the entries in a goroutine of its own, so that a handler that does not heed
// its context holds up nobody but itself, and keeps one of the slots until it comes back.
func (c *Chain) attempt(ctx context.Context, req *Request) (*Reply, error) {
	select {
	case c.slots <- struct{}{}:
	default:
		return nil, fmt.Errorf("%d requests are under way already, or the chain is closed", cap(c.slots))
	}
	late := fmt.Errorf("no decision within %v: %w", c.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, late)
	defer cancel()
	req = req.clone() // the caller may reuse its memory when we return before the handler does
	result := make(chan *Reply, 1)
	go func() {
		defer func() { <-c.slots }()
		result <- c.decide(ctx, req)
	}()
	select {
	case reply := <-result:
		return reply, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// decide goes through the entries until one of them answers.
func (c *Chain) decide(ctx context.Context, req *Request) *Reply {
	var pass error = &PassError{Reason: "no entry of the chain is for this domain"}
	for i := range c.entries {
		e := &c.entries[i]
		if !e.answersFor(req.Domain) {
			continue
		}
		reply, err := ask(ctx, e.Handler, req)
		if errors.Is(err, ErrPass) {
			pass = heavier(pass, err)
			continue
		}
		return e.conclude(ctx, req, reply, err)
	}
	return refuse(ctx, pass)
}

// heavier returns the first of two passes that asks for work, so that a request which
// several handlers passed costs the work of one, as it would have cost had one refused.
func heavier(a, b error) error {
	var p *PassError
	if errors.As(a, &p) && p.Work != nil {
		return a
	}
	return b
}

// answersFor tells whether the entry is for a domain.
func (e *Entry) answersFor(domain string) bool {
	return len(e.Domains) == 0 || slices.Contains(e.Domains, domain)
}

// user is what the chain calls the user of a reply of the entry's handler.
func (e *Entry) user(reply *Reply) string {
	if reply.UserID == "" {
		return ""
	}
	return e.UserPrefix + reply.UserID
}

// conclude makes of what the entry's handler answered the decision of the chain.
func (e *Entry) conclude(ctx context.Context, req *Request, reply *Reply, err error) *Reply {
	var decision Reply
	switch {
	case err != nil:
		decision = *undecided(err)
	case reply.Status != OK:
		decision = *reply
	default:
		decision = *reply
		decision.Basis = newChainBasis(e, req, reply)
		decision.Grants = slices.Clip(reply.Grants) // authorizers may add theirs
		decision.UserID = e.user(reply)
		for _, a := range e.Authz {
			if err := agree(ctx, a, req, &decision); errors.Is(err, ErrDenied) {
				decision = Reply{Status: Refused, Text: err.Error(), Cause: err}
				break
			} else if err != nil {
				decision = *undecided(err)
				break
			}
		}
	}
	decision.Authenticator = e.Name
	return &decision
}

// agree asks one authorizer. One that panics, or comes too late, has not agreed.
func agree(ctx context.Context, a Authorizer, req *Request, reply *Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("authorizer panicked: %v", p)
		}
	}()
	if err := a.Authorize(ctx, req, reply); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// note logs and counts a decision. The name that a refused peer claimed is not logged: it
// may be a password in the wrong field. Handlers name known users in their texts.
func (c *Chain) note(ctx context.Context, req *Request, reply *Reply) {
	if c.observe != nil {
		c.observe(reply.Authenticator, reply.Status)
	}
	level, message := slog.LevelInfo, "login refused"
	switch reply.Status {
	case OK:
		message = "login accepted"
	case Temporary:
		level, message = slog.LevelWarn, "login not decided"
	case Internal:
		level, message = slog.LevelError, "login handler failed"
	}
	c.log.LogAttrs(ctx, level, message,
		slog.Int("status", int(reply.Status)),
		slog.String("authenticator", reply.Authenticator),
		slog.String("domain", req.Domain),
		slog.String("mechanism", string(req.Mechanism)),
		slog.String("address", req.Address),
		slog.String("user", reply.UserID),
		slog.String("text", reply.Text))
}

// follow registers with every entry whose users can change.
func (c *Chain) follow() {
	for _, e := range c.entries {
		if r, ok := e.Handler.(Revoker); ok {
			c.stops = append(c.stops, r.OnChange(func() {
				c.Forget()
				c.changes.Notify()
			}))
		}
	}
}

// Forget drops every cached answer. It need not be called for changes of a [Revoker].
func (c *Chain) Forget() {
	if c.cache != nil {
		c.cache.Clear()
	}
}

// OnChange has f called after the users of any entry have changed. The cache has been
// cleared by then.
func (c *Chain) OnChange(f func()) (stop func()) { return c.changes.OnChange(f) }

// Revoked tells whether a login that this chain, or the one before a reload, let in would
// be refused now: its entry is gone, is no more for the domain or calls the user otherwise,
// or the entry's handler or a [Reviewer] says so.
func (c *Chain) Revoked(reply *Reply) bool {
	g, ok := reply.Basis.(chainBasis)
	if !ok {
		return true
	}
	e := c.entryOf(reply, g)
	return e == nil || !e.stands(reply, g)
}

// Unasked tells whether a login that is not Revoked needs, since a reload, the consent of an
// authorizer that was not asked: only a new login tells.
func (c *Chain) Unasked(reply *Reply) bool {
	g, ok := reply.Basis.(chainBasis)
	if !ok {
		return true
	}
	e := c.entryOf(reply, g)
	return e == nil || !e.askedAll(g)
}

// entryOf finds the entry that the login would come to now, the first of that name which is
// for the domain; nil if there is none.
func (c *Chain) entryOf(reply *Reply, g chainBasis) *Entry {
	for i := range c.entries {
		if e := &c.entries[i]; e.Name == reply.Authenticator && e.answersFor(g.peer.Domain) {
			return e
		}
	}
	return nil
}

// Close refuses further requests and waits until no handler is at work, at most for the
// chain's timeout; the error says how many handlers have not come back. It may be called
// more than once.
func (c *Chain) Close() (err error) {
	c.closing.Do(func() {
		for _, stop := range c.stops {
			stop()
		}
		err = c.drain()
		if c.cache != nil {
			c.cache.Close()
		}
	})
	return err
}

// drain takes all slots, for good.
func (c *Chain) drain() error {
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	for taken := range cap(c.slots) {
		select {
		case c.slots <- struct{}{}:
		case <-timer.C:
			return fmt.Errorf("zap: %d requests are still with handlers that do not heed their context", cap(c.slots)-taken)
		}
	}
	return nil
}

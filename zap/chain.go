package zap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zap/internal/fair"
)

// Entry is one step of a [Chain]: a handler, and the authorizers that have to agree.
type Entry struct {
	// Name identifies the entry in logs, metrics and [Reply.Authenticator]. Required.
	Name string
	// Handler authenticates. Required.
	Handler Handler
	// Authz examine, in order, a login that Handler has accepted. One that denies it ends
	// the chain with 400, one that fails with 300.
	Authz []Authorizer
	// Domains are the ZAP domains that the entry answers for; none means all.
	Domains []string
	// UserPrefix is prepended to every user id that is not empty, to keep apart users of
	// the same name in two authenticators.
	UserPrefix string
}

// The defaults of [ChainOptions].
const (
	DefaultTimeout    = 5 * time.Second
	DefaultMaxPending = 10000
)

// ChainOptions configures a [Chain].
type ChainOptions struct {
	// Entries are asked in order. A chain without entries refuses everybody.
	Entries []Entry
	// Timeout limits the time that all entries together may take; 0 means
	// [DefaultTimeout]. A later reply counts as 300, even from a handler that ignores its
	// context.
	Timeout time.Duration
	// MaxPending is how many requests may be pending at the same time; 0 means
	// [DefaultMaxPending]. Further requests are answered with 300 at once. Requests with a
	// share ([WithShare]) count separately from those without, with the same limit.
	MaxPending int
	// Cache is how long replies are reused. A zero TTL disables the cache.
	Cache CacheOptions
	// Logger gets a line for every decision, with user, address, text and status but no
	// secrets. Nil means slog.Default().
	Logger *slog.Logger
	// LogAccepted leaves the lines about refusals out, for a caller that logs those itself.
	LogAccepted bool
	// Observe, if not nil, is called with every decision, including those from the cache, and
	// how long it took. The entry is empty if none decided. It must not block.
	Observe func(entry string, status Status, took time.Duration)
}

// Chain is a [Handler] that asks its entries in order; the first that replies decides.
//
// An entry that passes ([ErrPass]) or that is not for the request's domain leaves the decision
// to the next one. A reply of any status ends the chain, and so does an authorizer that
// refuses. An error ends it with 300. If no entry replies the request is refused.
//
// A Chain is a [Revoker]. It is safe for concurrent use.
type Chain struct {
	entries []Entry
	timeout time.Duration
	slots   chan struct{} // one for each pending request without a share
	shared  chan struct{} // and with one
	handler Handler       // the entries, behind the cache if there is one
	cache   *Cache        // nil if disabled
	log     *slog.Logger
	quiet   bool // ChainOptions.LogAccepted
	observe func(string, Status, time.Duration)
	changes Changes
	stops   []func() // registrations with the entries' Revokers
	closing sync.Once
	closed  atomic.Bool // also if a handler that hangs returns later
}

// NewChain checks the options and returns a chain, which the caller closes. The chain does not
// close its entries' handlers; their owner does, after the chain.
func NewChain(o ChainOptions) (*Chain, error) {
	for i, e := range o.Entries {
		switch {
		case e.Name == "":
			return nil, fmt.Errorf("zap: chain entry %d has no name", i+1)
		case e.Handler == nil:
			return nil, fmt.Errorf("zap: chain entry %q has no handler", e.Name)
		case slices.Contains(e.Authz, Authorizer(nil)):
			return nil, fmt.Errorf("zap: chain entry %q has a nil authorizer", e.Name)
		case slices.Contains(e.Domains, ""):
			return nil, fmt.Errorf("zap: chain entry %q has an empty domain", e.Name)
		}
	}
	if o.Timeout < 0 || o.MaxPending < 0 {
		return nil, fmt.Errorf("zap: chain with timeout %v and %d pending requests: must not be negative", o.Timeout, o.MaxPending)
	}
	c := &Chain{
		entries: slices.Clone(o.Entries),
		timeout: cmp.Or(o.Timeout, DefaultTimeout),
		slots:   make(chan struct{}, cmp.Or(o.MaxPending, DefaultMaxPending)),
		shared:  make(chan struct{}, cmp.Or(o.MaxPending, DefaultMaxPending)),
		log:     o.Logger,
		quiet:   o.LogAccepted,
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

// Authenticate asks the entries. It always returns a reply and never an error.
func (c *Chain) Authenticate(ctx context.Context, req *Request) (*Reply, error) {
	start := time.Now()
	reply := Decide(ctx, c.handler, req)
	c.note(ctx, req, reply, time.Since(start))
	return reply, nil
}

// attempt asks the entries in a goroutine of its own, so that a handler that ignores its
// context delays nobody else; it keeps its slot until the handler returns.
func (c *Chain) attempt(ctx context.Context, req *Request) (*Reply, error) {
	if c.closed.Load() {
		return nil, errors.New("the chain is closed")
	}
	slots := c.slots
	if fair.Share(ctx) != "" {
		slots = c.shared
	}
	select {
	case slots <- struct{}{}:
	default:
		return nil, fmt.Errorf("%d requests are pending, or the chain is closed", cap(slots))
	}
	timeout := fmt.Errorf("no decision within %v: %w", c.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, timeout)
	defer cancel()
	req = req.clone() // attempt may return before the handler, and the caller may then reuse its memory
	result := make(chan *Reply, 1)
	go func() {
		defer func() { <-slots }()
		result <- c.decide(ctx, req)
	}()
	select {
	case reply := <-result:
		return reply, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// decide asks the entries until one of them replies.
func (c *Chain) decide(ctx context.Context, req *Request) *Reply {
	var pass error = &PassError{Reason: "no entry of the chain is for this domain"}
	for i := range c.entries {
		e := &c.entries[i]
		if !e.answersFor(req.Domain) {
			continue
		}
		reply, err := guarded(ctx, e.Handler, req)
		if errors.Is(err, ErrPass) {
			pass = heavier(pass, err)
			continue
		}
		return e.conclude(ctx, req, reply, err)
	}
	return refuse(ctx, pass)
}

// heavier returns the first of two passes that has work. A request that several handlers
// passed then takes as long as one that one handler refused.
func heavier(a, b error) error {
	var p *PassError
	if errors.As(a, &p) && p.Work != nil {
		return a
	}
	return b
}

// answersFor reports whether the entry is for a domain.
func (e *Entry) answersFor(domain string) bool {
	return len(e.Domains) == 0 || slices.Contains(e.Domains, domain)
}

// user returns the chain's user id for a reply of the entry's handler.
func (e *Entry) user(reply *Reply) string {
	if reply.UserID == "" {
		return ""
	}
	return e.UserPrefix + reply.UserID
}

// conclude turns the result of the entry's handler into the decision of the chain.
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

// agree calls one authorizer. A panic and a late return are errors.
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

// note logs and counts a decision. It does not log the name that a refused peer claimed, which
// may be a password in the wrong field; handlers put the names of known users in their texts.
func (c *Chain) note(ctx context.Context, req *Request, reply *Reply, took time.Duration) {
	if c.observe != nil {
		c.observe(reply.Authenticator, reply.Status, took)
	}
	if c.quiet && reply.Status != OK {
		return
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

// follow registers with every entry that is a Revoker.
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

// Forget drops every cached reply. Changes that a [Revoker] reports do so by themselves.
func (c *Chain) Forget() {
	if c.cache != nil {
		c.cache.Clear()
	}
}

// OnChange registers f to be called after the users of any entry have changed and the cache
// has been cleared.
func (c *Chain) OnChange(f func()) (stop func()) { return c.changes.OnChange(f) }

// Revoked reports whether a login that this chain, or the one before a reload, accepted would
// be refused now: because its entry is gone, no longer answers for the domain or gives the
// user another id, or because the entry's handler or a [Reviewer] would refuse it.
func (c *Chain) Revoked(reply *Reply) bool {
	g, ok := reply.Basis.(chainBasis)
	if !ok {
		return true
	}
	e := c.entryOf(reply, g)
	return e == nil || !e.stands(reply, g)
}

// Unasked reports whether a login that is not revoked lacks, since a reload, the consent of an
// authorizer that has not examined it. Only a new login can get it.
func (c *Chain) Unasked(reply *Reply) bool {
	g, ok := reply.Basis.(chainBasis)
	if !ok {
		return true
	}
	e := c.entryOf(reply, g)
	return e == nil || !e.askedAll(g)
}

// entryOf returns the entry that would decide on the login now: the first of that name which
// answers for the domain, or nil.
func (c *Chain) entryOf(reply *Reply, g chainBasis) *Entry {
	for i := range c.entries {
		if e := &c.entries[i]; e.Name == reply.Authenticator && e.answersFor(g.peer.Domain) {
			return e
		}
	}
	return nil
}

// Close refuses further requests and waits until no handler is running, at most for the
// chain's timeout. The error reports how many handlers are still running. Close may be called
// more than once.
func (c *Chain) Close() (err error) {
	c.closing.Do(func() {
		c.closed.Store(true)
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

// drain takes all slots and keeps them.
func (c *Chain) drain() error {
	expired, stop := context.WithTimeout(context.Background(), c.timeout)
	defer stop()
	running := 0
	for _, slots := range []chan struct{}{c.slots, c.shared} {
		running += fill(expired, slots)
	}
	if running > 0 {
		return fmt.Errorf("zap: %d handlers ignore their context and are still running", running)
	}
	return nil
}

// fill fills slots until ctx ends, and returns how many are still taken by others then.
func fill(ctx context.Context, slots chan struct{}) (left int) {
	for taken := range cap(slots) {
		select {
		case slots <- struct{}{}:
			continue
		default:
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return cap(slots) - taken
		}
	}
	return 0
}

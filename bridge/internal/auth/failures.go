package auth

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// failureDelay is how long the answer to a refused login is held back after
	// freeFailures.
	failureDelay = time.Second
	// freeFailures is how many refusals an address or a user name gets without delay.
	freeFailures = 2
	// askInterval is the time between two questions to a service about tokens or keys from an
	// address that has reached the limit: one may be valid, and only the service knows.
	askInterval = 5 * time.Second
	// maxAskAdvice is the longest wait that such a login is advised.
	maxAskAdvice = 10 * time.Second
	// beyondShare is the share of such logins in connections to services.
	beyondShare = "beyond max_failures"
)

// Failures is a ZAP handler that limits refused logins per address, per user name, and per pair
// of both. IPv6 addresses of the same /64 count as one; logins with NULL are not counted. It is
// safe for concurrent use.
//
// Logins that are being judged count as refused until they are decided: one that would exceed the
// limit if all of them were refused waits, see [zap.Guard]. Beyond the limit of the address or of
// the user,
//
//   - tokens, certificates and CURVE keys are judged, since nobody can guess them. If a service has
//     to be asked, it is asked about those that it has accepted from the address in the last 24
//     hours, and about others once every askInterval;
//   - a password is judged if its user has logged in from its address in the last 24 hours and the
//     pair has fewer refused logins than the limit itself;
//   - all else is refused unasked, the right password too.
type Failures struct {
	// Observe, if not nil, is called with every decision of Authenticate and how long it took. It
	// is set before the first one, and must not block.
	Observe func(zap.Status, time.Duration)

	next  zap.Handler
	cause error
	// subjects returns what a login counts against.
	subjects func(*Failures, context.Context, *zap.Request) counted
	// early makes passwords wait before next is asked, instead of in its guard.
	early bool
	hash  hasher

	mu       sync.Mutex
	limit    int           // in a failureWindow; 0 = no limit
	patience time.Duration // how long a login without a deadline waits
	tables   [kinds]*table
	pairs    *pairs        // that have logged in
	waiting  int           // logins
	judged   time.Duration // how long a judgement takes, on average
}

// counted is what a login counts against.
type counted struct {
	limited []subject // its address, its user
	pair    subject   // its user and address; what cannot be guessed, and its address
	guess   bool      // the credentials can be guessed
}

// NewFailures returns a handler that asks next unless the limit forbids it: such a request gets
// 300 with cause as [zap.Reply.Cause]. Logins are not limited until SetLimit is called.
func NewFailures(next zap.Handler, cause error) *Failures {
	f := &Failures{
		next: next, cause: cause, subjects: clientSubjects, hash: newHasher(),
		patience: zap.DefaultTimeout, pairs: newPairs(),
	}
	for k := range f.tables {
		f.tables[k] = newTable()
	}
	return f
}

// SetLimit sets how many refused logins a minute an address, a user name or a pair of them may
// have, 0 means no limit; and how long a login may take that has no deadline of its own.
func (f *Failures) SetLimit(max int, timeout time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit, f.patience = max, timeout
	for _, tb := range f.tables {
		for _, t := range tb.tallies {
			f.advance(t)
		}
	}
}

// Authenticate judges a login. It holds back the answer for a second if it is the third refusal
// or a later one. It always returns a reply, never an error.
func (f *Failures) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	start := time.Now()
	reply := f.judge(ctx, req)
	if f.Observe != nil {
		f.Observe(reply.Status, time.Since(start))
	}
	return reply, nil
}

func (f *Failures) judge(ctx context.Context, req *zap.Request) *zap.Reply {
	a := &attempt{failures: f, counted: f.subjects(f, ctx, req)}
	if err := a.forbidden(); err != nil {
		if a.guess || req.Mechanism == zap.NULL {
			return unasked(err)
		}
		ctx = zap.WithShare(ctx, beyondShare)
	}
	if req.Mechanism == zap.NULL {
		return zap.Decide(ctx, f.next, req)
	}
	if f.early && a.guess {
		if err := a.Enter(ctx); err != nil {
			return unasked(err)
		}
	}
	reply := zap.Decide(zap.WithGuard(ctx, a), f.next, req)
	late := a.finish(ctx, reply.Status)
	if f.early && a.guess {
		a.Leave()
	}
	holdBack(ctx, late)
	return reply
}

// AuthenticateToken is Authenticate for a BEARER request at the operators' interface, whose token
// can also be the operators' own: is compares them. That token can be guessed, so it is limited
// like a password that all operators at an address share. matched reports whether it was right,
// in which case reply is nil.
func (f *Failures) AuthenticateToken(ctx context.Context, req *zap.Request, is func() bool) (reply *zap.Reply, matched bool) {
	a := &attempt{failures: f, counted: f.subjects(f, ctx, req)}
	own := &attempt{failures: f, counted: counted{limited: a.limited, pair: f.operators(req), guess: true}}
	blocked := own.Enter(ctx)
	switch {
	case blocked == nil && is():
		own.finish(ctx, zap.OK)
		own.Leave()
		return nil, true
	case blocked == nil:
		f.miss(own.pair)
		own.finish(ctx, zap.Temporary)
		own.Leave()
	case !errors.Is(blocked, f.cause):
		return unasked(blocked), false
	}
	reply = zap.Decide(zap.WithGuard(ctx, a), f.next, req)
	late := a.finish(ctx, reply.Status)
	switch {
	case blocked == nil && reply.Status == zap.OK:
		f.pardon(own.pair)
	case blocked != nil && reply.Status == zap.Refused: // not compared
		reply = unasked(blocked)
	}
	holdBack(ctx, late)
	return reply, false
}

// operators returns the subject of guesses at the operators' token from an address.
func (f *Failures) operators(req *zap.Request) subject {
	address := req.Address
	if ip, ok := req.IP(); ok {
		address = addressName(ip)
	}
	return f.hash.subject(byPair, "", "", address)
}

// Attempt limits a login from an address that a service outside of the chain decides on, by a code
// that nobody can guess: whoever asks the service enters the guard of the returned context. The
// caller calls done with the decision, which counts only if somebody has entered it.
func (f *Failures) Attempt(ctx context.Context, from netip.Addr) (guarded context.Context, done func(zap.Status)) {
	a := &attempt{failures: f}
	if from.IsValid() {
		a.limited = []subject{f.hash.subject(byAddress, addressName(from))}
	}
	return zap.WithGuard(ctx, a), func(s zap.Status) {
		if !a.entered() {
			s = zap.Temporary
		}
		a.finish(ctx, s)
	}
}

// holdBack waits for failureDelay, if late.
func holdBack(ctx context.Context, late bool) {
	if !late {
		return
	}
	delay := time.NewTimer(failureDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-ctx.Done():
	}
}

// unasked returns the reply to a login that was not judged.
func unasked(err error) *zap.Reply {
	return &zap.Reply{Status: zap.Temporary, Text: err.Error(), Cause: err}
}

// clientSubjects returns what a login of a client counts against: its address and, with a
// password, the user name and the pair of both.
func clientSubjects(f *Failures, _ context.Context, req *zap.Request) (c counted) {
	address := ""
	if a, ok := req.IP(); ok {
		address = addressName(a)
		c.limited = append(c.limited, f.hash.subject(byAddress, address))
	}
	user, _, ok := req.Plain()
	if !ok {
		c.pair = f.credentials(req, address)
		return c
	}
	if user != "" {
		c.limited = append(c.limited, f.hash.subject(byUser, user))
	}
	c.pair, c.guess = f.hash.subject(byPair, user, address), true
	return c
}

// credentials returns the subject of credentials that cannot be guessed.
func (f *Failures) credentials(req *zap.Request, address string) subject {
	names := []string{string(req.Mechanism), address}
	for _, frame := range req.Credentials {
		names = append(names, string(frame))
	}
	return f.hash.subject(byPair, names...)
}

func addressName(a netip.Addr) string { return clientaddr.Network(a).String() }

// LimitStats are what a [Failures] counts at present.
type LimitStats struct {
	Tracked map[string]int // addresses, users and pairs with refused logins
	Blocked map[string]int // those of them that have reached the limit
	Known   int            // pairs that have logged in
	Waiting int            // logins that wait until others are decided
}

// Stats returns what is counted at present.
func (f *Failures) Stats() LimitStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := LimitStats{Tracked: make(map[string]int), Blocked: make(map[string]int), Known: len(f.pairs.known), Waiting: f.waiting}
	for k, name := range [kinds]string{"address", "user", "pair"} {
		s.Tracked[name] = f.tables[k].byAge.Len()
		s.Blocked[name] = 0
		if f.limit > 0 {
			s.Blocked[name] = f.tables[k].atLimit(f.limit)
		}
	}
	return s
}

// QueueFull reports whether more than half of the places for waiting logins are taken.
func (f *Failures) QueueFull() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting > maxWaiting/2
}

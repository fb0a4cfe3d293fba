package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	// askedShare is the share of hashing and of connections to services that questions on
	// zap.listen have; the other one is that of clients.
	askedShare = "zap.listen"
	// maxAsked is how many questions on zap.listen are judged at the same time. Servers that
	// ask wait for their turns.
	maxAsked = 32
)

// asked is the handler that native servers ask on zap.listen. It restricts the domains,
// limits refused logins per asker and per user name at an address, and keeps questions from
// delaying the logins of clients.
type asked struct {
	rules    atomic.Pointer[askedRules]
	failures *Failures
	refusals *refusal.Recorder
}

// askedRules can change while the endpoints are open.
type askedRules struct {
	domain  string   // of questions without one
	domains []string // that may be asked about; empty means all
}

func newAsked(handler zap.Handler, refusals *refusal.Recorder) *asked {
	f := NewFailures(inTurn{inDomain{handler}, zap.NewTurns(maxAsked)}, errAskedTooOften)
	f.subjects, f.early = askedSubjects, true // early: a login that waits does not use up a turn
	return &asked{failures: f, refusals: refusals}
}

var errAskedTooOften = errors.New("too many refused logins on zap.listen")

// emptyDomain returns the domain of a question without one.
func (a *asked) emptyDomain() string { return a.rules.Load().domain }

// Authenticate implements [zap.Handler].
func (a *asked) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	reply, err := a.judge(ctx, req)
	if err == nil && reply.Status != zap.OK {
		a.refused(ctx, req, reply)
	}
	return reply, err
}

// refused records a login that was refused.
func (a *asked) refused(ctx context.Context, req *zap.Request, reply *zap.Reply) {
	f := refusal.Because(refusal.Question, &zmtp.RefusedError{Status: reply.Status, Reason: reply.Text, Err: reply.Cause, Authenticator: reply.Authenticator})
	f.User, f.Address = refusal.Claimed(req.Mechanism, req.Credentials), req.Address
	f.Mechanism, f.Asker = string(req.Mechanism), remote.Asker(ctx)
	a.refusals.Add(f)
}

func (a *asked) judge(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	if domains := a.rules.Load().domains; len(domains) > 0 && !slices.Contains(domains, req.Domain) {
		return &zap.Reply{Status: zap.Refused, Text: fmt.Sprintf("domain %q cannot be asked about on zap.listen", req.Domain)}, nil
	}
	return a.failures.Authenticate(ctx, req)
}

// askedSubjects returns what a login counts against: the server that asks instead of an address,
// and the user name at the address that it asks about instead of a user.
func askedSubjects(f *Failures, ctx context.Context, req *zap.Request) counted {
	user, _, guess := req.Plain()
	address := req.Address // native servers put there what they like
	if ip, ok := req.IP(); ok {
		address = addressName(ip)
	}
	asker := remote.Asker(ctx)
	c := counted{
		limited: []subject{f.hash.subject(byAddress, asker), f.hash.subject(byUser, user, address)},
		pair:    f.hash.subject(byPair, asker, user, address),
		guess:   guess,
	}
	if !guess {
		c.pair = f.credentials(req, asker)
	}
	return c
}

// inTurn asks the next handler about a few requests at a time, one asker after the other.
type inTurn struct {
	next  zap.Handler
	turns *zap.Turns
}

// Authenticate implements [zap.Handler].
func (t inTurn) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	if err := t.turns.Wait(zap.WithShare(ctx, remote.Asker(ctx))); err != nil {
		return nil, err
	}
	defer t.turns.Done()
	return t.next.Authenticate(zap.WithShare(ctx, askedShare), req)
}

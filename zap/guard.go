package zap

import "context"

// Guard limits how many credentials of one peer or user are judged at the same time, so that
// refused logins can be counted before the next one is judged. It belongs to one login. All
// methods may be called concurrently.
type Guard interface {
	// Enter waits until the credentials may be judged. With an error they must not be; the
	// caller returns it. Without one the caller calls Leave after the judgement.
	Enter(ctx context.Context) error
	// TryEnter is Enter without the wait: ok is false if it would have to wait.
	TryEnter() (ok bool, err error)
	// Leave ends a judgement.
	Leave()
}

// Guarded is implemented by a [Handler] that enters the guard of its context ([GuardOf]) by
// itself, just before it compares a password or asks a service: so a login that it passes, or
// knows the answer to, does not wait. A handler that judges only credentials that nobody can
// guess, and asks no service, need not enter it. A [Chain] enters the guard for all other
// handlers.
type Guarded interface {
	Handler
	Guarded()
}

type guardKey struct{}

// WithGuard returns a context for the judgement of one login.
func WithGuard(ctx context.Context, g Guard) context.Context {
	return context.WithValue(ctx, guardKey{}, g)
}

// GuardOf returns the guard of ctx, or one without limits.
func GuardOf(ctx context.Context) Guard {
	if g, ok := ctx.Value(guardKey{}).(Guard); ok {
		return g
	}
	return unguarded{}
}

type unguarded struct{}

func (unguarded) Enter(context.Context) error { return nil }
func (unguarded) TryEnter() (bool, error)     { return true, nil }
func (unguarded) Leave()                      {}

// guarded asks a handler of a chain, in the guard of ctx if the handler does not enter it by
// itself. NULL has no credentials to guess.
func guarded(ctx context.Context, h Handler, req *Request) (*Reply, error) {
	if _, itself := h.(Guarded); itself || req.Mechanism == NULL {
		return ask(ctx, h, req)
	}
	g := GuardOf(ctx)
	if err := g.Enter(ctx); err != nil {
		return nil, err
	}
	defer g.Leave()
	return ask(ctx, h, req)
}

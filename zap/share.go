package zap

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zap/internal/fair"
)

// WithShare returns a context for requests of one kind, called name. Whatever is limited
// (requests that are pending in a [Chain], hashes that are computed, connections to a service)
// is shared among the kinds, so that a flood of one does not delay the others. Requests without
// a share are a kind of their own.
func WithShare(ctx context.Context, name string) context.Context { return fair.With(ctx, name) }

// Turns limits how many requests are judged at the same time. The shares of those that wait
// are served in turn. It is safe for concurrent use.
type Turns struct{ slots *fair.Slots }

// NewTurns returns turns for limit requests at a time.
func NewTurns(limit int) *Turns { return &Turns{fair.New(limit)} }

// Wait waits for a turn in the share of ctx, which ends with Done. If ctx ends first it
// returns the cause.
func (t *Turns) Wait(ctx context.Context) error { return t.slots.Acquire(ctx) }

// Done ends a turn.
func (t *Turns) Done() { t.slots.Release() }

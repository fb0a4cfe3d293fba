package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
)

// asked are the rights of a login whose topics are decided on elsewhere, one at a time.
type asked struct{ zap.Access }

// Subscribe implements rights.Grant. What begins with an allowed prefix is allowed.
func (a asked) Subscribe(ctx context.Context, prefix []byte) (rights.Allowed, error) {
	if !a.Read {
		return rights.Allowed{}, fmt.Errorf("%w: receiving on this route", rights.ErrDenied)
	}
	if err := a.Topics.Receive(ctx, prefix); err != nil {
		return rights.Allowed{}, told(err, "subscribing to this topic")
	}
	return rights.Allowed{Prefixes: [][]byte{prefix}}, nil
}

// Deliver implements rights.Grant: nobody is asked about what a subscription brings, and
// what comes without one is the route's to give.
func (a asked) Deliver([]byte) bool { return a.Read }

// Send implements rights.Grant.
func (a asked) Send(ctx context.Context, topic []byte) error {
	if !a.Write {
		return fmt.Errorf("%w: sending on this route", rights.ErrDenied)
	}
	return told(a.Topics.Send(ctx, topic), "sending to this topic")
}

// Whole implements rights.Grant: nobody can be asked about all topics.
func (a asked) Whole() (receive, send bool) { return false, false }

// told keeps from the client why somebody elsewhere has refused.
func told(err error, what string) error {
	if errors.Is(err, zap.ErrDenied) {
		return fmt.Errorf("%w: %s", rights.ErrDenied, what)
	}
	return err
}

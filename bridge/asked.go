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

// Subscribe implements rights.Rights. What begins with an allowed prefix is allowed.
func (a asked) Subscribe(ctx context.Context, prefix []byte) (rights.Grant, error) {
	if !a.Read {
		return rights.Grant{}, fmt.Errorf("%w: to receive on this route", rights.ErrDenied)
	}
	if err := a.Topics.Receive(ctx, prefix); err != nil {
		return rights.Grant{}, told(err, "to subscribe to this topic")
	}
	return rights.Grant{Prefixes: [][]byte{prefix}}, nil
}

// Deliver implements rights.Rights: nobody is asked about what a subscription brings, and
// what comes without one is the route's to give.
func (a asked) Deliver([]byte) bool { return a.Read }

// Send implements rights.Rights.
func (a asked) Send(ctx context.Context, topic []byte) error {
	if !a.Write {
		return fmt.Errorf("%w: to send on this route", rights.ErrDenied)
	}
	return told(a.Topics.Send(ctx, topic), "to send to this topic")
}

// Whole implements rights.Rights: nobody can be asked about all topics.
func (a asked) Whole() (receive, send bool) { return false, false }

// told keeps from the client why somebody elsewhere has refused.
func told(err error, what string) error {
	if errors.Is(err, zap.ErrDenied) {
		return fmt.Errorf("%w: %s", rights.ErrDenied, what)
	}
	return err
}

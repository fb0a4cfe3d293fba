package anonymous

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Authenticator is a [zap.Handler]. It accepts NULL with an empty user id and passes every
// other mechanism. It has no state and is safe for concurrent use.
type Authenticator struct{}

// New returns an authenticator.
func New() Authenticator { return Authenticator{} }

// Guarded implements [zap.Guarded]: there is nothing to guess.
func (Authenticator) Guarded() {}

// Authenticate implements [zap.Handler].
func (Authenticator) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.NULL {
		return nil, zap.Pass("%s is not anonymous", req.Mechanism)
	}
	return &zap.Reply{Status: zap.OK, Text: "OK"}, nil
}

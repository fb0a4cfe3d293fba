// Package anonymous is a ZAP authenticator that lets everybody in who shows no credentials.
package anonymous

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Authenticator is a [zap.Handler]. It answers NULL with 200 and an empty user, and passes
// everything else. It has no state and is safe for concurrent use.
type Authenticator struct{}

// New makes an authenticator.
func New() Authenticator { return Authenticator{} }

// Authenticate lets a NULL request in.
func (Authenticator) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.NULL {
		return nil, zap.Pass("%s is not anonymous", req.Mechanism)
	}
	return &zap.Reply{Status: zap.OK, Text: "OK"}, nil
}

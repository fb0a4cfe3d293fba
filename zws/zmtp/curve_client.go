package zmtp

import "github.com/zwsbridge/zwsbridge/zap"

// Name is CURVE.
func (Curve) Name() zap.Mechanism { return zap.CURVE }

// NewClient makes the client side of CURVE. It fails if Secret is not the secret key of
// Public, if ServerKey is missing, and on metadata that cannot be written.
func (c Curve) NewClient(local zap.Metadata) (Mechanism, error) {
	return newCurveClient(c, local)
}

func newCurveClient(c Curve, local zap.Metadata) (Mechanism, error) { panic("x") }
func newCurveServer(s ServerSecurity) (Mechanism, error)            { panic("x") }

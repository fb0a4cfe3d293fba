package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
)

func init() { register(buildCurve) }

func buildCurve(s *config.Curve, d deps) (*curvekeys.Authenticator, error) {
	return curvekeys.New(curvekeys.Options{Dir: string(s.Dir), Logger: d.log})
}

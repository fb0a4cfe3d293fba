package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

func init() { register(buildJWT) }

func buildJWT(s *config.JWT, d deps) (*jwt.Authenticator, error) {
	o, err := s.Options()
	if err != nil {
		return nil, err
	}
	o.Logger, o.Private = d.log, d.private
	return jwt.New(o)
}

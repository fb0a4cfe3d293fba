package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/anonymous"
)

func init() { register(buildAnonymous) }

func buildAnonymous(*config.Anonymous, deps) (anonymous.Authenticator, error) {
	return anonymous.New(), nil
}

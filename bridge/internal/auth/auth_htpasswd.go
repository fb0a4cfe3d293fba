package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

func init() { register(buildHtpasswd) }

func buildHtpasswd(s *config.Htpasswd, d deps) (*htpasswd.Authenticator, error) {
	return htpasswd.New(htpasswd.Options{File: string(s.File), Logger: d.log})
}

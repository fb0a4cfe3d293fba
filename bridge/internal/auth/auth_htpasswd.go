package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

func init() { register(buildHtpasswd) }

func buildHtpasswd(s *config.Htpasswd, d deps) (*htpasswd.Authenticator, error) {
	o := htpasswd.Options{File: string(s.File), Waiting: d.waiting, Logger: d.log}
	if s.CachePasswords != nil && !*s.CachePasswords {
		o.MaxCached = -1
	}
	return htpasswd.New(o)
}

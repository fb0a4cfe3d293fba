package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/ip"
)

func init() { register(buildIP) }

func buildIP(s *config.IP, _ deps) (*ip.Rules, error) {
	return ip.New(ip.Options{
		Allow:        s.Allow,
		Deny:         s.Deny,
		TagMasks:     s.TagMasks,
		DefaultMasks: s.DefaultMasks,
	})
}

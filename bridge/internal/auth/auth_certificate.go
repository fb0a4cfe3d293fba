package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/certificate"
)

func init() { register(buildCertificate) }

func buildCertificate(s *config.Certificate, _ deps) (*certificate.Authenticator, error) {
	var o certificate.Options
	for _, field := range s.UserFrom {
		o.UserFrom = append(o.UserFrom, certificate.Field(field))
	}
	return certificate.New(o)
}

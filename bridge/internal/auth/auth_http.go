package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/httpauth"
)

func init() { register(buildHTTP) }

func buildHTTP(s *config.HTTP, d deps) (*httpauth.Client, error) {
	tls, err := d.clientTLS(s.CA, s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	return httpauth.New(httpauth.Options{
		User:     s.UserPath,
		Vhost:    s.VhostPath,
		Resource: s.ResourcePath,
		Topic:    s.TopicPath,
		Method:   s.Method,
		TLS:      tls,
		Timeout:  s.Timeout,
		Cache:    *s.Cache,
	})
}

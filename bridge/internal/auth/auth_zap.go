package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func init() { register(buildRemote) }

func buildRemote(s *config.Remote, d deps) (*remote.Client, error) {
	o := remote.Options{Endpoint: s.Endpoint, Timeout: s.Timeout}
	if s.Cert != "" {
		cert, err := d.private.Certificate(string(s.Cert))
		if err != nil {
			return nil, err
		}
		o.Security = zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: s.ServerKey}
	}
	return remote.New(o)
}

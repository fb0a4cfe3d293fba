package auth

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

func init() { register(buildTokenEndpoint) }

func buildTokenEndpoint(s *config.TokenEndpoint, d deps) (*tokenendpoint.Client, error) {
	tls, err := d.clientTLS(s.CA, s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	o := tokenendpoint.Options{
		URL:         s.URL,
		Form:        s.TokenRegex,
		TLS:         tls,
		Timeout:     s.Timeout,
		SingleToken: s.SingleToken,
	}
	if s.IdentityMap != "" {
		if o.Identities, err = d.store(s.Store); err != nil {
			return nil, err
		}
	}
	return tokenendpoint.New(o)
}

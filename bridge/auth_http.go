package bridge

import (
	"crypto/sha256"
	"crypto/tls"
	"os"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/httpauth"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

// newHTTP makes the client of a service that speaks rabbitmq_auth_backend_http.
func newHTTP(s *config.HTTP) (*httpauth.Client, error) {
	config, err := clientTLS(s.CA, s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	return httpauth.New(httpauth.Options{
		User:     s.UserPath,
		Vhost:    s.VhostPath,
		Resource: s.ResourcePath,
		Topic:    s.TopicPath,
		Method:   s.Method,
		TLS:      config,
		Timeout:  s.Timeout,
		Cache:    s.Cache,
	})
}

// newTokenEndpoint makes the client of a token endpoint.
func (a *authentication) newTokenEndpoint(s *config.TokenEndpoint, old *authentication) (*tokenendpoint.Client, error) {
	config, err := clientTLS(s.CA, s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	o := tokenendpoint.Options{
		URL:         s.URL,
		Form:        s.TokenRegex,
		TLS:         config,
		Timeout:     s.Timeout,
		SingleToken: s.SingleToken,
	}
	if s.IdentityMap != "" {
		if o.Identities, err = a.identities(s.Store, old); err != nil {
			return nil, err
		}
	}
	return tokenendpoint.New(o)
}

// identities opens a store of identities, once for all that name it; one that is open
// since before a reload is taken over, since it can be open only once.
func (a *authentication) identities(file config.Path, old *authentication) (*tokenendpoint.Identities, error) {
	if m := a.stores[file]; m != nil {
		return m, nil
	}
	if old != nil && old.stores[file] != nil {
		a.stores[file] = old.stores[file]
		return a.stores[file], nil
	}
	m, err := tokenendpoint.OpenIdentities(string(file))
	if err == nil {
		a.stores[file] = m
	}
	return m, err
}

// clientTLS is how an HTTP service is verified, and what it is shown. Nil without either
// means the system's authorities.
func clientTLS(ca, cert, key config.Path) (*tls.Config, error) {
	if ca == "" && cert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		roots, err := certs.Roots(string(ca))
		if err != nil {
			return nil, err
		}
		config.RootCAs = roots
	}
	if cert != "" {
		pair, err := certs.LoadPair(string(cert), string(key))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{*pair}
	}
	return config, nil
}

// recipe is what a client of an HTTP service was made of, be it asked about logins or for
// the keys of tokens. Another client of the same recipe would be its equal.
type recipe struct {
	settings any
	files    [3][sha256.Size]byte // what CA, Cert and Key held
}

// recipeOf tells of what a client is to be made; ok is false for authenticators of other
// kinds, which are made anew on each reload.
func recipeOf(settings any) (r recipe, ok bool) {
	var files [3]config.Path
	switch s := settings.(type) {
	case *config.HTTP:
		files = [...]config.Path{s.CA, s.Cert, s.Key}
	case *config.TokenEndpoint:
		files = [...]config.Path{s.CA, s.Cert, s.Key}
	case *config.JWT:
		files[0] = s.CA
	default:
		return recipe{}, false
	}
	r.settings = settings
	for i, f := range files {
		if text, err := os.ReadFile(string(f)); err == nil {
			r.files[i] = sha256.Sum256(text)
		}
	}
	return r, true
}

package auth

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"reflect"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/anonymous"
	"github.com/zwsbridge/zwsbridge/zap/certificate"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zap/httpauth"
	"github.com/zwsbridge/zwsbridge/zap/ip"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// build makes the authenticator of one [auth.NAME] table: a zap.Handler, a zap.Authorizer or
// both.
func (a *Chain) build(of config.Auth, previous *Chain, log *slog.Logger) (any, error) {
	switch s := of.Settings.(type) {
	case *config.Htpasswd:
		return htpasswd.New(htpasswd.Options{File: string(s.File), Logger: log})
	case *config.IP:
		return ip.New(ip.Options{
			Allow:        s.Allow,
			Deny:         s.Deny,
			TagMasks:     s.TagMasks,
			DefaultMasks: s.DefaultMasks,
		})
	case *config.Anonymous:
		return anonymous.New(), nil
	case *config.Curve:
		return curvekeys.New(curvekeys.Options{Dir: string(s.Dir), Logger: log})
	case *config.Certificate:
		o := certificate.Options{}
		for _, field := range s.UserFrom {
			o.UserFrom = append(o.UserFrom, certificate.Field(field))
		}
		return certificate.New(o)
	case *config.Remote:
		return buildRemote(s)
	case *config.JWT:
		return buildJWT(s, log)
	case *config.HTTP:
		return buildHTTP(s)
	case *config.TokenEndpoint:
		return a.buildTokenEndpoint(s, previous)
	}
	return nil, fmt.Errorf("unknown type %q", of.Type)
}

func buildRemote(s *config.Remote) (*remote.Client, error) {
	o := remote.Options{Endpoint: s.Endpoint, Timeout: s.Timeout}
	if s.Cert != "" {
		cert, err := certs.ReadSecret(string(s.Cert))
		if err != nil {
			return nil, err
		}
		o.Security = zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: s.ServerKey}
	}
	return remote.New(o)
}

func buildJWT(s *config.JWT, log *slog.Logger) (*jwt.Authenticator, error) {
	o, err := s.Options()
	if err != nil {
		return nil, err
	}
	o.Logger = log
	return jwt.New(o)
}

func buildHTTP(s *config.HTTP) (*httpauth.Client, error) {
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

func (a *Chain) buildTokenEndpoint(s *config.TokenEndpoint, previous *Chain) (*tokenendpoint.Client, error) {
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
		if o.Identities, err = a.openStore(s.Store, previous); err != nil {
			return nil, err
		}
	}
	return tokenendpoint.New(o)
}

// clientTLS builds the TLS configuration of an HTTP client. Nil, without ca and cert, means
// the authorities of the system and no client certificate.
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

// recipe is what a client of an HTTP service was built from. A client with an equal recipe
// would behave the same.
type recipe struct {
	settings any
	files    [3][sha256.Size]byte // the contents of CA, Cert and Key
}

func (r recipe) equal(other recipe) bool { return reflect.DeepEqual(r, other) }

// recipeOf returns the recipe of settings; ok is false for the other authenticators, which
// each reload builds again.
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

package auth

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

// deps are what authenticators need beside their settings.
type deps struct {
	log *slog.Logger
	// waiting is called when a login begins to wait for a free processor, and its result
	// when the wait has ended; nil if nobody wants to know.
	waiting func() (done func())
	// private reads files with secrets.
	private certs.Private
	// store opens an identity store, which belongs to the chain.
	store func(config.Path) (*tokenendpoint.Identities, error)
}

// builders build the authenticators, by the type of their settings.
var builders = make(map[reflect.Type]func(config.AuthKind, deps) (any, error))

// register makes the builder of a kind known. The builder returns a zap.Handler, a
// zap.Authorizer or both, which the chain closes if it is an io.Closer. register is called
// from init.
func register[K config.AuthKind, A any](build func(K, deps) (A, error)) {
	builders[reflect.TypeFor[K]()] = func(settings config.AuthKind, d deps) (any, error) {
		return build(settings.(K), d)
	}
}

// build builds the authenticator of one [auth.NAME] table.
func build(a config.Auth, d deps) (any, error) {
	b := builders[reflect.TypeOf(a.Settings)]
	if b == nil {
		return nil, fmt.Errorf("unknown type %q", a.Type)
	}
	return b(a.Settings, d)
}

// clientTLS builds the TLS configuration of an HTTP client. Nil, without ca and cert, means
// the authorities of the system and no client certificate.
func (d deps) clientTLS(ca, cert, key config.Path) (*tls.Config, error) {
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
		pair, err := d.private.Pair(string(cert), string(key))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{*pair}
	}
	return config, nil
}

package config

import "github.com/zwsbridge/zwsbridge/zap"

import "github.com/zwsbridge/zwsbridge/zap/certificate"

func init() { registerAuth("certificate", func() AuthKind { return &Certificate{} }) }

// Certificate is type = "certificate": TLS client certificates that server.client_ca verifies.
type Certificate struct {
	// UserFrom are the fields that can hold the user name: "email", "dns", "uri" and "cn".
	// The first that the certificate has counts; empty means these four.
	UserFrom []string `toml:"user_from"`
}

func (*Certificate) decides() []zap.Mechanism { return []zap.Mechanism{zap.TLS} }

// Secrets implements [AuthKind].
func (*Certificate) Secrets() []Secret { return nil }

// Fingerprint implements [AuthKind].
func (*Certificate) Fingerprint() string { return "" }

func (s *Certificate) validate(c *checker, key string) {
	if c.Server.ClientCA == "" {
		c.fault(key, "needs server.client_ca: without it no client is asked for a certificate")
	}
	fields := make([]string, len(certificate.DefaultUserFrom))
	for i, f := range certificate.DefaultUserFrom {
		fields[i] = string(f)
	}
	for i, from := range s.UserFrom {
		c.oneOf(entry(key+".user_from", i), from, fields)
	}
}

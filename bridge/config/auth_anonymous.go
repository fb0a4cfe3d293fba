package config

import "github.com/zwsbridge/zwsbridge/zap"

func init() { registerAuth("anonymous", func() AuthKind { return &Anonymous{} }) }

// Anonymous is type = "anonymous": it accepts NULL logins, with an empty user name.
type Anonymous struct{}

func (*Anonymous) decides() []zap.Mechanism { return []zap.Mechanism{zap.NULL} }

// Secrets implements [AuthKind].
func (*Anonymous) Secrets() []Secret { return nil }

// Fingerprint implements [AuthKind].
func (*Anonymous) Fingerprint() string { return "" }

func (*Anonymous) validate(c *checker, key string) {
	c.warn(key, "accepts every client without a login, on routes whose client_mechanisms have NULL")
}

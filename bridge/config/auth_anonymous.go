package config

func init() { registerAuth("anonymous", func() AuthKind { return &Anonymous{} }) }

// Anonymous is type = "anonymous": it accepts NULL logins, with an empty user name.
type Anonymous struct{}

// Secrets implements [AuthKind].
func (*Anonymous) Secrets() []Secret { return nil }

// Fingerprint implements [AuthKind].
func (*Anonymous) Fingerprint() string { return "" }

func (*Anonymous) validate(c *checker, key string) {
	c.warn(key, "accepts every client without a login, on routes whose client_mechanisms have NULL")
}

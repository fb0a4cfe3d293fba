package config

import (
	"cmp"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

func init() { registerAuth("zap", func() AuthKind { return &Remote{} }) }

// Remote is type = "zap": a ZAP handler in another process, at an endpoint (27/ZAP).
type Remote struct {
	Endpoint  string        `toml:"endpoint"` // required
	ServerKey CurveKey      `toml:"server_key"`
	Cert      Path          `toml:"cert"`
	Timeout   time.Duration `toml:"timeout"` // 0 means zap.timeout
}

// Secrets implements [AuthKind].
func (s *Remote) Secrets() []Secret { return []Secret{curveSecret("cert", s.Cert)} }

// Fingerprint implements [AuthKind].
func (*Remote) Fingerprint() string { return "" }

func (s *Remote) complete(c *Config) {
	s.Endpoint = absoluteEndpoint(c.Dir, s.Endpoint)
	s.Timeout = cmp.Or(s.Timeout, c.Zap.Timeout)
}

func (s *Remote) validate(c *checker, key string) {
	c.positive(key+".timeout", s.Timeout)
	if s.Endpoint == "" {
		c.required(key+".endpoint", "", `type = "zap"`)
		return
	}
	if !c.endpoint(key+".endpoint", s.Endpoint, false) {
		return
	}
	if !LocalEndpoint(s.Endpoint) && s.ServerKey.IsZero() {
		c.fault(key+".endpoint", "is neither ipc nor loopback, so CURVE is needed: want server_key and cert")
	}
	if s.ServerKey.IsZero() != (s.Cert == "") {
		c.fault(key, "has only one of server_key and cert: CURVE needs both, NULL neither")
	}
	if s.Cert != "" {
		c.secretCert(key+".cert", s.Cert)
	}
}

// curveSecret returns the secret half of the CURVE certificate that key names.
func curveSecret(key string, p Path) Secret {
	if p == "" {
		return Secret{}
	}
	return Secret{key, p + certs.SecretSuffix}
}

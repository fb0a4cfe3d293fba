package config

import (
	"os"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
)

func init() { registerAuth("curve", func() AuthKind { return &Curve{} }) }

// Curve is type = "curve": a directory of public zcert files, one for each client, watched for
// changes.
type Curve struct {
	Dir Path `toml:"dir"` // required; "*" accepts every key
}

func (*Curve) decides() []zap.Mechanism { return []zap.Mechanism{zap.CURVE} }

// Secrets implements [AuthKind].
func (*Curve) Secrets() []Secret { return nil }

// Fingerprint implements [AuthKind].
func (*Curve) Fingerprint() string { return "" }

func (s *Curve) makeMissing() error {
	if s.Dir == curvekeys.AllowAny {
		return nil
	}
	return os.MkdirAll(string(s.Dir), 0o700)
}

func (s *Curve) validate(c *checker, key string) {
	key += ".dir"
	c.required(key, string(s.Dir), `type = "curve"`)
	if s.Dir == curvekeys.AllowAny {
		c.warn(key, `is "*": every client that makes itself a key is accepted`)
		return
	}
	if c.exists(key, s.Dir, "put the public zcert file of every client into it") {
		c.curveKeys(key, s.Dir)
	}
}

// curveKeys reports what serve finds in a directory of CURVE keys.
func (c *checker) curveKeys(key string, dir Path) {
	if info, err := os.Stat(string(dir)); err == nil && !info.IsDir() {
		c.fault(key, "%s is a file: want a directory with the public file of each key", dir)
		return
	}
	ignored, err := curvekeys.Check(string(dir))
	for _, problem := range ignored {
		c.warn(key, "%s: the file is ignored", reason(problem))
	}
	if err != nil {
		c.fault(key, "%s", unusable(err))
	}
}

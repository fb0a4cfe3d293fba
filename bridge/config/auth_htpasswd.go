package config

import (
	"log/slog"
	"os"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

func init() {
	registerAuth("htpasswd", func() AuthKind { return &Htpasswd{CachePasswords: new(true)} })
}

// Htpasswd is type = "htpasswd": a file with a bcrypt line for each user, watched for changes.
type Htpasswd struct {
	File           Path  `toml:"file"`            // required
	CachePasswords *bool `toml:"cache_passwords"` // keep a keyed hash of verified passwords in memory until the file changes; nil means true
}

// emptyHtpasswd is the content of a new file of users.
const emptyHtpasswd = "# Users of the bridge, one per line. Add one with: zwsbridge passwd FILE USER\n"

func (*Htpasswd) decides() []zap.Mechanism { return []zap.Mechanism{zap.PLAIN} }

// Secrets implements [AuthKind].
func (s *Htpasswd) Secrets() []Secret { return []Secret{{"file", s.File}} }

// Fingerprint implements [AuthKind]. An authenticator that stays keeps its verified passwords.
func (s *Htpasswd) Fingerprint() string { return fingerprint(s, s.File) }

func (s *Htpasswd) makeMissing() error { return makeFile(string(s.File), emptyHtpasswd) }

func (s *Htpasswd) validate(c *checker, key string) {
	key += ".file"
	c.required(key, string(s.File), `type = "htpasswd"`)
	if !c.exists(key, s.File, "add users with zwsbridge passwd") {
		return
	}
	if info, err := os.Stat(string(s.File)); err == nil && info.IsDir() {
		c.fault(key, "%s is a directory: want a file, which zwsbridge passwd creates", s.File)
		return
	}
	users, err := htpasswd.New(htpasswd.Options{File: string(s.File), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.fault(key, "%s", unusable(err))
	} else {
		_ = users.Close() // it was only read
	}
	c.readableHashes(key, s.File)
}

package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Auth is one table [auth.NAME].
type Auth struct {
	// Type is the kind of authenticator, as "htpasswd". In Go it may be left empty if
	// Settings are given, and the other way around.
	Type       string `toml:"type"`
	UserPrefix string `toml:"user_prefix"` // put before every user name that it gives
	// Settings are the other keys of the table, which depend on Type.
	Settings AuthKind `toml:"-"`
}

// AuthKind is the settings of one kind of authenticator: [*Htpasswd], [*IP], [*Anonymous],
// [*Curve], [*Certificate], [*Remote], [*JWT], [*HTTP] or [*TokenEndpoint]. Zero fields of
// settings made in Go get their defaults from [Validate].
//
// A kind is written in two files of the same name, one here and one in bridge/internal/auth.
// Here it registers its type with its defaults (registerAuth) and can also implement
// authorizer, decider, completer or missingMaker.
type AuthKind interface {
	// Secrets returns the files and directories with secrets that the settings name.
	// Nothing may publish them.
	Secrets() []Secret
	// Fingerprint identifies the settings and the contents of the files that they name.
	// An authenticator whose fingerprint a reload does not change stays in use, with what it
	// has cached; empty means that each reload builds another one.
	Fingerprint() string
	// validate reports what is wrong with the settings of the table key.
	validate(c *checker, key string)
}

// authorizer is implemented by kinds that can also judge logins that another authenticator
// has accepted (authz in zap.chain).
type authorizer interface{ authorizes() }

// decider is implemented by kinds that decide on logins by some mechanisms only.
type decider interface {
	// decides returns these mechanisms.
	decides() []zap.Mechanism
}

// completer is implemented by kinds with defaults that depend on other keys.
type completer interface {
	// complete fills in these defaults.
	complete(c *Config)
}

// missingMaker is implemented by kinds whose files may be missing at the first start.
type missingMaker interface {
	// makeMissing creates them, empty.
	makeMissing() error
}

// Secret is a file or directory that holds a secret.
type Secret struct {
	Key  string // the key that names it, relative to its table
	Path Path   // empty = none
}

// authKinds makes the settings of each kind with their defaults, by the value of type.
var authKinds = make(map[string]func() AuthKind)

// registerAuth makes a kind known under the value of its type key. It is called from init.
func registerAuth(name string, withDefaults func() AuthKind) { authKinds[name] = withDefaults }

// AuthDefaults returns the settings of each kind of authenticator with their defaults, by the value of
// the key type.
func AuthDefaults() map[string]AuthKind {
	defaults := make(map[string]AuthKind)
	for name, withDefaults := range authKinds {
		defaults[name] = withDefaults()
	}
	return defaults
}

// authTypes returns the values of type, sorted.
func authTypes() []string { return slices.Sorted(maps.Keys(authKinds)) }

// authType returns the value of type for settings; empty if their kind is not registered.
func authType(settings AuthKind) string {
	for _, name := range authTypes() {
		if reflect.TypeOf(authKinds[name]()) == reflect.TypeOf(settings) {
			return name
		}
	}
	return ""
}

// completeAuth gives an Auth made in Go its missing half, type or settings, and the settings
// their defaults. The error says why it cannot.
func completeAuth(a *Auth) error {
	if a.Settings != nil && reflect.ValueOf(a.Settings).IsNil() {
		a.Settings = nil // a nil *JWT
	}
	known := authKinds[a.Type]
	switch {
	case a.Type == "" && a.Settings == nil:
		return fmt.Errorf("has no type: want %s", choices(authTypes()))
	case a.Type != "" && known == nil:
		return fmt.Errorf("has the type %q: want %s", a.Type, choices(authTypes()))
	case a.Type == "":
		a.Type = authType(a.Settings)
	case a.Settings == nil:
		a.Settings = known()
	case reflect.TypeOf(known()) != reflect.TypeOf(a.Settings):
		return fmt.Errorf("has the type %q and settings of type %q", a.Type, authType(a.Settings))
	}
	setZero(a.Settings, authKinds[a.Type]())
	return nil
}

// JWT returns the settings of [auth.NAME] if its type is "jwt".
func (c *Config) JWT(name string) (s *JWT, ok bool) {
	s, ok = c.Auth[name].Settings.(*JWT)
	return s, ok
}

// Issuers returns the issuers of tokens that the configuration names, each once.
func (c *Config) Issuers() []string {
	var issuers []string
	for name := range c.Auth {
		if s, ok := c.JWT(name); ok && s.Issuer != "" && !slices.Contains(issuers, s.Issuer) {
			issuers = append(issuers, s.Issuer)
		}
	}
	return issuers
}

// fingerprint identifies settings and the contents of files; those that cannot be read count
// as empty.
func fingerprint(settings AuthKind, files ...Path) string {
	hash := sha256.New()
	if err := json.NewEncoder(hash).Encode(settings); err != nil {
		panic(err) // settings are strings, numbers, lists and maps
	}
	for _, f := range files {
		text, _ := os.ReadFile(string(f))
		sum := sha256.Sum256(text)
		hash.Write(sum[:])
	}
	return fmt.Sprintf("%T %x", settings, hash.Sum(nil))
}

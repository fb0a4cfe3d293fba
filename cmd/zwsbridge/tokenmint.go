package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

// tokenMint holds the flags of token mint.
type tokenMint struct {
	config, auth           string
	key, algorithm         string
	issuer, user, audience string
	scopes, claims         []string
	lifetime               time.Duration
}

func newTokenMint() *cobra.Command {
	var m tokenMint
	cmd := &cobra.Command{
		Use:   "mint --key FILE --user NAME",
		Short: "Create a token for development",
		Long: `Create a signed token and print it.

The key is a private key in PEM or JWK. If the file does not exist, a new key is
created with mode 0600. A bridge with [auth.NAME] keys = ["DIR"] trusts each key
in that directory at once. In production the private key belongs to an issuer, and
the bridge has only the public key.

With --auth NAME, the defaults of --issuer, --audience and --algorithm are taken
from [auth.NAME] in the configuration file.

Algorithms: ` + strings.Join(jwt.Algorithms[:9], ", ") + `,
` + strings.Join(jwt.Algorithms[9:], ", ") + `.`,
		Example: `  zwsbridge token mint --key certs/jwt/dev.pem --auth sso --user ann --scope 'zwsbridge.read:*/*'
  zwsbridge token mint --key dev.pem --issuer me --audience zwsbridge --user ann --claim 'groups=["a","b"]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&m.key, "key", "", "private key `file` (PEM or JWK); created if it does not exist")
	f.StringVarP(&m.config, "config", "c", defaultConfig, "configuration `file` for --auth")
	f.StringVar(&m.auth, "auth", "", "`name` of an [auth.NAME] with type = \"jwt\"")
	f.StringVar(&m.algorithm, "algorithm", "", "signature `algorithm` (default: the usual one for the key, ES256 for a new key)")
	f.StringVar(&m.issuer, "issuer", "", "claim iss")
	f.StringVar(&m.audience, "audience", "", "claim aud: the `id` of the resource server")
	f.StringVar(&m.user, "user", "", "claim sub: the user `name`")
	f.StringArrayVar(&m.scopes, "scope", nil, "`scope` with its prefix; can be repeated")
	f.StringArrayVar(&m.claims, "claim", nil, "additional claim `name=value`, in JSON or as text; can be repeated")
	f.DurationVar(&m.lifetime, "expires", time.Hour, "time until the token expires (0: never)")
	_ = cmd.MarkFlagRequired("key") // fails only for an undefined flag
	return cmd
}

func (m *tokenMint) run(cmd *cobra.Command) error {
	// The key is created first: without it the configuration may be invalid.
	if err := m.createMissingKey(cmd.ErrOrStderr()); err != nil {
		return err
	}
	if m.auth != "" {
		if err := m.setDefaults(); err != nil {
			return err
		}
	}
	claims, err := m.allClaims(time.Now())
	if err != nil {
		return err
	}
	key, err := jwt.ReadSigningKey(m.key, m.algorithm)
	if err != nil {
		return err
	}
	token, err := key.Sign(claims)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
	return err
}

// createMissingKey creates the key file if it does not exist, and says so on stderr.
func (m *tokenMint) createMissingKey(stderr io.Writer) error {
	if _, err := os.Stat(m.key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	algorithm := cmp.Or(m.algorithm, "ES256")
	kid := strings.TrimSuffix(filepath.Base(m.key), filepath.Ext(m.key))
	key, err := jwt.GenerateKey(kid, algorithm)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.key), 0o700); err != nil {
		return err
	}
	if err := key.Write(m.key); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "created a new %s key in %s\n", algorithm, m.key)
	return nil
}

// setDefaults takes issuer, audience and algorithm from the configuration if they were not
// given.
func (m *tokenMint) setDefaults() error {
	c, err := loadConfig(m.config)
	if err != nil {
		return err
	}
	s, ok := c.JWT(m.auth)
	if !ok {
		return usagef("--auth %q: there is no [auth.%s] with type = \"jwt\" in %s", m.auth, m.auth, m.config)
	}
	m.issuer = cmp.Or(m.issuer, s.Issuer)
	m.audience = cmp.Or(m.audience, s.ResourceServerID)
	if m.algorithm == "" && len(s.Algorithms) == 1 {
		m.algorithm = s.Algorithms[0]
	}
	return nil
}

// allClaims returns the claims of a token that is issued now.
func (m *tokenMint) allClaims(now time.Time) (map[string]any, error) {
	claims := map[string]any{"iat": now.Unix()}
	for name, value := range map[string]string{
		"iss": m.issuer, "sub": m.user, "aud": m.audience, "scope": strings.Join(m.scopes, " "),
	} {
		if value != "" {
			claims[name] = value
		}
	}
	if m.lifetime != 0 {
		claims["exp"] = now.Add(m.lifetime).Unix()
	}
	for _, c := range m.claims {
		name, value, ok := strings.Cut(c, "=")
		if !ok || name == "" {
			return nil, usagef("--claim %q: want name=value", c)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		claims[name] = v
	}
	return claims, nil
}

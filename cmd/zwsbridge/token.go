package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and explain JSON Web Tokens",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return usagef("mint or check? See --help") },
	}
	cmd.AddCommand(newMint(), newTokenCheck())
	return cmd
}

// mint is what `token mint` is asked for.
type mint struct {
	config, auth         string
	key, algorithm       string
	issuer, user, server string
	scopes, claims       []string
	life                 time.Duration
}

func newMint() *cobra.Command {
	var m mint
	cmd := &cobra.Command{
		Use:   "mint --key FILE --user NAME",
		Short: "Make a token for development",
		Long: `Make a signed token and print it. The key is a private key in PEM or JWK; if there
is no such file, one is made with mode 0600. Where [auth.NAME] keys = ["FOLDER"], a
key in that folder is taken by the bridge at once: in earnest an issuer has it, and
the bridge only its public half.

With --auth NAME, issuer, audience and algorithm are those of [auth.NAME] in the
configuration.`,
		Example: `  zwsbridge token mint --key certs/jwt/dev.pem --auth sso --user ann --scope 'zwsbridge.read:*/*'
  zwsbridge token mint --key dev.pem --issuer me --audience zwsbridge --user ann --claim 'groups=["a","b"]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&m.key, "key", "", "private key: a PEM or JWK `file`, made if there is none")
	f.StringVarP(&m.config, "config", "c", defaultConfig, "the configuration `file` that --auth looks into")
	f.StringVar(&m.auth, "auth", "", "the `name` of an [auth.NAME] with type = \"jwt\"")
	f.StringVar(&m.algorithm, "algorithm", "", "one of "+strings.Join(jwt.Algorithms, " ")+" (default: what suits the key, ES256 for a new one)")
	f.StringVar(&m.issuer, "issuer", "", "claim iss")
	f.StringVar(&m.server, "audience", "", "claim aud: the resource server's `id`")
	f.StringVar(&m.user, "user", "", "claim sub: who it is for")
	f.StringArrayVar(&m.scopes, "scope", nil, "scopes, with their prefix (may be repeated)")
	f.StringArrayVar(&m.claims, "claim", nil, "further `name=value`, the value in JSON or else taken as text (may be repeated)")
	f.DurationVar(&m.life, "expires", time.Hour, "how long it is good; 0 = for ever")
	_ = cmd.MarkFlagRequired("key") // the name is right
	return cmd
}

func (m *mint) run(cmd *cobra.Command) error {
	// The key comes first: the configuration may be one that misses just this key.
	if err := m.makeKey(cmd.ErrOrStderr()); err != nil {
		return err
	}
	if m.auth != "" {
		if err := m.fill(); err != nil {
			return err
		}
	}
	claims, err := m.all(time.Now())
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

// makeKey makes the key if there is none.
func (m *mint) makeKey(stderr io.Writer) error {
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
	fmt.Fprintf(stderr, "made a new %s key in %s\n", algorithm, m.key)
	return nil
}

// fill takes from the configuration what was not given.
func (m *mint) fill() error {
	c, err := loadConfig(m.config)
	if err != nil {
		return err
	}
	s, ok := c.Auth[m.auth].Settings.(*config.JWT)
	if !ok {
		return usagef("--auth %q: there is no [auth.%s] with type = \"jwt\" in %s", m.auth, m.auth, m.config)
	}
	if m.issuer == "" {
		m.issuer = s.Issuer
	}
	if m.server == "" {
		m.server = s.ResourceServerID
	}
	if m.algorithm == "" && len(s.Algorithms) == 1 {
		m.algorithm = s.Algorithms[0]
	}
	return nil
}

// all lists the claims.
func (m *mint) all(now time.Time) (map[string]any, error) {
	claims := map[string]any{"iat": now.Unix()}
	for name, value := range map[string]string{
		"iss": m.issuer, "sub": m.user, "aud": m.server, "scope": strings.Join(m.scopes, " "),
	} {
		if value != "" {
			claims[name] = value
		}
	}
	if m.life != 0 {
		claims["exp"] = now.Add(m.life).Unix()
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

func newTokenCheck() *cobra.Command {
	var config string
	var auths []string
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Explain what a token is good for",
		Long: `Judge a token as the bridge would, and tell of every claim and every scope what it
comes to, and of every route what the token allows there. The token is the first line of
FILE or of standard input. Exit code 3 if no authenticator takes it.`,
		Example: "  zwsbridge token check --config bridge.toml ann.token\n  zwsbridge token check --auth sso < ann.token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := givenToken(cmd.Context(), cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			if len(auths) == 0 {
				auths = tokenAuths(c)
			}
			return checkToken(cmd.Context(), cmd.OutOrStdout(), c, auths, token)
		},
	}
	configFlag(cmd, &config)
	cmd.Flags().StringArrayVar(&auths, "auth", nil, "ask only [auth.`NAME`] (may be repeated; default: all with type = \"jwt\", in the order of the chain)")
	return cmd
}

// loadConfig reads a configuration whose faults, if any, are all told.
func loadConfig(file string) (*config.Config, error) {
	c, faults := config.Load(file)
	return c, faults.Err()
}

// givenToken reads the token from the file that is named, or from standard input.
func givenToken(ctx context.Context, stdin io.Reader, args []string) (string, error) {
	if len(args) == 0 || args[0] == "-" {
		return askLine(ctx, stdin)
	}
	b, err := os.ReadFile(args[0])
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("%s: more than %d octets", args[0], maxSecret)
	}
	if err != nil {
		return "", err
	}
	return firstLine(strings.NewReader(string(b)))
}

// tokenAuths names the authenticators of tokens: those of the chain in its order, then the
// others.
func tokenAuths(c *config.Config) []string {
	var names []string
	for _, e := range c.Zap.Chain {
		names = append(names, e.Authn)
	}
	names = append(names, slices.Sorted(maps.Keys(c.Auth))...)
	var jwts []string
	for _, name := range names {
		if _, ok := c.Auth[name].Settings.(*config.JWT); ok && !slices.Contains(jwts, name) {
			jwts = append(jwts, name)
		}
	}
	return jwts
}

// checkToken asks the authenticators one after another, as the chain does.
func checkToken(ctx context.Context, out io.Writer, c *config.Config, names []string, token string) error {
	if len(names) == 0 {
		return usagef("there is no [auth.NAME] with type = \"jwt\"")
	}
	for _, name := range names {
		s, ok := c.Auth[name].Settings.(*config.JWT)
		if !ok {
			return usagef("there is no [auth.%s] with type = \"jwt\"", name)
		}
		reply, err := explain(ctx, out, name, s, token)
		switch {
		case errors.Is(err, zap.ErrPass):
			fmt.Fprintln(out, "  => passed on to the next")
			continue
		case err != nil:
			return err
		case reply.Status != zap.OK:
			fmt.Fprintf(out, "  => refused: %s\n", reply.Text)
			return silent{exitRefused}
		}
		user := c.Auth[name].UserPrefix + reply.UserID
		fmt.Fprintf(out, "  => accepted: user %q\n", user)
		return config.ExplainRights(ctx, out, c, user, reply)
	}
	fmt.Fprintln(out, "=> refused: no authenticator of tokens takes it")
	return silent{exitRefused}
}

// explain prints how one authenticator judges.
func explain(ctx context.Context, out io.Writer, name string, s *config.JWT, token string) (*zap.Reply, error) {
	o, err := s.Options()
	if err != nil {
		return nil, err
	}
	o.Logger = slog.New(slog.DiscardHandler) // the notes tell
	a, err := jwt.New(o)
	if err != nil {
		return nil, err
	}
	reply, notes, err := a.Explain(ctx, token)
	fmt.Fprintf(out, "[auth.%s]\n", name)
	for _, n := range notes {
		mark := "  "
		if !n.Good {
			mark = "- "
		}
		fmt.Fprintf(out, "%s%s: %s\n", mark, n.Subject, n.Text)
	}
	return reply, errors.Join(err, a.Close())
}

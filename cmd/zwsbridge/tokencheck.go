package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

func newTokenCheck() *cobra.Command {
	var file string
	var auths []string
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Explain whether a token is accepted and what it permits",
		Long: `Check a token as the bridge does. Prints how each claim and each scope was
evaluated, whether the token is accepted, and what it permits on each route.

The token is the first line of FILE, or of standard input. The exit code is 3 if
no authenticator accepts the token.`,
		Example: "  zwsbridge token check --config bridge.toml ann.token\n  zwsbridge token check --auth sso < ann.token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := readToken(cmd.Context(), cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			if len(auths) == 0 {
				auths = tokenAuths(c)
			}
			return checkToken(cmd.Context(), cmd.OutOrStdout(), c, auths, token)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringArrayVar(&auths, "auth", nil, "check with [auth.`NAME`] only; can be repeated (default: all with type = \"jwt\")")
	return cmd
}

// readToken reads the token from the file in args, or from standard input.
func readToken(ctx context.Context, stdin io.Reader, args []string) (string, error) {
	if len(args) == 0 || args[0] == "-" {
		return readFirstLine(ctx, stdin)
	}
	b, err := os.ReadFile(args[0])
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("%s: %d bytes, more than %d", args[0], len(b), maxSecret)
	}
	if err != nil {
		return "", err
	}
	return firstLine(strings.NewReader(string(b)))
}

// tokenAuths returns the names of the authenticators of type "jwt": those of the chain in
// its order, then the others in alphabetical order.
func tokenAuths(c *config.Config) []string {
	var names []string
	for _, e := range c.Zap.Chain {
		names = append(names, e.Authn)
	}
	names = append(names, slices.Sorted(maps.Keys(c.Auth))...)
	var jwts []string
	for _, name := range names {
		if _, ok := c.JWT(name); ok && !slices.Contains(jwts, name) {
			jwts = append(jwts, name)
		}
	}
	return jwts
}

// checkToken asks the named authenticators in turn, as the chain does, and prints their
// explanations.
func checkToken(ctx context.Context, out io.Writer, c *config.Config, names []string, token string) error {
	if len(names) == 0 {
		return usagef("there is no [auth.NAME] with type = \"jwt\"")
	}
	for _, name := range names {
		s, ok := c.JWT(name)
		if !ok {
			return usagef("there is no [auth.%s] with type = \"jwt\"", name)
		}
		reply, err := explainToken(ctx, out, name, s, token)
		switch {
		case errors.Is(err, zap.ErrPass):
			fmt.Fprintln(out, "  => passed on to the next authenticator")
			continue
		case err != nil:
			return err
		case reply.Status != zap.OK:
			fmt.Fprintf(out, "  => refused: %s\n", reply.Text)
			return silentError{exitRefused}
		}
		user := c.Auth[name].UserPrefix + reply.UserID
		fmt.Fprintf(out, "  => accepted: user %q\n", user)
		return printRights(ctx, out, c, user, reply)
	}
	fmt.Fprintln(out, "=> refused: no authenticator accepts the token")
	return silentError{exitRefused}
}

// explainToken asks the authenticator called name and prints its explanation. Lines that
// begin with "- " do not count in favor of the token.
func explainToken(ctx context.Context, out io.Writer, name string, s *config.JWT, token string) (*zap.Reply, error) {
	o, err := s.Options()
	if err != nil {
		return nil, err
	}
	o.Logger = slog.New(slog.DiscardHandler) // the notes contain the same
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

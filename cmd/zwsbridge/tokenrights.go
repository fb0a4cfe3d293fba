package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
)

// printRights prints what a login permits on each route: what the token grants, and what the
// rules of the route allow.
func printRights(ctx context.Context, out io.Writer, c *config.Config, user string, reply *zap.Reply) error {
	routes, err := config.Rights(ctx, c, user, reply)
	for _, r := range routes {
		fmt.Fprintf(out, "%s (%s, domain %q)\n", r.Route.Path, r.Route.Socket, r.Route.Domain)
		for _, access := range r.Grants {
			fmt.Fprintf(out, "  token: %s\n", describeAccess(access))
		}
		if r.Rules == nil {
			fmt.Fprintln(out, "  allow: everything")
		}
		for n, rule := range r.Rules {
			if !rule.Applies {
				fmt.Fprintf(out, "- allow[%d]: applies to user %q only\n", n, rule.Rule.User)
				continue
			}
			printPatterns(out, fmt.Sprintf("allow[%d].subscribe", n), rule.Subscribe)
			printPatterns(out, fmt.Sprintf("allow[%d].send", n), rule.Send)
		}
	}
	return err
}

// printPatterns prints the patterns of a rule with the values of the login filled in.
func printPatterns(out io.Writer, key string, patterns []config.PatternRights) {
	for _, p := range patterns {
		switch {
		case len(p.Filled) == 0:
			fmt.Fprintf(out, "- %s %q: nothing, a placeholder has no usable value\n", key, p.Pattern)
		case slices.Equal(p.Filled, []string{p.Pattern}):
			fmt.Fprintf(out, "  %s %q\n", key, p.Pattern)
		default:
			fmt.Fprintf(out, "  %s %q: %q\n", key, p.Pattern, p.Filled)
		}
	}
}

// describeAccess returns a as text.
func describeAccess(a zap.Access) string {
	var words []string
	if a.Read {
		words = append(words, "read "+describeTopics(a.Receive))
	}
	if a.Write {
		words = append(words, "write "+describeTopics(a.Send))
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func describeTopics(globs []zap.Glob) string {
	if len(globs) == 0 {
		return "no topic"
	}
	var list []string
	for _, g := range globs {
		list = append(list, fmt.Sprintf("%q", strings.Join(g, "*")))
	}
	return strings.Join(list, " ")
}

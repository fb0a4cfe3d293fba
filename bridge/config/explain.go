package config

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
)

// ExplainRights prints what a login may do where.
func ExplainRights(ctx context.Context, out io.Writer, c *Config, user string, reply *zap.Reply) error {
	for i := range c.Routes {
		r := &c.Routes[i]
		fmt.Fprintf(out, "%s (%s, domain %q)\n", r.Path, r.Socket, r.Domain)
		for _, source := range reply.Grants {
			access, err := source.On(ctx, r.Domain, strings.TrimPrefix(r.Path, "/"))
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "  token: %s\n", describe(access))
		}
		if r.Allow == nil {
			fmt.Fprintln(out, "  allow: everything")
		}
		who := rights.Subject{User: user, Claims: reply.Claims, Meta: reply.Metadata}
		for n, rule := range r.Allow {
			if rule.User != "*" && rule.User != user {
				fmt.Fprintf(out, "- allow[%d]: is for user %q\n", n, rule.User)
				continue
			}
			explainPatterns(out, fmt.Sprintf("allow[%d].subscribe", n), rule.Subscribe, r.Separator, who)
			explainPatterns(out, fmt.Sprintf("allow[%d].send", n), rule.Send, r.Separator, who)
		}
	}
	return nil
}

// explainPatterns prints what the patterns of a rule come to for a login.
func explainPatterns(out io.Writer, key string, texts []string, separator string, who rights.Subject) {
	for _, text := range texts {
		p, err := rights.Parse(text, separator)
		if err != nil { // the configuration has been checked
			continue
		}
		filled := p.Fill(who)
		switch {
		case filled == nil:
			fmt.Fprintf(out, "- %s %q: nothing, for want of a value that may stand there\n", key, text)
		case slices.Equal(filled, []string{text}):
			fmt.Fprintf(out, "  %s %q\n", key, text)
		default:
			fmt.Fprintf(out, "  %s %q: %q\n", key, text, filled)
		}
	}
}

// describe puts an access into words.
func describe(a zap.Access) string {
	var words []string
	if a.Read {
		words = append(words, "read "+topics(a.Receive))
	}
	if a.Write {
		words = append(words, "write "+topics(a.Send))
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func topics(globs []zap.Glob) string {
	if len(globs) == 0 {
		return "no topic"
	}
	var list []string
	for _, g := range globs {
		list = append(list, fmt.Sprintf("%q", strings.Join(g, "*")))
	}
	return strings.Join(list, " ")
}

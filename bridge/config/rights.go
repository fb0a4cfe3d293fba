package config

import (
	"context"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
)

// RouteRights explains what a login may do on one route. An action is allowed if every source
// allows it: each grant, and the allow rules together.
type RouteRights struct {
	Route *Route
	// Grants are what each grant of the login allows on the route, for instance the scopes
	// of a token.
	Grants []zap.Access
	// Rules are the allow rules of the route in their order. Nil means that the route has
	// none and allows everything.
	Rules []RuleRights
}

// RuleRights explains one allow rule.
type RuleRights struct {
	Rule *AllowRule
	// Applies reports whether the rule is for the user. If not, Subscribe and Send are nil.
	Applies         bool
	Subscribe, Send []PatternRights
}

// PatternRights explains one pattern of a rule.
type PatternRights struct {
	Pattern string
	// Filled is the pattern with the user's values instead of placeholders, once for each
	// combination of values. It is empty if a placeholder has no value that is allowed there.
	Filled []string
}

// Rights explains what user may do on each route of c after a login with reply. It fails if a
// grant of the reply cannot be evaluated.
func Rights(ctx context.Context, c *Config, user string, reply *zap.Reply) ([]RouteRights, error) {
	subject := rights.Subject{User: user, Claims: reply.Claims, Meta: reply.Metadata}
	var all []RouteRights
	for i := range c.Routes {
		r := &c.Routes[i]
		explained := RouteRights{Route: r}
		for _, grant := range reply.Grants {
			access, err := grant.On(ctx, r.Domain, strings.TrimPrefix(r.Path, "/"))
			if err != nil {
				return nil, err
			}
			explained.Grants = append(explained.Grants, access)
		}
		if r.Allow != nil {
			explained.Rules = make([]RuleRights, 0, len(r.Allow))
		}
		for n := range r.Allow {
			rule := RuleRights{Rule: &r.Allow[n], Applies: r.Allow[n].User == "*" || r.Allow[n].User == user}
			if rule.Applies {
				rule.Subscribe = fillPatterns(rule.Rule.Subscribe, *r.Separator, subject)
				rule.Send = fillPatterns(rule.Rule.Send, *r.Separator, subject)
			}
			explained.Rules = append(explained.Rules, rule)
		}
		all = append(all, explained)
	}
	return all, nil
}

// fillPatterns fills in the placeholders of the patterns of a rule.
func fillPatterns(texts []string, separator string, subject rights.Subject) []PatternRights {
	var all []PatternRights
	for _, text := range texts {
		if p, err := rights.Parse(text, separator); err == nil { // a fault otherwise
			all = append(all, PatternRights{Pattern: text, Filled: p.Fill(subject)})
		}
	}
	return all
}

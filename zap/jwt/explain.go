package jwt

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Note is one line of an explanation: the result for a claim, a header or a check.
type Note struct {
	Good    bool   // it speaks for the token
	Subject string // "iss", "alg", "kid", "signature", "scope" …
	Text    string
}

// tracer receives notes; nil ignores them.
type tracer func(Note)

// note is called by every check, so that the explanation cannot differ from the decision.
func (t tracer) note(good bool, subject, format string, args ...any) {
	if t != nil {
		t(Note{good, subject, fmt.Sprintf(format, args...)})
	}
}

// Explain decides on a token as Authenticate does and returns notes about every check and, for a
// valid token, about the claims that did not matter. The notes contain claims, but no key and no
// signature.
func (a *Authenticator) Explain(ctx context.Context, text string) (reply *zap.Reply, notes []Note, err error) {
	reply, err = a.judge(ctx, strings.TrimSpace(text), func(n Note) { notes = append(notes, n) })
	if err != nil {
		return nil, notes, err
	}
	judged := make(map[string]bool)
	for _, n := range notes {
		judged[n.Subject] = true
	}
	for _, claim := range slices.Sorted(maps.Keys(reply.Claims)) {
		if !judged[claim] {
			notes = append(notes, Note{true, claim, fmt.Sprintf("%.100q: only for {claim.%s} in patterns", reply.Claims[claim], claim)})
		}
	}
	return reply, notes, nil
}

// String describes what a scope grants.
func (s scope) String() string {
	if s.permission == permTag {
		return "the tag " + s.tag
	}
	topic := ""
	if s.topic != nil {
		topic = fmt.Sprintf(`, topic "%s"`, s.topic)
	}
	return fmt.Sprintf(`%s in domain "%s" on route "%s"%s`, s.permission, s.domain, s.route, topic)
}

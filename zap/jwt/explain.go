package jwt

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Note is one line of an explanation: what a claim, a header or a step of the judgement
// came to.
type Note struct {
	Good    bool   // it counts for the token
	Subject string // "iss", "alg", "kid", "signature", "scope" …
	Text    string
}

// tracer takes notes; nil takes none.
type tracer func(Note)

// note is called for every step, so that the explanation is the judgement.
func (t tracer) note(good bool, subject, format string, args ...any) {
	if t != nil {
		t(Note{good, subject, fmt.Sprintf(format, args...)})
	}
}

// Explain judges a token as Authenticate does and tells how it came to that, and of a good
// one also which claims did not matter. The notes hold claims, no key and no signature.
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

// String tells what a scope grants.
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

package jwt

import (
	"bufio"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// rights parses scopes without a prefix and ignores invalid ones.
func rights(strict bool, scopes ...string) *permissions {
	p := &permissions{strict: strict}
	for _, text := range scopes {
		if s, err := parseScope(text); err == nil {
			p.scopes = append(p.scopes, s)
		}
	}
	return p
}

func access(t testing.TB, p *permissions, domain, route string) zap.Access {
	t.Helper()
	a, err := p.On(context.Background(), domain, route)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// permits reports whether one of the globs matches.
func permits(globs []zap.Glob, topic string) bool {
	for _, g := range globs {
		if g.Match([]byte(topic)) {
			return true
		}
	}
	return false
}

// decision is a decision of RabbitMQ.
type decision struct {
	Kind       string   `json:"kind"`
	Scopes     []string `json:"scopes"`
	Vhost      string   `json:"vhost"`
	Name       string   `json:"name"`
	Permission string   `json:"permission"`
	RoutingKey string   `json:"routing_key"`
	Allowed    bool     `json:"allowed"`
}

// decide returns our decision for the same request. Since configure is never asked for, it is
// replaced by read.
func decide(t *testing.T, d decision) bool {
	scopes := d.Scopes
	if d.Permission == permConfigure {
		scopes = nil
		for _, s := range d.Scopes {
			if rest, ok := strings.CutPrefix(s, permConfigure+":"); ok {
				scopes = append(scopes, permRead+":"+rest)
			}
		}
	}
	p := rights(true, scopes...)
	if d.Kind == "vhost" {
		in, err := p.In(context.Background(), d.Vhost)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	a := access(t, p, d.Vhost, d.Name)
	granted, topics := a.Read, a.Receive
	if d.Permission == permWrite {
		granted, topics = a.Write, a.Send
	}
	if d.Kind == "topic" {
		return permits(topics, d.RoutingKey)
	}
	return granted
}

// TestRabbitMQ compares our decisions with those of a running RabbitMQ.
func TestRabbitMQ(t *testing.T) {
	f, err := os.Open("testdata/rabbitmq-scopes.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := 0
	for lines := bufio.NewScanner(f); lines.Scan(); rows++ {
		var d decision
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		if got := decide(t, d); got != d.Allowed {
			t.Errorf("%s: %v, RabbitMQ says %v", lines.Text(), got, d.Allowed)
		}
	}
	if rows != 500 {
		t.Errorf("%d rows, want 500", rows)
	}
}

// TestScopes: what a scope grants, without and with StrictTopics.
func TestScopes(t *testing.T) {
	for _, c := range []struct {
		scope         string
		domain, route string
		topic         string
		lax, strict   string // of "r", "w", "t": read, write, and the topic with one of them
	}{
		{"read:*/*", "global", "devices", "any", "rt", "r"},
		{"write:uaa_vhost/x-*", "uaa_vhost", "x-house", "any", "wt", "w"},
		{"write:uaa_vhost/x-*", "uaa_vhost", "y-house", "any", "", ""},
		{"write:*/*/*", "global", "devices", "any", "wt", "wt"},
		{"configure:*/*/*", "global", "devices", "any", "", ""},
		{"tag:monitoring", "global", "devices", "any", "", ""},
		{"read:global/devices/house.*", "global", "devices", "house.ann", "rt", "rt"},
		{"read:global/devices/house.*", "global", "devices", "garden", "r", "r"},
		{"read:global/devices/", "global", "devices", "", "rt", "rt"},
		{"read:global/devices/", "global", "devices", "x", "r", "r"},
		{"read:global/a%2Fb/house%2F*", "global", "a/b", "house/ann", "rt", "rt"},
		{"read:global/devices/%2A", "global", "devices", "*", "rt", "rt"},
		{"read:global/devices/%2A", "global", "devices", "x", "r", "r"},
		{"read:global/devices/a/b", "global", "devices", "a/b", "", ""},
		{"read:global", "global", "", "", "", ""},
		{"READ:*/*", "global", "devices", "any", "", ""},
		{"read", "global", "devices", "any", "", ""},
		{"read:*/%zz", "global", "devices", "any", "", ""},
		{"read:Global/devices", "global", "devices", "any", "", ""},
		{"read:*o/*o", "foofoo", "foofoo", "any", "rt", "r"}, // RabbitMQ, which does not backtrack, refuses
		{"read:*l/*s", "global", "devices", "any", "rt", "r"},
		{"read:/devices", "", "devices", "any", "rt", "r"},
		{"read:*/", "global", "", "any", "rt", "r"},
	} {
		for _, strict := range []bool{false, true} {
			a := access(t, rights(strict, c.scope), c.domain, c.route)
			got, want := "", c.lax
			if strict {
				want = c.strict
			}
			if a.Read {
				got += "r"
			}
			if a.Write {
				got += "w"
			}
			if a.Read && permits(a.Receive, c.topic) || a.Write && permits(a.Send, c.topic) {
				got += "t"
			}
			if got != want {
				t.Errorf("%s, strict %v, on %s/%s/%s: %q, want %q", c.scope, strict, c.domain, c.route, c.topic, got, want)
			}
		}
	}
}

// slow is a glob matcher that is obviously correct.
func slow(g []string, text string) bool {
	rest, ok := strings.CutPrefix(text, g[0])
	if !ok || len(g) == 1 {
		return ok && rest == ""
	}
	for i := range len(rest) + 1 {
		if slow(g[1:], rest[i:]) {
			return true
		}
	}
	return false
}

// TestGlob compares the matcher with the slow one.
func TestGlob(t *testing.T) {
	words := func(n int) string {
		b := make([]byte, rand.IntN(n))
		for i := range b {
			b[i] = "ab*"[rand.IntN(3)]
		}
		return string(b)
	}
	for range 20_000 {
		pattern, text := words(8), words(12)
		g, err := parseGlob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := g.Match([]byte(text)), slow(g, text); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
		}
	}
}

var scopeCorpus = []string{
	"read:*/*", "write:uaa_vhost/x-*", "tag:monitoring", "configure:a/b/c", "read:a%2Fb/%2A/*x*",
	"read:a/b/c/d", "read:", ":", "", "read:/", "read:%/%", "tag: ", "read:%00/\xff",
}

func TestScopeCorpus(t *testing.T) {
	if len(scopeCorpus) == 0 {
		t.Error("fuzz target without seeds")
	}
}

// FuzzScope: a valid scope grants what it says and nothing else.
func FuzzScope(f *testing.F) {
	for _, s := range scopeCorpus {
		f.Add(s, "global", "devices", "topic")
	}
	f.Fuzz(func(t *testing.T, text, domain, route, topic string) {
		if len(text)+len(domain)+len(route)+len(topic) > 200 {
			return // too long for the slow matcher
		}
		s, err := parseScope(text)
		if err != nil {
			return
		}
		a := access(t, rights(true, text), domain, route)
		if s.permission != permRead && s.permission != permWrite {
			if a.Read || a.Write {
				t.Fatalf("%q grants read or write", text)
			}
			return
		}
		_, rest, _ := strings.Cut(text, ":")
		parts := strings.Split(rest, "/")
		if want := slow(s.domain, domain) && slow(s.route, route); (a.Read || a.Write) != want {
			t.Fatalf("%q on %q/%q: %+v, want %v", text, domain, route, a, want)
		}
		topics := append(a.Receive, a.Send...)
		if len(topics) > 0 && (len(parts) != 3 || permits(topics, topic) != slow(s.topic, topic)) {
			t.Fatalf("%q grants topics %q", text, topics)
		}
	})
}

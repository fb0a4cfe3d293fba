package rights

import (
	"context"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// slowGlob matches a glob as a regular expression.
func slowGlob(g zap.Glob, topic string) bool {
	quoted := make([]string, len(g))
	for i, literal := range g {
		quoted[i] = regexp.QuoteMeta(literal)
	}
	return len(g) > 0 && regexp.MustCompile(`(?s)^(?:`+strings.Join(quoted, `.*`)+`)$`).MatchString(topic)
}

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		glob    string
		allowed []string
		denied  []string
	}{
		{"", []string{""}, []string{"a"}},
		{"*", []string{"", "a", "a/b"}, nil},
		{"a", []string{"a"}, []string{"", "aa", "a/b"}},
		{"a*", []string{"a", "ab", "a/b"}, []string{"", "ba"}},
		{"*o", []string{"o", "foofoo"}, []string{"of"}}, // RabbitMQ's matcher fails on the second
		{"*foo*", []string{"foo", "xfoox"}, []string{"fo", "ffo"}},
		{"aa*aa", []string{"aaaa", "aaxaa"}, []string{"aa", "aaa"}},
		{"a*b*a", []string{"aba", "axbxa"}, []string{"aa", "ab", "aab"}},
		{"a**b", []string{"ab", "axb"}, []string{"a"}},
	} {
		set := NewGlobs([]zap.Glob{strings.Split(tt.glob, "*")}, nil, false)
		for _, topic := range tt.allowed {
			if !set.Deliver([]byte(topic)) {
				t.Errorf("%q does not allow %q", tt.glob, topic)
			}
		}
		for _, topic := range tt.denied {
			if set.Deliver([]byte(topic)) {
				t.Errorf("%q allows %q", tt.glob, topic)
			}
		}
		if set.Send(context.Background(), nil) == nil {
			t.Errorf("%q of subscribe allows sending", tt.glob)
		}
	}
	for _, g := range []zap.Glob{{"x"}, {"", ""}, {"a", "b"}} {
		if NewGlobs(nil, []zap.Glob{g}, false).Empty() {
			t.Errorf("%q allows nothing", g)
		}
	}
	if NewGlobs([]zap.Glob{nil}, nil, false).Deliver(nil) {
		t.Error("a glob without literals allows something")
	}
}

// TestGlobsAgainstRegexp compares delivery with a regular expression. A subscription must
// bring all that is allowed, and nothing else unless it has a filter.
func TestGlobsAgainstRegexp(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	letters := func(n int, from string) string {
		b := make([]byte, r.IntN(n))
		for i := range b {
			b[i] = from[r.IntN(len(from))]
		}
		return string(b)
	}
	yes := 0
	for range 2_000 {
		globs := []zap.Glob{strings.Split(letters(6, "ab*"), "*"), strings.Split(letters(6, "ab*"), "*")}
		narrow := r.IntN(2) == 0
		set := NewGlobs(globs, globs, narrow)
		requested := letters(4, "ab")
		g, err := set.Subscribe(context.Background(), []byte(requested))
		for range 20 {
			topic := letters(7, "ab")
			want := slices.ContainsFunc(globs, func(g zap.Glob) bool { return slowGlob(g, topic) })
			if got := set.Deliver([]byte(topic)); got != want {
				t.Fatalf("%q: Deliver(%q) = %v, want %v", globs, topic, got, want)
			}
			brought := slices.ContainsFunc(g.Prefixes, func(p []byte) bool { return strings.HasPrefix(topic, string(p)) })
			switch {
			case brought && !want && !g.Filter:
				t.Fatalf("%q: Subscribe(%q) brings %q without filter", globs, requested, topic)
			case want && strings.HasPrefix(topic, requested) && !brought && (narrow || err == nil):
				t.Fatalf("%q, narrow %v: Subscribe(%q) = %q, %v: lacks %q", globs, narrow, requested, g.Prefixes, err, topic)
			}
			if want {
				yes++
			}
		}
	}
	if yes < 1000 {
		t.Fatalf("only %d topics were allowed: the test proves little", yes)
	}
}

func TestGlobsDoNotAllocate(t *testing.T) {
	long := strings.Repeat("a literal that is longer than a small buffer ", 4)
	set := NewGlobs([]zap.Glob{{"x", ""}, {"", long, ""}}, nil, false)
	topic := []byte("y" + long)
	if !set.Deliver(topic) {
		t.Fatal("not delivered")
	}
	if n := testing.AllocsPerRun(100, func() { set.Deliver(topic) }); n != 0 {
		t.Errorf("%v allocations for each message, want 0", n)
	}
}

package rights

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// slowMatch follows the documentation of the patterns literally.
func slowMatch(pattern, separator, topic string, s Subject) bool {
	texts := []string{pattern}
	boundToLevel := strings.HasSuffix(pattern, "}")
	for _, name := range []string{"user", "claim.groups", "meta.House"} {
		var next []string
		for _, text := range texts {
			if !strings.Contains(text, "{"+name+"}") {
				next = append(next, text)
				continue
			}
			for _, v := range s.values(name) {
				if v != "" && !strings.ContainsAny(v, "+#*\x00"+separator) {
					next = append(next, strings.ReplaceAll(text, "{"+name+"}", v))
				}
			}
		}
		texts = next
	}
	return slices.ContainsFunc(texts, func(text string) bool {
		levels, have := strings.Split(text, separator), strings.Split(topic, separator)
		if !slices.Contains(levels, "+") && !slices.Contains(levels, "#") {
			if boundToLevel {
				return topic == text || strings.HasPrefix(topic, text+separator)
			}
			return strings.HasPrefix(topic, text)
		}
		for i, l := range levels {
			switch {
			case l == "#":
				return len(have) > i
			case i == len(have):
				return false
			case l != "+" && l != have[i]:
				return false
			}
		}
		return len(levels) == len(have)
	})
}

// word returns a short word of few letters, so that many are equal.
func word(r *rand.Rand) string {
	words := []string{"", "a", "b", "ab", "aa"}
	return words[r.IntN(len(words))]
}

func randomTopic(r *rand.Rand) string {
	levels := make([]string, r.IntN(5))
	for i := range levels {
		levels[i] = word(r)
	}
	return strings.Join(levels, "/")
}

func randomPattern(r *rand.Rand) string {
	levels := make([]string, 1+r.IntN(4))
	for i := range levels {
		switch n := r.IntN(10); {
		case n < 2:
			levels[i] = "+"
		case n == 2:
			levels[i] = "{user}"
		case n == 3:
			levels[i] = "{claim.groups}"
		case n == 4:
			levels[i] = "b{meta.House}"
		default:
			levels[i] = word(r)
		}
	}
	if r.IntN(4) == 0 {
		levels = append(levels, "#")
	}
	return strings.Join(levels, "/")
}

var subjects = []Subject{
	{User: "a", Claims: map[string][]string{"groups": {"a", "b", "", "a/b", "+"}}, Meta: zap.Metadata{{Name: "house", Value: "b"}}},
	{User: "ab", Claims: map[string][]string{"groups": {"ab"}}},
	{User: ""},
	{User: "#"},
	{User: "a/b", Claims: map[string][]string{"groups": {"\x00"}}},
}

// TestDeliverIsThePatternLanguage compares Deliver and Send with the documentation.
func TestDeliverIsThePatternLanguage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	yes := 0
	for range 20_000 {
		patterns := make([]string, 1+r.IntN(4))
		for i := range patterns {
			patterns[i] = randomPattern(r)
		}
		s := subjects[r.IntN(len(subjects))]
		set := mustSet(t, []Rule{{User: "*", Subscribe: patterns, Send: patterns}}, Options{Separator: "/"}, s)
		for range 10 {
			topic := randomTopic(r)
			want := slices.ContainsFunc(patterns, func(p string) bool { return slowMatch(p, "/", topic, s) })
			if got := set.Deliver([]byte(topic)); got != want {
				t.Fatalf("patterns %q, user %q: Deliver(%q) = %v, want %v", patterns, s.User, topic, got, want)
			}
			if got := set.Send(context.Background(), []byte(topic)) == nil; got != want {
				t.Fatalf("patterns %q, user %q: Send(%q) = %v, want %v", patterns, s.User, topic, got, want)
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

// TestSubscribeBringsWhatIsAllowed checks that the upstream prefixes together with the filter
// bring exactly the allowed topics of the requested subscription, and that they bring nothing
// else if no filter is needed.
func TestSubscribeBringsWhatIsAllowed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	allowed, denied := 0, 0
	for range 20_000 {
		patterns := make([]string, 1+r.IntN(4))
		for i := range patterns {
			patterns[i] = randomPattern(r)
		}
		s := subjects[r.IntN(len(subjects))]
		narrow := r.IntN(2) == 0
		set := mustSet(t, []Rule{{User: "*", Subscribe: patterns}}, Options{Separator: "/", Narrow: narrow}, s)
		requested := randomTopic(r)
		g, err := set.Subscribe(context.Background(), []byte(requested))
		if err != nil {
			denied++
			if !errors.Is(err, ErrDenied) {
				t.Fatalf("Subscribe(%q): %v", requested, err)
			}
		} else {
			allowed++
		}
		for range 20 {
			topic := randomTopic(r)
			below := strings.HasPrefix(topic, requested)
			brought := slices.ContainsFunc(g.Prefixes, func(p []byte) bool { return strings.HasPrefix(topic, string(p)) })
			delivered := set.Deliver([]byte(topic))
			switch {
			case brought && !below:
				t.Fatalf("patterns %q: Subscribe(%q) brings %q", patterns, requested, topic)
			case brought && !delivered && !g.Filter:
				t.Fatalf("patterns %q: Subscribe(%q) brings %q, which is not allowed, without filter", patterns, requested, topic)
			case below && delivered && !brought && (narrow || err == nil):
				t.Fatalf("patterns %q, narrow %v: Subscribe(%q) = %q, %v: lacks %q", patterns, narrow, requested, g.Prefixes, err, topic)
			}
		}
	}
	if allowed < 1000 || denied < 1000 {
		t.Fatalf("%d allowed, %d denied: the test proves little", allowed, denied)
	}
}

func mustSet(t testing.TB, rules []Rule, o Options, s Subject) *Set {
	t.Helper()
	p, err := Compile(rules, o)
	if err != nil {
		t.Fatal(err)
	}
	set, err := p.For(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestDeliverDoesNotAllocate(t *testing.T) {
	set := groupSet(t, 1000)
	topic := []byte("conversations/group/g500/alice")
	if !set.Deliver(topic) {
		t.Fatal("not delivered")
	}
	if n := testing.AllocsPerRun(100, func() { set.Deliver(topic) }); n != 0 {
		t.Errorf("%v allocations for each message, want 0", n)
	}
}

// groupSet returns the grant of a user who is in many groups.
func groupSet(t testing.TB, groups int) *Set {
	s := Subject{User: "alice", Claims: map[string][]string{}}
	for i := range groups {
		s.Claims["groups"] = append(s.Claims["groups"], "g"+itoa(i))
	}
	return mustSet(t, []Rule{{User: "*", Subscribe: []string{"conversations/group/{claim.groups}/+", "conversations/private/+/{user}", "house/{user}/"}}},
		Options{Separator: "/"}, s)
}

func BenchmarkDeliver(b *testing.B) {
	for _, bench := range []struct {
		name, topic string
		groups      int
	}{
		{"prefix", "house/alice/kitchen/temperature", 1},
		{"levels", "conversations/private/bob/alice", 1},
		{"group of 1000", "conversations/group/g500/alice", 1000},
		{"denied", "conversations/group/other/alice", 1000},
	} {
		b.Run(bench.name, func(b *testing.B) {
			set, topic := groupSet(b, bench.groups), []byte(bench.topic)
			b.ReportAllocs()
			for b.Loop() {
				set.Deliver(topic)
			}
		})
	}
}

func BenchmarkSubscribe(b *testing.B) {
	set, prefix := groupSet(b, 1000), []byte("conversations/group/g500/")
	for b.Loop() {
		if _, err := set.Subscribe(context.Background(), prefix); err != nil {
			b.Fatal(err)
		}
	}
}

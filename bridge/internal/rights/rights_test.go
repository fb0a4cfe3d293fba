package rights

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

func itoa(i int) string { return strconv.Itoa(i) }

func TestPatterns(t *testing.T) {
	alice := Subject{User: "alice", Claims: map[string][]string{"groups": {"g1", "g2"}}, Meta: zap.Metadata{{Name: "House", Value: "7"}}}
	for _, tt := range []struct {
		pattern string
		allowed []string
		denied  []string
	}{
		{"house/1", []string{"house/1", "house/1/x", "house/10"}, []string{"house/", "house", "xhouse/1"}},
		{"", []string{"", "a", "a/b"}, nil},
		{"#", []string{"", "a", "a/b"}, nil},
		{"house/#", []string{"house/", "house/1", "house/1/2"}, []string{"house", "houses/1"}},
		{"house/+/temp", []string{"house/1/temp", "house//temp"}, []string{"house/temp", "house/1/2/temp", "house/1/temp/max", "house/1/temperature"}},
		{"house/+", []string{"house/1", "house/"}, []string{"house", "house/1/2"}},
		{"house/+/#", []string{"house/1/", "house/1/2/3"}, []string{"house/1", "house/"}},
		{"+/+", []string{"/", "a/b"}, []string{"", "a", "a/b/c"}},
		{"house/{user}/", []string{"house/alice/", "house/alice/x"}, []string{"house/alice", "house/alice2/", "house/bob/"}},
		{"house/{user}", []string{"house/alice", "house/alice/", "house/alice/x"}, []string{"house/alice2", "house/bob", "house/alic"}},
		{"dev-{user}/temp", []string{"dev-alice/temp", "dev-alice/temperature"}, []string{"dev-alice2/temp", "dev-bob/temp"}},
		{"g/{claim.groups}/+", []string{"g/g1/x", "g/g2/x"}, []string{"g/g3/x", "g/g1", "g/g1/x/y"}},
		{"{claim.groups}/{claim.groups}/", []string{"g1/g1/", "g2/g2/x"}, []string{"g1/g2/"}},
		{"h/{meta.house}", []string{"h/7", "h/7/x"}, []string{"h/77"}},
		{"x/{claim.none}/", nil, []string{"x/", "x//", "x"}},
	} {
		set := mustSet(t, []Rule{{User: "*", Subscribe: []string{tt.pattern}}}, Options{Separator: "/"}, alice)
		for _, topic := range tt.allowed {
			if !set.Deliver([]byte(topic)) {
				t.Errorf("%q does not allow %q", tt.pattern, topic)
			}
		}
		for _, topic := range tt.denied {
			if set.Deliver([]byte(topic)) {
				t.Errorf("%q allows %q", tt.pattern, topic)
			}
		}
	}
}

// TestHarmfulValues checks that a value that could leave its level or match others allows
// nothing.
func TestHarmfulValues(t *testing.T) {
	for _, user := range []string{"", "+", "#", "*", "a+b", "a/b", "/", "a\x00b", "../x"} {
		set := mustSet(t, []Rule{{User: "*", Subscribe: []string{"house/{user}/"}, Send: []string{"house/{user}/#"}}},
			Options{Separator: "/", Narrow: true}, Subject{User: user})
		for _, topic := range []string{"house/", "house//", "house/x/", "house/" + user + "/", "house/+/", "house/a/b/"} {
			if set.Deliver([]byte(topic)) {
				t.Errorf("user %q: %q is delivered", user, topic)
			}
			if set.Send(context.Background(), []byte(topic)) == nil {
				t.Errorf("user %q: %q may be sent", user, topic)
			}
			if g, err := set.Subscribe(context.Background(), []byte(topic)); err == nil {
				t.Errorf("user %q: Subscribe(%q) = %q", user, topic, g.Prefixes)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ pattern, separator, want string }{
		{"a+", "/", "fill a whole level"},
		{"a/b#", "/", "fill a whole level"},
		{"#/a", "/", "last level"},
		{"++", "/", "fill a whole level"},
		{"a/{user", "/", "without }"},
		{"a/{usr}", "/", "unknown placeholder"},
		{"a/{claim.}", "/", "unknown placeholder"},
		{"a/{claim}", "/", "unknown placeholder"},
		{"+{user}", "/", "fill a whole level"},
		{"{user}", "", "need a separator"},
		{"a", "//", "separator"},
		{"a", "+", "separator"},
		{"a", "é", "separator"},
		{strings.Repeat("/", maxLevels), "/", "levels"},
	} {
		_, err := Parse(tt.pattern, tt.separator)
		var pe *PatternError
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q, %q): %v, want an error about %q", tt.pattern, tt.separator, err, tt.want)
		}
	}
	if _, err := Parse(strings.Repeat("/", maxLevels-1), "/"); err != nil {
		t.Errorf("%d levels: %v", maxLevels, err)
	}
	if _, err := Compile([]Rule{{}, {Send: []string{"ok", "a+"}}}, Options{Separator: "/"}); err == nil || !strings.Contains(err.Error(), `allow[1].send: pattern "a+"`) {
		t.Errorf("Compile: %v", err)
	}
}

func TestSubscribe(t *testing.T) {
	rules := []Rule{{User: "*", Subscribe: []string{"house/{user}/", "public/a", "public/b", "conversations/private/+/{user}"}}}
	for _, tt := range []struct {
		requested string
		refuse    Allowed // with on_wide = "refuse"; zero = denied
		narrowed  Allowed
	}{
		{"house/alice/", allowed(false, "house/alice/"), allowed(false, "house/alice/")},
		{"house/alice/x", allowed(false, "house/alice/x"), allowed(false, "house/alice/x")},
		{"house/alice", Allowed{}, allowed(false, "house/alice/")},
		{"house/", Allowed{}, allowed(false, "house/alice/")},
		{"house/bob/", Allowed{}, Allowed{}},
		{"public/", Allowed{}, allowed(false, "public/a", "public/b")},
		{"conversations/private/", allowed(true, "conversations/private/"), allowed(true, "conversations/private/")},
		{"conversations/private/bob", allowed(true, "conversations/private/bob"), allowed(true, "conversations/private/bob")},
		{"conversations/private/bob/al", allowed(true, "conversations/private/bob/al"), allowed(true, "conversations/private/bob/al")},
		{"conversations/private/bob/carol", Allowed{}, Allowed{}},
		{"conversations/private/bob/alice/x", Allowed{}, Allowed{}},
		{"conversations/", Allowed{}, allowed(true, "conversations/private/")},
		{"", Allowed{}, allowed(true, "conversations/private/", "house/alice/", "public/a", "public/b")},
		{"other", Allowed{}, Allowed{}},
	} {
		for _, narrow := range []bool{false, true} {
			want := tt.refuse
			if narrow {
				want = tt.narrowed
			}
			set := mustSet(t, rules, Options{Separator: "/", Narrow: narrow}, Subject{User: "alice"})
			got, err := set.Subscribe(context.Background(), []byte(tt.requested))
			if denied := want.Prefixes == nil; denied != errors.Is(err, ErrDenied) {
				t.Errorf("Subscribe(%q), narrow %v: %v", tt.requested, narrow, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Subscribe(%q), narrow %v:\n%s", tt.requested, narrow, diff)
			}
		}
	}
}

func allowed(filter bool, prefixes ...string) Allowed {
	g := Allowed{Filter: filter}
	for _, p := range prefixes {
		g.Prefixes = append(g.Prefixes, []byte(p))
	}
	return g
}

func TestRulesAddUp(t *testing.T) {
	rules := []Rule{
		{User: "alice", Subscribe: []string{"a/"}},
		{User: "alice", Send: []string{"b/"}},
		{User: "bob", Subscribe: []string{"#"}, Send: []string{"#"}},
		{User: "", Subscribe: []string{"guests/"}},
	}
	ctx := context.Background()
	alice := mustSet(t, rules, Options{Separator: "/"}, Subject{User: "alice"})
	if !alice.Deliver([]byte("a/x")) || alice.Deliver([]byte("b/x")) || alice.Deliver([]byte("guests/")) {
		t.Error("alice receives something other than a/")
	}
	if alice.Send(ctx, []byte("b/x")) != nil || alice.Send(ctx, []byte("a/x")) == nil {
		t.Error("alice sends something other than b/")
	}
	if anonymous := mustSet(t, rules, Options{Separator: "/"}, Subject{}); !anonymous.Deliver([]byte("guests/1")) || anonymous.Deliver([]byte("a/")) {
		t.Error("the anonymous user receives something other than guests/")
	}
	if nobody := mustSet(t, nil, Options{Separator: "/"}, Subject{User: "bob"}); nobody.Deliver(nil) || nobody.Send(ctx, nil) == nil {
		t.Error("a policy without rules allows something")
	}
}

func TestWithoutSeparatorThereAreOnlyPrefixes(t *testing.T) {
	set := mustSet(t, []Rule{{User: "*", Subscribe: []string{"a+/#"}}}, Options{}, Subject{})
	if !set.Deliver([]byte("a+/#x")) || set.Deliver([]byte("ab/c")) {
		t.Error("+ and # are not literals")
	}
}

func TestCombine(t *testing.T) {
	ctx := context.Background()
	o := Options{Separator: "/", Narrow: true}
	a := mustSet(t, []Rule{{User: "*", Subscribe: []string{"x/", "y/1"}, Send: []string{"x/"}}}, o, Subject{})
	b := mustSet(t, []Rule{{User: "*", Subscribe: []string{"x/+/t", "y/"}, Send: []string{"x/1", "z"}}}, o, Subject{})
	both := Combine(a, Everything, Combine(b))
	g, err := both.Subscribe(ctx, nil)
	if diff := cmp.Diff(allowed(true, "x/", "y/1"), g); diff != "" || err != nil {
		t.Errorf("Subscribe: %v\n%s", err, diff)
	}
	for topic, want := range map[string]bool{"x/1/t": true, "x/1": false, "y/1": true, "y/2": false} {
		if both.Deliver([]byte(topic)) != want {
			t.Errorf("Deliver(%q) is not %v", topic, want)
		}
	}
	for topic, want := range map[string]bool{"x/1": true, "x/2": false, "z": false} {
		if err := both.Send(ctx, []byte(topic)); (err == nil) != want {
			t.Errorf("Send(%q): %v", topic, err)
		}
	}
	if _, err := both.Subscribe(ctx, []byte("y/2")); !errors.Is(err, ErrDenied) {
		t.Errorf("Subscribe to what one grant denies: %v", err)
	}
	if !Combine().Unlimited() || !Combine(Everything, Everything).Unlimited() || Combine(a).Unlimited() {
		t.Error("Combine of nothing does not allow everything, or Combine of a grant does")
	}
}

// broken is a grant that cannot decide.
type broken struct{ Grant }

var errNoDecision = errors.New("no answer")

func (broken) Subscribe(context.Context, []byte) (Allowed, error) { return Allowed{}, errNoDecision }
func (broken) Send(context.Context, []byte) error                 { return errNoDecision }

// TestNoDecisionIsNoPermission checks that an error of one grant is neither a permission nor
// a refusal, whatever the others decide.
func TestNoDecisionIsNoPermission(t *testing.T) {
	r := Combine(Everything, broken{Everything})
	if _, err := r.Subscribe(context.Background(), nil); !errors.Is(err, errNoDecision) || errors.Is(err, ErrDenied) {
		t.Errorf("Subscribe: %v", err)
	}
	if err := r.Send(context.Background(), nil); !errors.Is(err, errNoDecision) {
		t.Errorf("Send: %v", err)
	}
}

func TestFromMetadata(t *testing.T) {
	o := Options{Separator: "/"}
	if r, err := FromMetadata(zap.Metadata{{Name: "Tags", Value: "x"}}, o); r != Everything || err != nil {
		t.Errorf("metadata without rights: %v, %v", r, err)
	}
	r, err := FromMetadata(zap.Metadata{{Name: "subscribe", Value: " house/1/  {user}/ a/+ "}}, o)
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]bool{"house/1/x": true, "{user}/": true, "a/b": true, "a/b/c": false, "": false} {
		if r.Deliver([]byte(topic)) != want {
			t.Errorf("Deliver(%q) is not %v", topic, want)
		}
	}
	if r.Send(context.Background(), []byte("house/1/")) == nil {
		t.Error("Subscribe alone allows sending")
	}
	if _, err := FromMetadata(zap.Metadata{{Name: "Send", Value: "a+"}}, o); err == nil {
		t.Error("an invalid pattern is accepted")
	}
}

func TestTooManyPatterns(t *testing.T) {
	s := Subject{Claims: map[string][]string{}}
	for i := range MaxPatterns {
		s.Claims["a"] = append(s.Claims["a"], itoa(i))
	}
	p, err := Compile([]Rule{{User: "*", Subscribe: []string{"{claim.a}/"}}}, Options{Separator: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.For(s); err != nil {
		t.Errorf("%d patterns: %v", MaxPatterns, err)
	}
	s.Claims["a"] = append(s.Claims["a"], "one more")
	if _, err := p.For(s); !errors.Is(err, ErrTooManyPatterns) {
		t.Errorf("%d patterns: %v", MaxPatterns+1, err)
	}
	p, err = Compile([]Rule{{User: "*", Send: []string{"{claim.a}/{claim.b}/{claim.c}"}}}, Options{Separator: "/"})
	if err != nil {
		t.Fatal(err)
	}
	s.Claims["b"], s.Claims["c"] = s.Claims["a"], s.Claims["a"]
	if _, err := p.For(s); !errors.Is(err, ErrTooManyPatterns) {
		t.Errorf("10^12 combinations: %v", err)
	}
}

// TestWaveConversations has the rules of Wave's README: users publish only under their own
// name and receive only what is addressed to them, so that the sender in a topic can be
// trusted.
func TestWaveConversations(t *testing.T) {
	policy, err := Compile([]Rule{{
		User: "*",
		Subscribe: []string{
			"conversations/private/+/{user}",
			"conversations/group/{claim.groups}/+",
		},
		Send: []string{
			"conversations/private/{user}/+",
			"conversations/group/{claim.groups}/{user}",
		},
	}}, Options{Separator: "/"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	sets := map[string]*Set{}
	for user, groups := range map[string][]string{"alice": {"g1"}, "bob": {"g1", "g2"}, "mallory": nil} {
		if sets[user], err = policy.For(Subject{User: user, Claims: map[string][]string{"groups": groups}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		topic     string
		senders   string // users who may send it
		receivers string // users who receive it
	}{
		{"conversations/private/alice/bob", "alice", "bob"},
		{"conversations/private/mallory/bob", "mallory", "bob"},
		{"conversations/private/alice/bob/more", "", ""},
		{"conversations/private/alice", "", ""},
		{"conversations/group/g1/alice", "alice", "alice bob"},
		{"conversations/group/g2/bob", "bob", "bob"},
		{"conversations/group/g2/alice", "", "bob"},
		{"conversations/group/g3/mallory", "", ""},
	} {
		for user, set := range sets {
			if got, want := set.Send(ctx, []byte(tt.topic)) == nil, contains(tt.senders, user); got != want {
				t.Errorf("%s sends to %s: %v, want %v", user, tt.topic, got, want)
			}
			if got, want := set.Deliver([]byte(tt.topic)), contains(tt.receivers, user); got != want {
				t.Errorf("%s receives %s: %v, want %v", user, tt.topic, got, want)
			}
		}
	}
	g, err := sets["bob"].Subscribe(ctx, []byte("conversations/private/"))
	if err != nil || !g.Filter {
		t.Errorf("bob subscribes to private conversations: %+v, %v", g, err)
	}
	if _, err := sets["alice"].Subscribe(ctx, []byte("conversations/group/g2/")); !errors.Is(err, ErrDenied) {
		t.Errorf("alice subscribes to a group that she is not in: %v", err)
	}
}

func contains(words, word string) bool {
	return strings.Contains(" "+words+" ", " "+word+" ")
}

// corpus are the seeds of FuzzParse.
var corpus = []string{
	"", "#", "+", "house/{user}/", "conversations/private/+/{user}", "a/{claim.groups}/#",
	"{meta.x}", "{", "}", "a//b", "a+", "#/a", "{user}{user}", "\x00/é",
}

func TestCorpusIsNotEmpty(t *testing.T) {
	if len(corpus) == 0 {
		t.Fatal("FuzzParse has no seeds")
	}
}

// FuzzParse checks that a parsed pattern keeps its text and matches as documented.
func FuzzParse(f *testing.F) {
	for _, p := range corpus {
		f.Add(p, "a/b/alice")
		f.Add(p, "conversations/private/bob/a")
	}
	f.Fuzz(func(t *testing.T, pattern, topic string) {
		p, err := Parse(pattern, "/")
		if err != nil {
			return
		}
		if p.String() != pattern {
			t.Fatalf("Parse(%q).String() = %q", pattern, p)
		}
		s := subjects[0]
		for _, name := range p.placeholders {
			if name != "user" && name != "claim.groups" && name != "meta.House" {
				return // slowMatch knows only these
			}
		}
		set := mustSet(t, []Rule{{User: "*", Subscribe: []string{pattern}}}, Options{Separator: "/"}, s)
		if got, want := set.Deliver([]byte(topic)), slowMatch(pattern, "/", topic, s); got != want {
			t.Fatalf("pattern %q: Deliver(%q) = %v, want %v", pattern, topic, got, want)
		}
	})
}

func ExamplePolicy() {
	policy, err := Compile([]Rule{
		{User: "*", Subscribe: []string{"house/{user}/"}, Send: []string{"house/{user}/command/+"}},
	}, Options{Separator: "/"})
	if err != nil {
		panic(err)
	}
	alice, err := policy.For(Subject{User: "alice"})
	if err != nil {
		panic(err)
	}
	fmt.Println(alice.Deliver([]byte("house/alice/temperature")))
	fmt.Println(alice.Deliver([]byte("house/bob/temperature")))
	fmt.Println(alice.Send(context.Background(), []byte("house/bob/command/lock")))
	// Output:
	// true
	// false
	// not permitted: sending to this topic
}

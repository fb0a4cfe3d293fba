package rights

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestWhole checks that only what leaves out no topic is whole, in each direction separately.
func TestWhole(t *testing.T) {
	policy := func(subscribe, send []string) Grant {
		p, err := Compile([]Rule{{User: "*", Subscribe: subscribe, Send: send}}, Options{Separator: "/"})
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.For(Subject{User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	metadata := func(m zap.Metadata) Grant {
		r, err := FromMetadata(m, Options{Separator: "/"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	all, none := []string{""}, []string(nil)
	for name, tt := range map[string]struct {
		grant         Grant
		receive, send bool
	}{
		"everything":          {Everything, true, true},
		"empty pattern":       {policy(all, none), true, false},
		"#":                   {policy(none, []string{"#"}), false, true},
		"a prefix":            {policy([]string{"a"}, []string{"a"}), false, false},
		"levels":              {policy([]string{"+", "+/#"}, []string{"{user}/"}), false, false},
		"all globs":           {NewGlobs([]zap.Glob{{"", ""}}, []zap.Glob{{"", ""}}, false), true, true},
		"some globs":          {NewGlobs([]zap.Glob{{"a", ""}}, []zap.Glob{{"", "", "a"}}, false), false, false},
		"both grants":         {Combine(policy(all, all), policy(all, none)), true, false},
		"metadata of nothing": {metadata(nil), true, true},
		"metadata of all":     {metadata(zap.Metadata{{Name: "Subscribe", Value: "#"}}), true, false},
		"metadata of some":    {metadata(zap.Metadata{{Name: "Send", Value: "a/"}}), false, false},
	} {
		if receive, send := tt.grant.Whole(); receive != tt.receive || send != tt.send {
			t.Errorf("%s: %v, %v", name, receive, send)
		}
	}
}

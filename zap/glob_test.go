package zap

import (
	"strings"
	"testing"
)

func TestGlobMatch(t *testing.T) {
	for _, tt := range []struct {
		glob string
		yes  []string
		no   []string
	}{
		{"", []string{""}, []string{"a"}},
		{"*", []string{"", "a", "a/b"}, nil},
		{"a", []string{"a"}, []string{"", "aa", "b"}},
		{"a*", []string{"a", "ab"}, []string{"", "ba"}},
		{"*o", []string{"o", "foofoo"}, []string{"", "of"}},
		{"ab*ba", []string{"abba", "ab ba"}, []string{"aba", "ab"}},
		{"a*b*c", []string{"abc", "a-b-b-c"}, []string{"acb", "ac"}},
		{"*aa*aa*", []string{"aaaa", "xaayaaz"}, []string{"aaa"}},
	} {
		g := Glob(strings.Split(tt.glob, "*"))
		for _, text := range tt.yes {
			if !g.Match([]byte(text)) {
				t.Errorf("%s does not match %q", g, text)
			}
		}
		for _, text := range tt.no {
			if g.Match([]byte(text)) {
				t.Errorf("%s matches %q", g, text)
			}
		}
	}
	if (Glob{}).Match(nil) || (Glob{}).Covers(nil) {
		t.Error("a Glob without literals matches something")
	}
}

func TestGlobCovers(t *testing.T) {
	for _, tt := range []struct {
		glob, prefix string
		want         bool
	}{
		{"*", "", true},
		{"a*", "a", true},
		{"a*", "ab", true},
		{"a*", "", false},
		{"a*", "b", false},
		{"a", "a", false},
		{"a*b", "ab", false},
		{"a*b*", "a", false},
		{"a*b*", "a-b", true},
	} {
		if got := Glob(strings.Split(tt.glob, "*")).Covers([]byte(tt.prefix)); got != tt.want {
			t.Errorf("%s covers %q: %v, want %v", tt.glob, tt.prefix, got, tt.want)
		}
	}
}

// TestGlobAllocations: a glob is matched for every message.
func TestGlobAllocations(t *testing.T) {
	long := strings.Repeat("x", 100)
	g := Glob{"house/", long, ""}
	text := []byte("house/" + strings.Repeat("y", 100) + long)
	if n := testing.AllocsPerRun(100, func() {
		if !g.Match(text) {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

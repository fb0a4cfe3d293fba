package config

import (
	"os"
	"strings"
	"testing"
)

func TestTooDeep(t *testing.T) {
	const n = 100_000
	for name, tc := range map[string]struct {
		text string
		line int
	}{
		"arrays":                      {"a = 1\nb = " + strings.Repeat("[", n), 2},
		"arrays on lines":             {"a = " + strings.Repeat("[\n", n), 33},
		"inline tables":               {"a = " + strings.Repeat("{a=", n), 1},
		"a dotted key":                {strings.Repeat("a.", n) + "a = 1", 1},
		"a quoted dotted key":         {"\n\n" + strings.Repeat(`"a".`, n) + "a = 1", 3},
		"a table":                     {"[" + strings.Repeat("a.", n) + "a]", 1},
		"an array of tables":          {"[[" + strings.Repeat("a . ", n) + "a]]", 1},
		"dots in inline tables":       {"a = {" + strings.Repeat("a.", n) + "a = 1}", 1},
		"behind strings and comments": {"a = \"\"\"\n\\\"\"\" \n\"\"\" # \"\nb = '[' # [\nc = " + strings.Repeat("[", n), 5},

		"brackets in a string":       {`a = "` + strings.Repeat("[", n) + `"`, 0},
		"dots in a literal string":   {`a = '` + strings.Repeat(".", n) + `'`, 0},
		"dots in a multiline string": {"a = '''\n" + strings.Repeat("..\n", n) + "'''", 0},
		"brackets in a comment":      {"# " + strings.Repeat("[", n) + "\na = 1", 0},
		"many short arrays":          {"a = [" + strings.Repeat("[1.5],", n) + "]", 0},
		"a string without an end":    {`a = "` + "\n[b]", 0},
	} {
		if got := tooDeep(tc.text); got != tc.line {
			t.Errorf("%s: line %d, want %d", name, got, tc.line)
		}
	}
	annotated, err := os.ReadFile("../../bridge.toml")
	if err != nil {
		t.Fatal(err)
	}
	if line := tooDeep(string(annotated)); line != 0 {
		t.Errorf("bridge.toml nests too deep in line %d", line)
	}
}

func TestParseTooDeep(t *testing.T) {
	_, faults := Parse(strings.NewReader("x = "+strings.Repeat("[", 200_000)), "F")
	if err := faults.Err(); err == nil || !strings.Contains(err.Error(), "F:1: nests deeper than 32 levels") {
		t.Errorf("%v", err)
	}
}

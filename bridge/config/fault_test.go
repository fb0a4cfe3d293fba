package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// TestEveryFault checks that one run reports every fault, in the order of the file.
func TestEveryFault(t *testing.T) {
	_, faults := load(configDir(t), `[server]
listen = 5
bogus = true
[zap]
chain = [
  { authn = "nobody" },
]
[[route]]
path = "/a"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]
[[route]]
path = "/a"
mechanism = "FOO"
  [[route.allow]]
  user = "*"
  [[route.allow]]
  send = ["+x"]
`)
	var got []string
	for _, f := range faults {
		if !f.Warning {
			text, _, _ := strings.Cut(f.String(), ": ")
			got = append(got, text+" "+f.Key)
		}
	}
	want := []string{
		"F:2 server.listen", "F:3 server.bogus", "F:6 zap.chain[0].authn",
		"F:12 route[1]", "F:12 route[1]", "F:13 route[1].path", "F:14 route[1].mechanism",
		"F:17 route[1].allow[1]", "F:18 route[1].allow[1].send[0]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var ce *Error
	if !errors.As(faults.Err(), &ce) || len(ce.Lines) != len(want) {
		t.Errorf("Err() = %v", faults.Err())
	}
}

func TestSyntaxError(t *testing.T) {
	for text, want := range map[string]string{
		"[server]\nlisten = \n":     "F:2: ",
		"[server]\n[server]\n":      "F:2: ",
		"a = 1\na = 2\n":            "F:2: ",
		"[[route]]\npath = \"\\q\"": "F:2: ",
	} {
		c, faults := load(t.TempDir(), text)
		if c != nil || len(faults) != 1 || !strings.HasPrefix(faults[0].String(), want) {
			t.Errorf("%q: %v, want %s…", text, faults, want)
		}
	}
}

// configCorpus seeds FuzzConfig.
var configCorpus = []string{
	"", aRoute, users, "[server]\nlisten = \"${PASSWORD}\"\n",
	"a.b.\"c d\" = [[1, 2], [{ x = '''y''' }, {}]]\n",
	"x = \"\"\"a\n\\\"\"\"\"\ny = 1 # c\n[ a . 'b' ]\n[[a.c]]\n[a.c.d]\n[[a.c]]\n",
	"[[r.000]]#",
	"[[route]]\n[[route.allow]]\nuser = \"*\"\n[[route]]\nallow = [ # c\n {}, # ]\n {user=\"}\"}]\n",
}

func TestConfigCorpusIsNotEmpty(t *testing.T) {
	if len(configCorpus) == 0 {
		t.Fatal("FuzzConfig has no seeds")
	}
}

// FuzzConfig checks that no text makes the reader panic, shows a secret or loses the line of a
// key.
func FuzzConfig(f *testing.F) {
	for _, text := range configCorpus {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, faults := load(t.TempDir(), text)
		if (c == nil) != (faults.Err() != nil) {
			t.Fatalf("config %v with faults %v", c, faults)
		}
		for _, fault := range faults {
			if strings.Contains(fault.String(), "very secret") && !strings.Contains(text, "very secret") {
				t.Fatalf("the fault shows a secret: %v", fault)
			}
		}
		checkLines(t, text)
	})
}

// checkLines compares the index with the TOML library: it must have every top-level table and
// key, on a line with its name.
func checkLines(t *testing.T, text string) {
	parsed := make(map[string]any)
	if _, err := toml.Decode(text, &parsed); err != nil || strings.Contains(text, `\`) {
		return // an escaped key is not spelled as its name
	}
	index := indexLines(text)
	lines := strings.Split(text, "\n")
	for name := range parsed {
		n := index.line(joinKey("", name))
		if n < 1 || n > len(lines) || !strings.Contains(lines[n-1], name) {
			t.Fatalf("%q is not on line %d of\n%s", name, n, text)
		}
	}
}

func TestLineIndex(t *testing.T) {
	index := indexLines(configCorpus[5])
	for key, want := range map[string]int{
		"x": 1, "y": 3, "a.b": 4, "a.c[0]": 5, "a.c[0].d": 6, "a.c[1]": 7, "a.c": 5, "a.c[1].z": 7, "none": 0,
	} {
		if got := index.line(key); got != want {
			t.Errorf("%s is on line %d, want %d", key, got, want)
		}
	}
	index = indexLines(configCorpus[7])
	for key, want := range map[string]int{
		"route[0]": 1, "route[0].allow[0].user": 3, "route[1]": 4, "route[1].allow": 5, "route[1].allow[0]": 6, "route[1].allow[1].user": 7,
	} {
		if got := index.line(key); got != want {
			t.Errorf("%s is on line %d, want %d", key, got, want)
		}
	}
	for _, text := range configCorpus {
		checkLines(t, text)
	}
}

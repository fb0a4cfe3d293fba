package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// maxNotRun is how many code blocks of README and manual no test has to run.
const maxNotRun = 10

// block is a code block of a page, without its indentation.
type block struct {
	page     string
	line     int
	language string
	text     string
	marks    []mark // the comments before it
}

// mark is a comment before a block, for this test: "not run: REASON", "file: NAME" (it is also a
// file of the reader), "run by: TEST", "device: …" (see startDevice) or
// "bridge: running", which starts the bridge of the README.
type mark struct{ name, argument string }

func (b *block) mark(name string) (argument string, ok bool) {
	for _, m := range b.marks {
		if m.name == name {
			return m.argument, true
		}
	}
	return "", false
}

func (b *block) String() string { return fmt.Sprintf("%s:%d", filepath.Base(b.page), b.line) }

var (
	fence    = regexp.MustCompile("^( *)```([a-z]*)$")
	markLine = regexp.MustCompile(`^ *<!-- (not run|file|run by|device|bridge): (.*) -->$`)
)

// blocksOf returns the code blocks of a page.
func blocksOf(t *testing.T, page string) []*block {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []*block
	var open *block
	var indent string
	var marks []mark
	for i, line := range strings.Split(string(text), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != nil && m != nil && m[2] == "":
			blocks, open, marks = append(blocks, open), nil, nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case m != nil:
			open, indent = &block{page: page, line: i + 1, language: m[2], marks: marks}, m[1]
		case markLine.MatchString(line):
			found := markLine.FindStringSubmatch(line)
			marks = append(marks, mark{found[1], found[2]})
		case strings.TrimSpace(line) != "":
			marks = nil
		}
	}
	if open != nil {
		t.Errorf("%s: the block does not end", open)
	}
	return blocks
}

// TestBlocks runs the code blocks of README and manual: configurations are checked, commands are run
// in the order of the page and print what it shows, Go is compiled, JSON, YAML and JavaScript are
// parsed. What a test cannot run has a comment with the reason.
func TestBlocks(t *testing.T) {
	pages, err := filepath.Glob("manual/*.md")
	if err != nil {
		t.Fatal(err)
	}
	count, notRun := 0, 0
	for _, page := range append(pages, "../../README.md") {
		blocks := blocksOf(t, page)
		for _, b := range blocks {
			if b.language == "text" { // a picture or the form of something
				continue
			}
			count++
			if reason, ok := b.mark("not run"); ok {
				notRun++
				t.Logf("%s is not run: %s", b, reason)
			}
		}
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			s := newSession(t)
			for _, b := range blocks {
				if _, ok := b.mark("not run"); !ok {
					s.run(b)
				}
			}
		})
	}
	t.Logf("%d code blocks, %d of them are not run", count, notRun)
	if notRun > maxNotRun {
		t.Errorf("%d code blocks are not run, at most %d are allowed", notRun, maxNotRun)
	}
}

// run runs one block.
func (s *session) run(b *block) {
	t := s.t
	for _, m := range b.marks {
		switch m.name {
		case "file":
			if strings.HasSuffix(m.argument, ".toml") {
				s.write(m.argument, s.localConfig(b.text))
			} else {
				s.write(m.argument, s.local(b.text))
			}
		case "device":
			s.startDevice(m.argument)
		case "bridge":
			s.startBridge(b)
		}
	}
	if _, ok := b.mark("run by"); ok {
		return
	}
	switch b.language {
	case "toml":
		s.checkTOML(b)
	case "console":
		s.console(b)
	case "json":
		if !json.Valid([]byte(b.text)) {
			t.Errorf("%s is not JSON", b)
		}
	case "yaml":
		if err := yaml.Unmarshal([]byte(b.text), new(any)); err != nil {
			t.Errorf("%s: %v", b, err)
		}
	case "go":
		s.compile(b)
	case "js":
		s.checkJS(b, b.text)
	case "html":
		_, rest, _ := strings.Cut(b.text, `<script type="module">`)
		script, _, found := strings.Cut(rest, "</script>")
		if !found {
			t.Errorf("%s has no script", b)
		}
		s.checkJS(b, script)
	case "nginx":
		s.checkNginx(b)
	case "text":
	default:
		t.Errorf("%s: nothing runs blocks of language %q", b, b.language)
	}
}

// definitions are the authenticators to which configurations of the manual refer without defining
// them.
var definitions = map[string]string{
	"users":       "type = \"htpasswd\"\nfile = \"certs/users.htpasswd\"\n",
	"lan":         "type = \"ip\"\nallow = [\"10.0.0.0/8\"]\n",
	"controllers": "type = \"curve\"\ndir = \"certs/controllers\"\n",
	"guests":      "type = \"anonymous\"\n",
	"sso": "type = \"jwt\"\nalgorithms = [\"RS256\"]\nissuer = \"https://login.example/realms/home\"\n" +
		"discovery = true\nresource_server_id = \"zwsbridge\"\n",
}

var (
	refersTo   = regexp.MustCompile(`(?:authn = |oidc = |authz = \[)"([a-z]+)"`)
	bindDomain = regexp.MustCompile(`(?m)^bind_domain = "([a-z]+)"`)
)

// checkTOML checks a configuration as zwsbridge check does, with what a part of one lacks.
func (s *session) checkTOML(b *block) {
	text := b.text
	has := func(table string) bool {
		return regexp.MustCompile(`(?m)^\[+` + regexp.QuoteMeta(table) + `\]`).MatchString(text)
	}
	if !has("route") {
		text += "\n[[route]]\npath = \"/x\"\nsocket = \"SUB\"\nconnect = [\"tcp://127.0.0.1:5556\"]\nallow = \"all\"\n"
	}
	if !has("zap") {
		text += "\n[zap]\nchain = [ { authn = \"users\" }"
		for _, m := range bindDomain.FindAllStringSubmatch(text, -1) {
			text += ", { authn = \"controllers\", domains = [\"" + m[1] + "\"] }"
		}
		for _, m := range regexp.MustCompile(`(?m)^\[auth\.([a-z]+)\]`).FindAllStringSubmatch(text, -1) {
			if m[1] != "users" && !strings.Contains(text, `"`+m[1]+`"`) {
				text += ", { authn = \"" + m[1] + "\" }"
			}
		}
		if strings.Contains(text, "oidc = \"sso\"") {
			text += ", { authn = \"sso\" }"
		}
		text += " ]\n"
	}
	for _, m := range refersTo.FindAllStringSubmatch(text, -1) {
		if !has("auth." + m[1]) {
			text += "\n[auth." + m[1] + "]\n" + definitions[m[1]]
		}
	}
	_, faults := config.Parse(strings.NewReader(text), filepath.Join(s.dir, "fragment.toml"))
	if err := faults.Err(); err != nil {
		s.t.Errorf("%s: %v\n%s", b, err, text)
	}
}

// compile checks the types of a Go program.
func (s *session) compile(b *block) {
	program := filepath.Join(s.dir, "main.go")
	s.write("main.go", strings.Replace(b.text, "package main", "package block", 1)) // which is not linked
	wd, err := os.Getwd()
	if err != nil {
		s.t.Fatal(err)
	}
	// The program is compiled as if it were in this module.
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(wd, "block", "main.go"): program}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("overlay.json", string(overlay))
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(s.dir, "overlay.json"), "./block")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%s", b, err, out)
	}
}

// checkJS checks the syntax of a module; zws/js/test/manual.test.js checks the types.
func (s *session) checkJS(b *block, script string) {
	node, err := exec.LookPath("node")
	if err != nil {
		s.t.Logf("%s: no node", b)
		return
	}
	s.write("block.mjs", script)
	cmd := exec.Command(node, "--check", "block.mjs")
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%s", b, err, out)
	}
}

// checkNginx has nginx check a server block.
func (s *session) checkNginx(b *block) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		s.t.Logf("%s: no nginx", b)
		return
	}
	text := s.local(b.text)
	if !strings.Contains(text, "server {") {
		text = "server {\nlisten 127.0.0.1:8080;\n" + text + "}\n"
	}
	s.write("nginx.conf", "pid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+text+"}\n")
	cmd := exec.Command(nginx, "-t", "-p", s.dir, "-c", "nginx.conf")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%s", b, err, out)
	}
}

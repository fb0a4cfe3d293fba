package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// TestRestartKeys checks that operating.md names the keys that need a restart.
func TestRestartKeys(t *testing.T) {
	code, err := os.ReadFile("../../bridge/config/changes.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("manual/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(code), "var restartKeys = []string{")
	list, _, _ = strings.Cut(list, "}")
	keys := regexp.MustCompile(`"([a-z.A-Z_]+)"`).FindAllStringSubmatch(list, -1)
	if len(keys) < 10 {
		t.Fatalf("found %d keys in changes.go, want at least 10", len(keys))
	}
	for _, key := range keys {
		if !strings.Contains(string(page), "`"+key[1]+"`") {
			t.Errorf("operating.md does not name %s, which needs a restart", key[1])
		}
	}
}

// annotation is what bridge.toml says about a key.
type annotation struct{ value, comment string }

// required are the keys without which an authenticator of each type is refused.
var required = map[string][]string{
	"curve":          {"dir"},
	"htpasswd":       {"file"},
	"jwt":            {"algorithms", "resource_server_id"},
	"token-endpoint": {"url"},
	"zap":            {"endpoint"},
}

// addKeys adds a table for each table of the configuration: the keys by reflection, their defaults
// as the bridge has them, and the comments of bridge.toml.
func addKeys(t *testing.T, parts map[string]string) {
	notes := annotations(t)
	route := defaultsOf(t, "[[route]]\npath = \"/a\"\nsocket = \"SUB\"\nconnect = [\"tcp://127.0.0.1:1\"]\nallow = \"all\"\n").Routes[0]
	route.Path, route.Socket, route.Connect = "", "", nil
	tables := map[string]reflect.Value{"route": reflect.ValueOf(route)}
	full := reflect.ValueOf(defaultsOf(t, "[admin]\n")).Elem()
	for i := range full.NumField() {
		if name := full.Type().Field(i).Tag.Get("toml"); full.Field(i).Kind() == reflect.Struct && name != "-" {
			tables[name] = full.Field(i)
		}
	}
	tables["history.nats"] = tables["history"].FieldByName("NATS")
	tables["route.history"] = tables["route"].FieldByName("History")
	for kind, settings := range config.AuthDefaults() {
		tables["auth "+kind] = reflect.ValueOf(settings).Elem()
	}
	for name, values := range tables {
		parts["keys "+name] = keyTable(t, name, values, notes[name])
	}
}

// defaultsOf returns the configuration of text with its defaults.
func defaultsOf(t *testing.T, text string) *config.Config {
	t.Helper()
	c, faults := config.Parse(strings.NewReader(text), "bridge.toml")
	if err := faults.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func keyTable(t *testing.T, name string, values reflect.Value, notes map[string]annotation) string {
	b := newTable("key", "default", "")
	for i := range values.NumField() {
		key := values.Type().Field(i).Tag.Get("toml")
		if key == "" || key == "-" || name+"."+key == "history.nats" || name+"."+key == "route.history" {
			continue
		}
		note := notes[key]
		if note.comment == "" {
			t.Errorf("bridge.toml has no comment on %s of [%s]", key, name)
		}
		byCode := code(tomlValue(values.Field(i)))
		standard, meaning := splitDefault(note)
		if value, ok := strings.CutPrefix(standard, "`"); ok && byCode != "" && byCode != standard && strings.ContainsAny(value[:1], `"[0123456789tf`) {
			t.Errorf("bridge.toml: [%s] %s: the default is %s, not %s", name, key, byCode, standard)
		}
		if standard == "" {
			standard = byCode
		}
		if slices.Contains(required[strings.TrimPrefix(name, "auth ")], key) {
			standard = "required"
		}
		b.row(code(key), standard, meaning)
	}
	return b.String()
}

// defaultMark matches the beginning of a comment on a key that has the value anyway, or "default: X" for
// a default that is not a value.
var defaultMark = regexp.MustCompile(`^[Dd]efault(?:: (.*?)(?:; |$)|(?:[;,.] *|$))`)

// splitDefault returns the default that a comment names, if it does, and the rest of the comment.
func splitDefault(note annotation) (standard, meaning string) {
	m := defaultMark.FindStringSubmatch(note.comment)
	switch {
	case m == nil && strings.Contains(note.comment, "(default of"):
		return "depends on the socket", markup(note.comment)
	case m == nil:
		return "", markup(note.comment)
	case m[1] != "":
		return markup(m[1]), markup(note.comment[len(m[0]):])
	}
	return code(note.value), markup(note.comment[len(m[0]):])
}

// literal matches what is code in a comment: settings, quoted words, tables and lists, names of tables,
// keys and commands, wildcards, addresses.
var literal = regexp.MustCompile(`\b[a-z_]+(?:\.[a-z_]+)? = (?:"[^"]*"|true|false)|\[["{].*?\]|"[^" ]*"|\{[^}]*\}|\[[a-zA-Z.]+\]|` +
	`zwsbridge (?:help [a-z]+|keygen|discover|check)|[^\s"(),;:]*[_*{}][^\s"(),;:]*[^\s"(),;:.]|[_*]|[a-z]+://[^\s,;)]*`)

// markup returns a comment as Markdown.
func markup(text string) string {
	return literal.ReplaceAllStringFunc(strings.TrimSpace(text), code)
}

// tomlValue returns a default as it would be written in the file; nothing for a zero value that
// means that the key is not set.
func tomlValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return fmt.Sprintf("%q", shortDuration(x))
	case *time.Duration:
		if x == nil {
			return ""
		}
		return fmt.Sprintf("%q", shortDuration(*x))
	case *string:
		if x == nil {
			return ""
		}
		return fmt.Sprintf("%q", *x)
	case config.Size:
		return fmt.Sprintf("%q", shortSize(int64(x)))
	case config.Interval:
		return fmt.Sprintf("%q", shortDuration(x.Min)+".."+shortDuration(x.Max))
	}
	switch v.Kind() {
	case reflect.Bool, reflect.Int:
		return fmt.Sprint(v.Interface())
	case reflect.String:
		if v.Len() > 0 {
			dir, _ := os.Getwd()
			return fmt.Sprintf("%q", strings.TrimPrefix(v.String(), dir+"/"))
		}
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, fmt.Sprintf("%q", fmt.Sprint(v.Index(i).Interface())))
		}
		if items != nil {
			return "[" + strings.Join(items, ", ") + "]"
		}
	}
	return ""
}

func shortDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}

func shortSize(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprint(n)
}

var (
	tableLine   = regexp.MustCompile(`^#?\[+([a-z.]+)\]+ *(?:# .*)?$`)
	keyLine     = regexp.MustCompile(`^#?([a-z_0-9]+) = (.*)$`)
	commentLine = regexp.MustCompile(`^(?:#| {4,}#) +(.*)$`)
)

// annotations returns the comments of bridge.toml by table and key. A comment stands behind its key
// and goes on in indented lines, or else stands before it.
func annotations(t *testing.T) map[string]map[string]annotation {
	text, err := os.ReadFile("../../bridge.toml")
	if err != nil {
		t.Fatal(err)
	}
	notes := make(map[string]map[string]annotation)
	var table, key, before string
	limits := false // the part "Limits, with their defaults"
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		limits = (limits || strings.HasPrefix(line, "# Limits, with their defaults")) && line != ""
		if m := tableLine.FindStringSubmatch(line); m != nil {
			table, key, before = m[1], "", ""
			continue
		}
		if m := keyLine.FindStringSubmatch(line); m != nil {
			value, comment := splitComment(m[2])
			key = m[1]
			if strings.HasPrefix(table, "auth") && key == "type" {
				table = "auth " + strings.Trim(value, `"`)
				continue
			}
			if comment == "" {
				comment = before
			}
			if limits && comment != before {
				comment = "default; " + comment
			}
			if notes[table] == nil {
				notes[table] = make(map[string]annotation)
			}
			if notes[table][key].comment == "" {
				notes[table][key] = annotation{value, comment}
			} else {
				key = "" // the same key in another example
			}
			before = ""
			continue
		}
		m := commentLine.FindStringSubmatch(line)
		switch {
		case m == nil:
			before = ""
		case line[0] == '#':
			before = strings.TrimSpace(before + " " + m[1])
		case key != "":
			note := notes[table][key]
			note.comment += " " + m[1]
			notes[table][key] = note
		}
	}
	return notes
}

// splitComment splits what follows "key = " into the value and the comment.
func splitComment(text string) (value, comment string) {
	quote := byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
		}
	}
	return strings.TrimSpace(text), ""
}

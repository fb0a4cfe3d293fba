package printable

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	seen := make(map[string]string)
	for name, want := range map[string]string{
		"": "", "alice": "alice", "ann lee": "ann lee", "bücher": "bücher", `DOMAIN\alice`: `DOMAIN\alice`, `a"b`: `a"b`, `\xff`: `\xff`,
		"\xff": `"\xff"`, "\xfe": `"\xfe"`, "\ufffd": "\ufffd", "a\xff": `"a\xff"`, `"\xff"`: `"\"\\xff\""`, `"`: `"\""`,
		"a\nb": `"a\nb"`, "a\x00": `"a\x00"`, "\x1b[2J": `"\x1b[2J"`, "a\u202eb": `"a\u202eb"`, "a\u200bb": `"a\u200bb"`, "a\u00a0b": `"a\u00a0b"`,
		" a": `" a"`, "a ": `"a "`, "a\t": `"a\t"`, "a\u0085b": `"a\u0085b"`, "\xed\xa0\x80": `"\xed\xa0\x80"`,
	} {
		got := Name(name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if ParseName(got) != name {
			t.Errorf("%q: %s is the form of %q", name, got, ParseName(got))
		}
		if other, twice := seen[got]; twice {
			t.Errorf("%q and %q have the form %s", name, other, got)
		}
		seen[got] = name
	}
	for _, name := range []string{"`a`", "'a'", `"a`, `"a"b`, "a\nb"} { // not forms
		if got := ParseName(name); got != name {
			t.Errorf("ParseName(%q) = %q", name, got)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"", "alice", "\xff", `"\xff"`, "a\nb", `\`, "`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		form := Name(name)
		if ParseName(form) != name || !utf8.ValidString(form) || strings.ContainsAny(form, "\n\r\x00\x1b") {
			t.Errorf("%q: form %q, parsed %q", name, form, ParseName(form))
		}
	})
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""}, {"0123456789", "0123456789"}, {"0123456789a", "0123456789… (1 more bytes)"},
		{"012345678é", "012345678… (2 more bytes)"}, {"a\xff", `a\xff`}, {strings.Repeat("x", 3000), "xxxxxxxxxx… (2990 more bytes)"},
	} {
		if got := Text(tt.text, 10); got != tt.want {
			t.Errorf("%.20q: %s, want %s", tt.text, got, tt.want)
		}
	}
	if got := Text(strings.Repeat("\xff", 3000), 10); !utf8.ValidString(got) || len(got) > 50 {
		t.Errorf("bytes that are not UTF-8: %d bytes, %q", len(got), got)
	}
}

func TestHandler(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	name := strings.Repeat("\xff", 255)
	for level := slog.LevelDebug; level <= slog.LevelError; level += 4 {
		var b bytes.Buffer
		log := slog.New(Handler(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
		log.With("with", long).WithGroup("group").Log(t.Context(), level, long,
			"path", long, "error", errors.New(long), "number", 5, "lasted", 258*time.Millisecond, "bytes", "\xff", slog.Group("inner", "path", long), "user", name)
		line := b.String()
		if len(line) > 5000 || strings.Count(line, "\n") != 1 || !utf8.ValidString(line) {
			t.Errorf("%v: a line of %d bytes: %s", level, len(line), line)
		}
		for _, part := range []string{`"number":5`, `"lasted":"258ms"`, `"bytes":"\\xff"`, `more bytes)`, strings.ReplaceAll(Name(name)[1:len(Name(name))-1], `\`, `\\`)} {
			if !strings.Contains(line, part) {
				t.Errorf("%v: no %.50s in %s", level, part, line)
			}
		}
	}
}

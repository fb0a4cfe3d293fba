package certs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Public certificates of czmq 4.2.1 (zcert_save) and pyzmq 24.0.1 (create_certificates). The
// tests generate secret keys.
const (
	publicCZMQ = `#   ****  Generated on 2026-11-22 01:22:17 by CZMQ  ****
#   ZeroMQ CURVE Public Certificate
#   Exchange securely, or use a secure mechanism to verify the contents
#   of this file after exchange. Store public certificates in your home
#   directory, in the .curve subdirectory.

metadata
    user-id = "tim"
curve
    public-key = "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)"
`
	publicPyzmq = `#   ****  Generated on 2026-11-22 01:22:17.952499 by pyzmq  ****
#   ZeroMQ CURVE Public Certificate
#   Exchange securely, or use a secure mechanism to verify the contents
#   of this file after exchange. Store public certificates in your home
#   directory, in the .curve subdirectory.

metadata
    user-id = ann lee
curve
    public-key = "8GRR/hQtc2fYO52h%4L@kdk&Lr^ki2TcN{VsL3+S"
`
)

func newCertificate(t *testing.T) *Certificate {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseForeignFiles(t *testing.T) {
	for _, tt := range []struct{ name, text, key, user string }{
		{"czmq", publicCZMQ, "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"pyzmq, value without quotes", publicPyzmq, "8GRR/hQtc2fYO52h%4L@kdk&Lr^ki2TcN{VsL3+S", "ann lee"},
		{"line ends of Windows", strings.ReplaceAll(publicCZMQ, "\n", "\r\n"), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"no final line end", strings.TrimRight(publicCZMQ, "\n"), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"apostrophes", strings.ReplaceAll(publicCZMQ, `"`, `'`), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"comment after a value", strings.Replace(publicPyzmq, "ann lee", "ann lee   # the flat", 1), "8GRR/hQtc2fYO52h%4L@kdk&Lr^ki2TcN{VsL3+S", "ann lee"},
		{"byte order mark", "\ufeff" + publicCZMQ, "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"tabs", strings.ReplaceAll(publicCZMQ, "    ", "\t"), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"one space", strings.ReplaceAll(publicCZMQ, "    ", " "), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"two spaces", strings.ReplaceAll(publicPyzmq, "    ", "  "), "8GRR/hQtc2fYO52h%4L@kdk&Lr^ki2TcN{VsL3+S", "ann lee"},
		{"three spaces", strings.ReplaceAll(publicPyzmq, "    ", "   "), "8GRR/hQtc2fYO52h%4L@kdk&Lr^ki2TcN{VsL3+S", "ann lee"},
		{"a tab in one section, spaces in the other", strings.Replace(publicCZMQ, "    user-id", "\tuser-id", 1), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"two spaces in one section, four in the other", strings.Replace(publicCZMQ, "    user-id", "  user-id", 1), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"a tab beside four spaces", strings.Replace(publicCZMQ, "    user-id", "\tname = x\n    user-id", 1), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"an indented comment and a blank line", strings.Replace(publicCZMQ, "    user-id", "\t # here\n   \n  user-id", 1), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"tabs, mark and line ends of Windows", "\ufeff" + strings.ReplaceAll(strings.ReplaceAll(publicCZMQ, "    ", "\t"), "\n", "\r\n"), "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"other sections, deeper items", publicCZMQ + "other\n    a = 1\n        public-key = 2\n", "UiPhahwg9WbmgSr?QFQ3welE@w.q8Qdmuv{nji{)", "tim"},
		{"number signs in a quoted key", "curve\n    public-key = '" + strings.Repeat("00#00", 8) + "'", strings.Repeat("00#00", 8), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := EncodeKey(c.Public); got != tt.key || c.HasSecret || c.Meta("user-id") != tt.user {
				t.Errorf("got key %s, secret %v, user %q", got, c.HasSecret, c.Meta("user-id"))
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	key := EncodeKey(newCertificate(t).Public)
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "no public-key"},
		{"key outside its section", "metadata\n    public-key = " + key, "no public-key"},
		{"short key", "curve\n    public-key = \"abc\"", "line 2: curve/public-key: not Z85 key: 3 characters"},
		{"character outside Z85", "curve\n    public-key = '~" + key[1:] + "'", "character 1 is not in the alphabet"},
		{"duplicate key", "curve\n    public-key = \"" + key + "\"\n    public-key = \"" + key + "\"", "line 3: duplicate curve/public-key"},
		{"odd indentation", "curve\n     public-key = x", "line 2: indented by 5 columns"},
		{"indentation that changes", "metadata\n    a = 1\n  b = 1", "line 3: indented by 2 columns"},
		{"indentation that changes by one", "metadata\n    a = 1\n     Subscribe = x", "line 3: indented by 5 columns"},
		{"two spaces, then four", "metadata\n  a = 1\n    Subscribe = x", "line 3: indented by 4 columns"},
		{"two spaces, then a tab", "metadata\n  a = 1\n\tSubscribe = x", "line 3: indented by 4 columns"},
		{"two spaces, then one", "metadata\n  a = 1\n b = 2", "line 3: indented by 1 columns"},
		{"a space and a tab", "curve\n \tpublic-key = x", "line 2: indented by tabs and spaces"},
		{"a tab and spaces", "curve\n\t  public-key = x", "line 2: indented by tabs and spaces"},
		{"two tabs", "curve\n\t\tpublic-key = x", "line 2: indented more than one level"},
		{"a byte order mark inside", "curve\n    \ufeffpublic-key = x", "line 2: want a name"},
		{"an indented section", "  curve\n  public-key = x", "line 1: indented more than one level"},
		{"too deep", "curve\n        public-key = x", "line 2: indented more than one level"},
		{"open quote", "metadata\n    a = \"b", "line 2: missing \""},
		{"text after a quoted value", "metadata\n    a = \"b\" c", "line 2: text after"},
		{"no equals sign", "metadata\n    a b", `line 2: want "="`},
		{"slash at the end of a name", "metadata\n    a/ = 1", "line 2: want a name"},
		{"NUL", "metadata\n    a = \x00", "line 2: contains a NUL"},
		{"too many properties", "metadata\n" + manyProperties(MaxProperties+1), "more than 64 properties"},
		{"too large", "#" + strings.Repeat(" ", MaxCertificate), "bytes, more than 65536"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrCertificate with %q", err, tt.want)
			}
		})
	}
	just := "metadata\n" + manyProperties(MaxProperties) + "curve\n    public-key = '" + key + "'\n#"
	just += strings.Repeat(" ", MaxCertificate-len(just))
	if c, err := Parse([]byte(just)); err != nil || len(c.Metadata) != MaxProperties {
		t.Errorf("at the limits: %v", err)
	}
}

func manyProperties(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("    n")
		b.WriteString(strings.Repeat("x", i))
		b.WriteString(" = 1\n")
	}
	return b.String()
}

// TestParseErrorsHideSecret checks that errors do not contain the secret key.
func TestParseErrorsHideSecret(t *testing.T) {
	key := EncodeKey(newCertificate(t).Secret)
	for _, text := range []string{
		"curve\n    secret-key = \"" + key + "x\"",
		"curve\n    secret-key = \"" + key,
		"curve\n    secret-key \"" + key + "\"",
		"curve\n    secret-key = \"~" + key[1:] + "\"",
		"curve\n    secret-key = \"x\"" + key,
		"curve\n   " + key,
	} {
		_, err := Parse([]byte(text))
		if err == nil || strings.Contains(err.Error(), key[1:39]) {
			t.Errorf("error %v, want one without the key", err)
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	want := newCertificate(t)
	want.SetMeta("user-id", "mallory")
	want.SetMeta("note", `says "hi" # loudly `)
	want.SetMeta("empty", "")
	want.SetMeta("user-id", "ann")
	text, err := want.SecretText()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Metadata[0] != (Property{"user-id", "ann"}) {
		t.Errorf("metadata %v: SetMeta moved a property", got.Metadata)
	}
}

func TestTextErrors(t *testing.T) {
	for _, p := range []Property{{"", "x"}, {"a b", "x"}, {"a/", "x"}, {"a", "x\ny"}, {"a", `"'`}, {"a", "\x00"}} {
		c := newCertificate(t)
		c.Metadata = []Property{p}
		if text, err := c.PublicText(); err == nil {
			t.Errorf("%q: wrote %s", p, text)
		}
	}
	c := newCertificate(t)
	c.HasSecret = false
	if _, err := c.SecretText(); err == nil {
		t.Error("secret file without a secret key")
	}
}

func TestWriteAndRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "kitchen")
	want := newCertificate(t)
	want.SetMeta("user-id", "kitchen")
	if err := want.Write(name); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSecret(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	public, err := ReadPublic(name)
	if err != nil {
		t.Fatal(err)
	}
	if public.HasSecret || public.Public != want.Public || public.Meta("user-id") != "kitchen" {
		t.Errorf("public file: %+v", public)
	}
	for _, file := range []string{name, name + SecretSuffix} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if file != name && runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	if _, err := ReadPublic(name + SecretSuffix); err == nil || !strings.Contains(err.Error(), "secret key in a public") {
		t.Errorf("secret file read as a public one: %v", err)
	}
}

// TestWriteExisting checks that Write overwrites no file and removes a file if it cannot
// write both.
func TestWriteExisting(t *testing.T) {
	dir := t.TempDir()
	for _, existing := range []string{"a", "b" + SecretSuffix} {
		file := filepath.Join(dir, existing)
		if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, strings.TrimSuffix(existing, SecretSuffix))
		if err := newCertificate(t).Write(name); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s exists: %v", existing, err)
		}
		if b, _ := os.ReadFile(file); string(b) != "mine" {
			t.Errorf("%s was overwritten", existing)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("directory has %v, want 2 files; %v", entries, err)
	}
}

func TestReadSecretModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes on Windows")
	}
	name := filepath.Join(t.TempDir(), "c")
	if err := newCertificate(t).Write(name); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o660, 0o650, 0o620, 0o610, 0o644, 0o604, 0o602, 0o601} {
		if err := os.Chmod(name+SecretSuffix, mode); err != nil {
			t.Fatal(err)
		}
		var refused *PermissionError
		if _, err := ReadSecret(name); !errors.As(err, &refused) || refused.Mode != mode {
			t.Errorf("mode %o: %v", mode, err)
		} else if !strings.Contains(err.Error(), name+SecretSuffix) || !strings.Contains(err.Error(), "0600") {
			t.Errorf("mode %o: error %q, want file and allowed mode", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o700, 0o640, 0o440} {
		if err := os.Chmod(name+SecretSuffix, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSecret(name); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestReadSecretMismatch(t *testing.T) {
	dir := t.TempDir()
	a, b := newCertificate(t), newCertificate(t)

	inside := filepath.Join(dir, "inside")
	mixed := &Certificate{Public: a.Public, Secret: b.Secret, HasSecret: true}
	if err := mixed.Write(inside); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(dir, "beside")
	if err := a.Write(beside); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(beside); err != nil {
		t.Errorf("without a public file: %v", err)
	}
	if err := (&Certificate{Public: b.Public}).Write(beside); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{inside, beside} {
		if _, err := ReadSecret(name); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	publicOnly := filepath.Join(dir, "public")
	text, _ := a.PublicText()
	if err := os.WriteFile(publicOnly+SecretSuffix, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(publicOnly); !errors.Is(err, ErrCertificate) {
		t.Errorf("secret file without a secret: %v", err)
	}
	if _, err := ReadSecret(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzCertificate(f *testing.F) {
	fixed := &Certificate{Public: [KeySize]byte{1}, Metadata: []Property{{"user-id", "ann"}, {"q", `"`}}}
	text, err := fixed.PublicText()
	if err != nil {
		f.Fatal(err)
	}
	pair, err := New()
	if err != nil {
		f.Fatal(err)
	}
	secret, err := pair.SecretText()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{publicCZMQ, publicPyzmq, string(text), string(secret), "curve\n    public-key = 'x' # y\n\n#\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrCertificate) && !errors.Is(err, ErrMismatch) {
				t.Fatalf("error %v, want ErrCertificate or ErrMismatch", err)
			}
			return
		}
		write := (*Certificate).PublicText
		if c.HasSecret {
			write = (*Certificate).SecretText
		}
		once, err := write(c)
		if err != nil {
			return // a value without quotes can contain both kinds of quotes
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("cannot parse the generated text: %v\n%s", err, once)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

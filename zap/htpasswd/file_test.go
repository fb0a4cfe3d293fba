package htpasswd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// hashOf returns a cheap hash with the given version.
func hashOf(t testing.TB, password, version string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "$" + version + "$" + strings.TrimPrefix(string(h), "$2a$")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	const salt = "abcdefghijklmnopqrstuu" + "0123456789012345678901234567890" // 22 + 31
	good := "$2y$10$" + salt
	for name, c := range map[string]struct {
		text  string
		users string // separated by spaces
		fault string // part of the error; "" for none
	}{
		"empty":               {"", "", ""},
		"one":                 {"ada:" + good + "\n", "ada", ""},
		"without an end":      {"ada:" + good, "ada", ""},
		"CRLF":                {"ada:" + good + "\r\nbob:" + good + "\r\n", "ada bob", ""},
		"2a and 2b":           {"ada:$2a$10$" + salt + "\nbob:$2b$10$" + salt, "ada bob", ""},
		"comments":            {"# users\n\n  \nada:" + good + "\n#bob:x\n", "ada", ""},
		"UTF-8":               {"zoë:" + good, "zoë", ""},
		"space inside":        {"ada lovelace:" + good, "ada lovelace", ""},
		"longest name":        {strings.Repeat("a", MaxUser) + ":" + good, strings.Repeat("a", MaxUser), ""},
		"name too long":       {strings.Repeat("a", MaxUser+1) + ":" + good, "", "1: user name of 256 bytes"},
		"no name":             {":" + good, "", "1: no user name"},
		"no colon":            {"ada\n", "", `1: user "ada": unknown kind of hash`},
		"space around":        {"ada :" + good, "", "1: user name \"ada \" begins or ends with white space"},
		"byte order mark":     {"\ufeffada:" + good, "", "1: user name"},
		"not UTF-8":           {"a\xff:" + good, "", "1: user name is not UTF-8"},
		"control character":   {"a\x00b:" + good, "", "1: user name"},
		"twice":               {"ada:" + good + "\nbob:" + good + "\nada:" + good, "", `3: user "ada": duplicate line`},
		"MD5":                 {"\nada:$apr1$abc$def", "", `2: user "ada": an Apache MD5 hash, want bcrypt`},
		"SHA-1":               {"ada:{SHA}abc", "", "1: user \"ada\": a SHA-1 hash, want bcrypt"},
		"SHA-512":             {"ada:$6$abc$def", "", "a SHA-512 hash"},
		"crypt":               {"ada:rl0uE2lU8VJT2", "", "unknown kind of hash"},
		"the broken 2x":       {"ada:$2x$10$" + salt, "", "malformed bcrypt hash"},
		"one byte short":      {"ada:" + good[:len(good)-1], "", "59 bytes"},
		"one byte long":       {"ada:" + good + "x", "", "61 bytes"},
		"more fields":         {"ada:" + good + ":Ada", "", "64 bytes"},
		"lowest cost":         {"ada:$2y$04$" + salt, "ada", ""},
		"cost too low":        {"ada:$2y$03$" + salt, "", `cost "03"`},
		"highest cost":        {"ada:$2y$16$" + salt, "ada", ""},
		"cost too high":       {"ada:$2y$17$" + salt, "", `cost "17"`},
		"cost not a number":   {"ada:$2y$1x$" + salt, "", `cost "1x"`},
		"cost with a sign":    {"ada:$2y$+9$" + salt, "", `cost "+9"`},
		"not of the alphabet": {"ada:$2y$10$" + "!" + salt[1:], "", "alphabet"},
		"truncated line":      {"ada:" + good + "\nbob:$2y$10$abc", "", `2: user "bob"`},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := parse(c.text)
			switch {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("error %v, want %q", err, c.fault)
			case err == nil && strings.Join(table.users, " ") != c.users:
				t.Errorf("users %q, want %q", table.users, c.users)
			}
			if err != nil && strings.Contains(err.Error(), "rl0uE2lU8VJT2") {
				t.Errorf("the error repeats the hash: %v", err)
			}
		})
	}
}

var corpus = []string{
	"ada:$2y$10$abcdefghijklmnopqrstuu0123456789012345678901234567890\n",
	"# comment\n\nada:$2a$04$abcdefghijklmnopqrstuu0123456789012345678901234567890",
	"ada:{SHA}x\n",
	"zoë:$2b$10$abcdefghijklmnopqrstuu0123456789012345678901234567890\r\nbob",
}

func TestCorpus(t *testing.T) {
	if len(corpus) == 0 {
		t.Error("fuzz target without seeds")
	}
}

// FuzzReplaceLine: only the user's line changes, and the result parses.
func FuzzReplaceLine(f *testing.F) {
	for _, c := range corpus {
		f.Add(c, "ada")
		f.Add(c, "eve")
	}
	const hash = "$2y$04$abcdefghijklmnopqrstuu0123456789012345678901234567890"
	f.Fuzz(func(t *testing.T, text, user string) {
		if checkUser(user) != nil {
			return
		}
		before, err := parse(text)
		after, editErr := replaceLine(text, user, user+":"+hash)
		if err != nil {
			if editErr == nil {
				t.Error("edited a file that does not parse")
			}
			return
		}
		if editErr != nil {
			t.Fatal(editErr)
		}
		got, err := parse(after)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, after, err)
		}
		before.hashes[user] = hash
		if len(got.hashes) != len(before.hashes) {
			t.Fatalf("%q became %q", text, after)
		}
		for u, h := range before.hashes {
			if got.hashes[u] != h {
				t.Errorf("%q: %q became %q", u, h, got.hashes[u])
			}
		}
	})
}

func TestSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	mode := func() fs.FileMode {
		info, err := os.Stat(file)
		must(t, err)
		return info.Mode().Perm()
	}
	matches := func(user, password string) bool {
		table, err := read(file)
		must(t, err)
		return bcrypt.CompareHashAndPassword([]byte(table.hashes[user]), []byte(password)) == nil
	}
	must(t, Set(file, "ada", "one"))
	if mode() != 0o600 || !matches("ada", "one") {
		t.Errorf("a new file: mode %v, ada matches: %v", mode(), matches("ada", "one"))
	}
	must(t, os.WriteFile(file, []byte("# by hand\nada:"+hashOf(t, "two", "2b")+"\nbob:"+hashOf(t, "b", "2y")), 0o640))
	must(t, os.Chmod(file, 0o640))
	must(t, set(file, "ada", "three", MinCost))
	must(t, set(file, "carol", strings.Repeat("c", MaxPassword), MinCost))
	if mode() != 0o640 {
		t.Errorf("the mode of an existing file became %v", mode())
	}
	if !matches("ada", "three") || !matches("bob", "b") || !matches("carol", strings.Repeat("c", MaxPassword)) {
		t.Error("a user was lost")
	}
	text, err := os.ReadFile(file)
	must(t, err)
	if !strings.HasPrefix(string(text), "# by hand\nada:$2y$") || strings.Count(string(text), "\n") != 4 {
		t.Errorf("the file is now\n%s", text)
	}
	must(t, Delete(file, "bob"))
	must(t, Delete(file, "ada"))
	if users, err := Users(file); err != nil || len(users) != 1 || users[0] != "carol" || mode() != 0o640 {
		t.Errorf("after two were deleted: users %q, error %v, mode %v", users, err, mode())
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), "# by hand\ncarol:") {
		t.Errorf("the file is now\n%s, error %v", text, err)
	}
	if err := Delete(file, "ada"); !errors.Is(err, ErrNoUser) {
		t.Errorf("of a user who is not there: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("%d files remain", len(entries))
	}
}

func TestSetErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users")
	for name, c := range map[string]struct{ user, password string }{
		"no user":     {"", "x"},
		"colon":       {"a:b", "x"},
		"line feed":   {"a\nb", "x"},
		"comment":     {"#a", "x"},
		"long user":   {strings.Repeat("a", MaxUser+1), "x"},
		"no password": {"ada", ""},
		"73 bytes":    {"ada", strings.Repeat("x", MaxPassword+1)},
	} {
		if err := set(file, c.user, c.password, MinCost); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files were created", len(entries))
	}
	must(t, os.WriteFile(file, []byte("bob:secret\n"), 0o600))
	if err := set(file, "ada", "x", MinCost); err == nil || !strings.Contains(err.Error(), file+":1:") {
		t.Errorf("an invalid file: %v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "bob:secret\n" {
		t.Errorf("the file is now %q", text)
	}
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.WriteFile(file+".new", nil, 0o600))
	if err := Set(file, "ada", "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("during another change: %v", err)
	}
}

func TestSetThroughALink(t *testing.T) {
	real, link := filepath.Join(t.TempDir(), "real"), filepath.Join(t.TempDir(), "link")
	must(t, os.WriteFile(real, nil, 0o600))
	must(t, os.Symlink(real, link))
	must(t, set(link, "ada", "x", MinCost))
	if target, err := os.Readlink(link); err != nil || target != real {
		t.Errorf("the link is now %q, %v", target, err)
	}
	if table, err := read(real); err != nil || len(table.users) != 1 {
		t.Errorf("the file: %v", err)
	}
}

func TestReadLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	for size, ok := range map[int]bool{MaxFile: true, MaxFile + 1: false} {
		must(t, os.WriteFile(file, []byte("#"+strings.Repeat("x", size-1)), 0o600))
		if _, err := read(file); ok != (err == nil) {
			t.Errorf("%d bytes: error %v", size, err)
		}
	}
	if _, err := read(filepath.Dir(file)); err == nil {
		t.Error("a directory was read")
	}
}

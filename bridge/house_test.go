package bridge_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The sizes of CONTRIBUTING.md.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
	maxFacadeLines   = 900
)

// TestSizes checks the size of every Go file, and of every function outside tests.
func TestSizes(t *testing.T) {
	files := sources(t, ".go")
	if len(files) < 200 {
		t.Fatalf("found %d Go files, want at least 200: .. must be the root of the repository", len(files))
	}
	for _, file := range files {
		text := readFile(t, file)
		if n := bytes.Count(text, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed", file, n, maxFileLines)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue // tables make tests long, not hard to read
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d are allowed", set.Position(f.Pos()), f.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// TestFacadeSize checks that package bridge only puts its parts together.
func TestFacadeSize(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			lines += bytes.Count(readFile(t, file), []byte("\n"))
		}
	}
	if lines == 0 || lines >= maxFacadeLines {
		t.Errorf("package bridge has %d lines without tests, want less than %d", lines, maxFacadeLines)
	}
}

// dialect matches phrases that have a plainer equivalent.
var dialect = regexp.MustCompile(`tells whether|says whether|\bis no [a-z]|\bare none\b|in the place of|worked out anew|who is behind|is wanted here`)

// octet does not match OCTET, which is ABNF.
var octet = regexp.MustCompile(`[Oo]ctet`)

// octetAllowed matches lines that need the word: a media type, and the terms of an RFC.
var octetAllowed = regexp.MustCompile(`application/octet-stream|RFC [0-9]+`)

// TestPlainEnglish checks that code and documents use the standard terms of the field.
func TestPlainEnglish(t *testing.T) {
	for _, file := range sources(t, ".go", ".js", ".mjs", ".ts", ".jsx", ".md", ".toml", ".txtar", ".html", ".py") {
		if strings.HasSuffix(file, "bridge/house_test.go") {
			continue // contains the phrases
		}
		// The ABNF and wire tables of PROTOCOL.md use the terms of the RFCs, and CHANGELOG.md has
		// old names.
		octets := strings.HasSuffix(file, "zws/PROTOCOL.md") || strings.HasSuffix(file, "CHANGELOG.md")
		for i, line := range strings.Split(string(readFile(t, file)), "\n") {
			if found := dialect.FindString(line); found != "" {
				t.Errorf("%s:%d: %q", file, i+1, found)
			}
			if !octets && octet.MatchString(line) && !octetAllowed.MatchString(line) {
				t.Errorf("%s:%d: want byte instead of octet: %s", file, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// sources returns the files of the repository with one of the extensions, without foreign code and
// test data.
func sources(t *testing.T, extensions ...string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if slices.Contains([]string{"node_modules", "testdata", ".git"}, name) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains(extensions, filepath.Ext(name)) && name != "nacl.js" {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readFile returns the contents of file.
func readFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

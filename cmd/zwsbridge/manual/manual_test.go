package manual

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

const root = "../../.."

// TestTopics checks that every file is a topic with a heading, and that the README links to it.
func TestTopics(t *testing.T) {
	names, err := fs.Glob(files, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".md")
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(slices.Values(order))); diff != "" {
		t.Errorf("order lists other topics (+) than there are files (-):\n%s", diff)
	}
	readme := read(t, filepath.Join(root, "README.md"))
	for _, topic := range Topics() {
		if topic.Title == "" || !strings.HasPrefix(source(topic.Name), "# ") {
			t.Errorf("%s.md does not begin with a heading", topic.Name)
		}
		if !strings.Contains(readme, "(cmd/zwsbridge/manual/"+topic.Name+".md)") {
			t.Errorf("README.md has no link to %s.md", topic.Name)
		}
	}
}

func TestText(t *testing.T) {
	for _, topic := range Topics() {
		text, ok := Text(topic.Name)
		if !ok || strings.Contains(text, "](../") || strings.Contains(text, "<!--") || strings.Contains(text, "\n|") {
			t.Errorf("%s: ok %v; the text has links that lead nowhere, comments or tables of Markdown", topic.Name, ok)
		}
	}
	if _, ok := Text("nonsense"); ok {
		t.Error("Text reports that there is a topic nonsense")
	}
}

// TestLinks checks that what README and manual link to exists: files, and headings of Markdown
// files.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		for _, found := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(found[2], "://") {
				continue
			}
			file, fragment, _ := strings.Cut(found[2], "#")
			target := filepath.Join(filepath.Dir(page), file)
			if file == "" {
				target = page
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", page, found[2], err)
			} else if fragment != "" && !slices.Contains(anchors(read(t, target)), fragment) {
				t.Errorf("%s: %s: %s has no such heading", page, found[2], target)
			}
		}
	}
}

// TestReadmeLength keeps the README short: what it would exceed belongs in the manual.
func TestReadmeLength(t *testing.T) {
	const limit = 180
	if n := strings.Count(read(t, filepath.Join(root, "README.md")), "\n"); n > limit {
		t.Errorf("README.md has %d lines, at most %d are allowed", n, limit)
	}
}

// anchors returns the fragments by which GitHub links to the headings of text.
func anchors(text string) []string {
	var found []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		found = append(found, strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, heading[1]))
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTable(t *testing.T) {
	var b strings.Builder
	writeTable(&b, [][]string{
		cells("| key | default | |\n"),
		cells("| `on_full` | | a \\| b |\n"),
		cells("| `x` | 1 | " + strings.Repeat("word ", 20) + "|\n"),
	})
	want := "  key      default\n\n" +
		"  on_full           a | b\n" +
		"  x        1        " + strings.TrimSpace(strings.Repeat("word ", 16)) + "\n" +
		"                    word word word word\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated parts of the manual")

// section matches a generated part of a page: its name, and what is between the marks.
var section = regexp.MustCompile(`(?s)<!-- generated: (.*?) -->\n(.*?)<!-- end -->`)

// TestTables compares the generated parts of the manual with what the code says: the keys of the
// configuration, the metrics, the commands and the close codes. "make docs" writes them.
func TestTables(t *testing.T) {
	parts := make(map[string]string)
	addKeys(t, parts)
	addMetrics(t, parts)
	addCommands(parts)
	addCloseCodes(t, parts)
	pages, err := filepath.Glob("manual/*.md")
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	for _, page := range pages {
		old, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := section.ReplaceAllStringFunc(string(old), func(found string) string {
			name := section.FindStringSubmatch(found)[1]
			part, ok := parts[name]
			if !ok {
				t.Errorf("%s: nothing generates %q", page, name)
			}
			used[name] = true
			return fmt.Sprintf("<!-- generated: %s -->\n%s<!-- end -->", name, part)
		})
		if text == string(old) {
			continue
		}
		if *update {
			if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s differs from the code (-page +code); 'make docs' writes it:\n%s", page, cmp.Diff(string(old), text))
	}
	for name := range parts {
		if !used[name] {
			t.Errorf("no page has the part %q: add <!-- generated: %[1]s --> and <!-- end -->", name)
		}
	}
}

// table is a Markdown table.
type table struct{ strings.Builder }

func newTable(columns ...string) *table {
	var b table
	b.row(columns...)
	b.WriteString("|" + strings.Repeat("---|", len(columns)) + "\n")
	return &b
}

func (b *table) row(cells ...string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

// code returns text as code of Markdown; nothing for nothing.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/manual"
	"github.com/zwsbridge/zwsbridge/internal/buildinfo"
)

// codeLink matches a link whose text is code, which md2man leaves out.
var codeLink = regexp.MustCompile("\\[(`[^`]*`)\\]\\(([^)]*)\\)")

// writeMan writes the man pages below dir, as man finds them in a MANPATH: a page of section 1 for each
// command, bridge.toml(5), and zwsbridge-TOPIC(7) for each other topic of the manual.
func writeMan(root *cobra.Command, dir string) error {
	build := buildinfo.Get()
	date, err := time.Parse(time.RFC3339, build.Date)
	if err != nil {
		date = time.Now() // of a build that does not know its commit
	}
	for _, section := range []string{"man1", "man5", "man7"} {
		if err := os.MkdirAll(filepath.Join(dir, section), 0o755); err != nil {
			return err
		}
	}
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: "zwsbridge " + build.Version, Manual: "zwsbridge"}
	if err := doc.GenManTree(root, header, filepath.Join(dir, "man1")); err != nil {
		return err
	}
	for _, topic := range manual.Topics() {
		text, _ := manual.Listed(topic.Name)
		name, section := "zwsbridge-"+topic.Name, "7"
		switch topic.Name {
		case "commands": // has the pages of section 1
			continue
		case "configuration":
			name, section = "bridge.toml", "5"
		}
		_, body, _ := strings.Cut(text, "\n") // without the heading
		body = codeLink.ReplaceAllString(body, "$1 ($2)")
		page := fmt.Sprintf("# %s %s %q %q %q\n\n# NAME\n\n%s - %s\n\n# DESCRIPTION\n%s", name, section,
			date.Format("January 2006"), header.Source, header.Manual, name, topic.Title, body)
		file := filepath.Join(dir, "man"+section, name+"."+section)
		if err := os.WriteFile(file, md2man.Render([]byte(page)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

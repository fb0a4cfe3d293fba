package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/manual"
)

// TestMan writes the man pages, and has man show one of each section where it is installed.
func TestMan(t *testing.T) {
	dir := t.TempDir()
	if code := run(t.Context(), []string{"help", "--man", dir}, strings.NewReader(""), os.Stdout, os.Stderr); code != exitSuccess {
		t.Fatalf("exit code %d", code)
	}
	pages := []string{"man5/bridge.toml.5"}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if !cmd.Hidden && cmd.Name() != "help" {
			pages = append(pages, "man1/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
		}
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(newRoot())
	for _, topic := range manual.Topics() {
		if topic.Name != "commands" && topic.Name != "configuration" {
			pages = append(pages, "man7/zwsbridge-"+topic.Name+".7")
		}
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{".TH ", ".SH NAME", ".SH DESCRIPTION"} {
			if !strings.Contains(string(text), "\n"+part) {
				t.Errorf("%s has no %s", page, part)
			}
		}
	}
	for page, want := range map[string]string{
		"man1/zwsbridge-sub.1":    "zwsbridge-sub - Subscribe to topics",
		"man5/bridge.toml.5":      "max_frames (default 1000)",
		"man7/zwsbridge-errors.7": "4400",
	} {
		if _, err := exec.LookPath("man"); err != nil {
			t.Log("man is not installed")
			break
		}
		cmd := exec.Command("man", "-l", filepath.Join(dir, page))
		cmd.Env = append(os.Environ(), "MANWIDTH=100", "MANPAGER=cat", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("man -l %s: %v, want %q in:\n%s", page, err, want, out)
		}
	}
}

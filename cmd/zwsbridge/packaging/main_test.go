package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func TestTags(t *testing.T) {
	for version, want := range map[string][]string{
		"v1.2.3":            {"1.2.3", "1.2", "latest"},
		"v1.2.3-rc.1":       {"1.2.3-rc.1"},
		"v1.2.3-rc.1+build": {"1.2.3-rc.1-build"},
	} {
		if d := cmp.Diff(want, tags(version)); d != "" {
			t.Errorf("%s, -want +got:\n%s", version, d)
		}
	}
}

// TestDist makes the archive of what goreleaser leaves in its directory.
func TestDist(t *testing.T) {
	parent := t.TempDir()
	date := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{
		"metadata.json": `{"version":"1.2.3","commit":"0123"}`,
		"artifacts.json": `[
			{"type":"Metadata","path":"dist/metadata.json"},
			{"type":"Binary","path":"dist/arm/zwsbridge","goos":"linux","goarch":"arm","goarm":"7"},
			{"type":"Binary","path":"dist/amd64/zwsbridge","goos":"linux","goarch":"amd64","goamd64":"v1"},
			{"type":"Archive","path":"dist/amd64/zwsbridge","goos":"linux","goarch":"amd64"},
			{"type":"Binary","path":"dist/windows/zwsbridge.exe","goos":"windows","goarch":"amd64"}]`,
		"arm/zwsbridge":   "ARM",
		"amd64/zwsbridge": "AMD64",
	} {
		path := filepath.Join(parent, "dist", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, date, date); err != nil {
			t.Fatal(err)
		}
	}
	r, binaries, err := readDist(filepath.Join(parent, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	if r != (release{"v1.2.3", "0123", date}) {
		t.Errorf("the release is %+v", r)
	}
	index, err := r.index(binaries)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := layout.Write(dir, index); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
	}
	if d := cmp.Diff([]string{"linux/arm/v7", "linux/amd64"}, platforms); d != "" {
		t.Errorf("platforms, -want +got:\n%s", d)
	}
}

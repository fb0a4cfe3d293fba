//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"go.yaml.in/yaml/v3"
)

// repository is the root of the repository, to which the paths of goreleaser.yaml are relative.
const repository = "../../.."

const (
	testVersion = "7.8.9"
	testCommit  = "0123456789abcdef0123456789abcdef01234567"
	testDate    = "2026-11-30T12:00:00Z"
)

// releaseConfig is the part of .github/goreleaser.yaml that the tests carry out themselves.
type releaseConfig struct {
	Builds []struct {
		Main                string
		Env, Flags, Ldflags []string
	}
	Nfpms []map[string]any
}

func loadConfig(t *testing.T) *releaseConfig {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, ".github/goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer("{{ .Version }}", testVersion, "{{ .FullCommit }}", testCommit, "{{ .CommitDate }}", testDate).Replace(string(text)))
	c := new(releaseConfig)
	if err := yaml.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// command runs a program in the repository and returns its output. It fails the test if the
// program fails.
func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

var built struct {
	once sync.Once
	path string
}

// program returns the path of zwsbridge, built for this machine as a release is.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		c := loadConfig(t).Builds[0]
		path := filepath.Join(scratch, "zwsbridge")
		args := append([]string{"build", "-o", path, "-ldflags", strings.Join(c.Ldflags, " ")}, c.Flags...)
		command(t, c.Env, "go", append(args, c.Main)...)
		built.path = path
	})
	if built.path == "" {
		t.Fatal("zwsbridge could not be built")
	}
	return built.path
}

var generated = sync.OnceValues(func() ([]byte, error) { return exec.Command("./generate").CombinedOutput() })

// buildPackage builds the deb or rpm package of a version as goreleaser.yaml describes it, and
// returns its path.
func buildPackage(t *testing.T, format, version string) string {
	t.Helper()
	if out, err := generated(); err != nil {
		t.Fatalf("generate: %v\n%s", err, out)
	}
	config := packageConfig(t, version)
	info, err := config.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range info.Contents {
		if c.Source != "" {
			c.Source = filepath.Join(root, c.Source)
		}
	}
	scripts := &info.Scripts
	for _, s := range []*string{&scripts.PreInstall, &scripts.PostInstall, &scripts.PreRemove, &scripts.PostRemove} {
		*s = filepath.Join(root, *s)
	}
	info.Contents = append(info.Contents, &files.Content{Source: program(t), Destination: "/usr/bin/zwsbridge", FileInfo: &files.ContentFileInfo{Mode: 0o755}})
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		t.Fatal(err)
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := packager.Package(info, &buf); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), packager.ConventionalFileName(info))
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s has %.1f MiB", filepath.Base(path), float64(buf.Len())/(1<<20))
	return path
}

// packageConfig turns goreleaser's settings into those of nfpm, which has other names for a few.
func packageConfig(t *testing.T, version string) nfpm.Config {
	t.Helper()
	settings := loadConfig(t).Nfpms[0]
	settings["name"] = settings["package_name"]
	settings["arch"] = "amd64"
	settings["version"] = version
	for _, own := range []string{"package_name", "file_name_template", "formats", "bindir"} {
		delete(settings, own)
	}
	for _, o := range settings["overrides"].(map[string]any) {
		o := o.(map[string]any)
		o["depends"] = o["dependencies"]
		delete(o, "dependencies")
	}
	text, err := yaml.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	config, err := nfpm.ParseWithEnvMapping(bytes.NewReader(text), func(string) string { return "" })
	if err != nil {
		t.Fatalf("nfpms of goreleaser.yaml: %v", err)
	}
	return config
}

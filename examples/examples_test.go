package examples

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// skipOnWindows: stages are ended by signals, and secret files have modes.
func skipOnWindows(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs Unix")
	}
}

func TestGoHouse(t *testing.T) {
	skipOnWindows(t)
	s := newStage(t)
	house := build(t, "go-house", "./go-house")
	s.house("go-house", func(readings, commands string) []string {
		return []string{house, "-readings", readings, "-commands", commands}
	})
}

// TestSystemd has systemd look at the unit, where there is one.
func TestSystemd(t *testing.T) {
	skipOnWindows(t)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	s := newStage(t)
	binary := build(t, "zwsbridge", "../cmd/zwsbridge")
	s.copy("systemd/zwsbridge.service", "zwsbridge.service", "/usr/local/bin/zwsbridge", binary)
	unit := filepath.Join(s.dir, "zwsbridge.service")
	if out, err := s.command(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "zwsbridge.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := s.command(t.Context(), analyze, "security", "--no-pager", "--offline=true", unit).CombinedOutput()
	if err != nil {
		t.Skipf("systemd-analyze security cannot be run here: %v\n%s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level.*: ([0-9.]+) (\w+)`).FindStringSubmatch(string(out))
	if level == nil || level[2] != "OK" {
		t.Errorf("systemd-analyze security: %q, want OK\n%s", level, out)
	}
}

// TestSystemdCommand starts the program as the unit does, in a folder like that of the unit.
func TestSystemdCommand(t *testing.T) {
	skipOnWindows(t)
	s := newStage(t)
	s.copy("systemd/bridge.toml", "bridge.toml", `"0.0.0.0:8443"`, `"127.0.0.1:0"`)
	if address := s.serve(); address == "" {
		t.Error("no address")
	}
}

// TestDockerfile runs the build line of the Dockerfile and looks at what the image would
// hold: docker itself is not needed.
func TestDockerfile(t *testing.T) {
	skipOnWindows(t)
	if testing.Short() {
		t.Skip("compiles everything once more, without cgo")
	}
	text, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /zwsbridge (\S+)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("the Dockerfile has no build line")
	}
	binary := filepath.Join(t.TempDir(), "zwsbridge")
	cmd := exec.Command("sh", "-c", string(line[1])+` -o "$0" `+string(line[2]), binary)
	cmd.Dir = ".." // what COPY brings
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line[0], err, out)
	}
	if out, err := exec.Command(binary, "version").CombinedOutput(); err != nil {
		t.Errorf("version: %v %s", err, out)
	}
	if runtime.GOOS == "linux" {
		program, err := elf.Open(binary)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
			t.Errorf("the program needs %v (%v), and the image has no libraries", libraries, err)
		}
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).Match(text) {
		t.Error("the image would run as root")
	}
	s := newStage(t)
	s.copy("docker/bridge.toml", "bridge.toml", `"0.0.0.0:8443"`, `"127.0.0.1:0"`)
	s.serve()
}

// TestGrafana: the dashboard asks for nothing that the bridge does not count.
func TestGrafana(t *testing.T) {
	text, err := os.ReadFile("grafana/zwsbridge.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	var known strings.Builder
	for _, file := range []string{"../bridge/metrics.go", "../bridge/gauges.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		known.Write(source)
	}
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`zwsbridge_[a-z_]+`).FindAllString(target.Expr, -1) {
				asked++
				if !strings.Contains(known.String(), `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
					t.Errorf("%s asks for %s, which there is not", panel.Title, name)
				}
			}
		}
	}
	if asked < 15 {
		t.Errorf("only %d names are asked for", asked)
	}
}

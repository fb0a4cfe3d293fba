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

// skipOnWindows skips a test that ends programs with signals or needs file modes.
func skipOnWindows(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs Unix")
	}
}

func TestGoHouse(t *testing.T) {
	skipOnWindows(t)
	e := newEnv(t)
	house := build(t, "go-house", "./go-house")
	e.testHouse("go-house", func(readings, commands string) []string {
		return []string{house, "-readings", readings, "-commands", commands}
	})
}

// TestSystemd verifies the units with systemd-analyze if it is installed.
func TestSystemd(t *testing.T) {
	skipOnWindows(t)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	e := newEnv(t)
	binary := build(t, "zwsbridge", "../cmd/zwsbridge")
	e.copy("systemd/zwsbridge.service", "zwsbridge.service", "/usr/bin/zwsbridge", binary)
	unit := filepath.Join(e.dir, "zwsbridge.service")
	verify := []string{"verify", "--man=no", unit}
	for _, name := range []string{"zwsbridge.socket", "zwsbridge-admin.socket"} {
		e.copy("systemd/"+name, name)
		verify = append(verify, filepath.Join(e.dir, name))
	}
	if out, err := e.command(t.Context(), analyze, verify...).CombinedOutput(); err != nil || regexp.MustCompile(`zwsbridge\S*\.(service|socket):`).Match(out) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := e.command(t.Context(), analyze, "security", "--no-pager", "--offline=true", unit).CombinedOutput()
	if err != nil {
		t.Skipf("systemd-analyze security cannot be run here: %v\n%s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level.*: ([0-9.]+) (\w+)`).FindStringSubmatch(string(out))
	if level == nil || level[2] != "OK" {
		t.Errorf("systemd-analyze security: %q, want OK\n%s", level, out)
	}
}

// TestSystemdCommand starts the program with the configuration of the unit.
func TestSystemdCommand(t *testing.T) {
	skipOnWindows(t)
	e := newEnv(t)
	e.copy("systemd/bridge.toml", "bridge.toml", `"0.0.0.0:8443"`, `"127.0.0.1:0"`, "/var/lib/zwsbridge/", "")
	if address := e.serve(); address == "" {
		t.Error("the program does not log its address")
	}
}

// TestDockerfile runs the build command of the Dockerfile and checks the program. It does not
// need docker.
func TestDockerfile(t *testing.T) {
	skipOnWindows(t)
	if testing.Short() {
		t.Skip("compiles everything again, without cgo")
	}
	text, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /zwsbridge (\S+)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("no build command in the Dockerfile")
	}
	binary := filepath.Join(t.TempDir(), "zwsbridge")
	cmd := exec.Command("sh", "-c", string(line[1])+` -o "$0" `+string(line[2]), binary)
	cmd.Dir = ".." // the directory that COPY copies
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
			t.Errorf("the program needs the libraries %v (%v), which are not in the image", libraries, err)
		}
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).Match(text) {
		t.Error("the image runs as root")
	}
	e := newEnv(t)
	e.copy("docker/bridge.toml", "bridge.toml", `"0.0.0.0:8443"`, `"127.0.0.1:0"`, `"127.0.0.1:9090"`, `"127.0.0.1:0"`)
	e.serve()
}

// TestGrafana checks that the dashboard and the alert rules use only metrics that the bridge exports.
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
	files, err := filepath.Glob("../bridge/internal/metrics/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var defined strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		defined.Write(source)
	}
	names := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`zwsbridge_[a-z_]+`).FindAllString(target.Expr, -1) {
				names++
				if !strings.Contains(defined.String(), `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
					t.Errorf("panel %q uses %s, which the bridge does not export", panel.Title, name)
				}
			}
		}
	}
	if names < 15 {
		t.Errorf("found %d metrics in the dashboard, want at least 15", names)
	}
	rules, err := os.ReadFile("grafana/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`zwsbridge_[a-z_]+`).FindAllString(string(rules), -1) {
		if !strings.Contains(defined.String(), `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
			t.Errorf("alerts.yml uses %s, which the bridge does not export", name)
		}
	}
}

// TestAlerts checks and tests the alert rules with promtool, where it is installed.
func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: it is in the package prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "grafana"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	configFile = "/etc/zwsbridge/bridge.toml"
	stateDir   = "/var/lib/zwsbridge"
)

// TestDeb takes the deb package through its life in a minimal Debian: installed, run, upgraded,
// removed and purged.
func TestDeb(t *testing.T) {
	needs(t, "mmdebstrap", "systemd-analyze")
	r := debian(t)
	systemctl := r.fakeSystemd()
	install := func(version string) {
		t.Helper()
		deb := buildPackage(t, "deb", version)
		command(t, nil, "cp", deb, r.path("/tmp/zwsbridge.deb"))
		r.run("/usr/bin/dpkg", "--force-confdef", "-i", "/tmp/zwsbridge.deb")
	}

	install(testVersion)
	r.checkInstalled(t)
	if d := cmp.Diff("daemon-reload\n", systemctl()); d != "" {
		t.Errorf("systemctl calls of the installation, -want +got:\n%s", d)
	}
	if out := r.run("/usr/bin/dpkg", "--verify", "zwsbridge"); out != "" {
		t.Errorf("dpkg --verify: %s", out)
	}
	r.verifyUnit(t)
	s := r.startUnit()
	s.check(t)
	s.stop(t)

	state := stateDir + "/certs/portal.key"
	if !r.exists(state) {
		t.Errorf("the service has not written %s", state)
	}
	edited := r.read(configFile)
	install("7.9.0")
	if d := cmp.Diff("daemon-reload\nis-active --quiet zwsbridge.service\nkill --signal=USR2 --kill-whom=main zwsbridge.service\n", systemctl()); d != "" {
		t.Errorf("systemctl calls of the upgrade, -want +got:\n%s", d)
	}
	if d := cmp.Diff(edited, r.read(configFile)); d != "" {
		t.Errorf("the upgrade changes an edited configuration, -before +after:\n%s", d)
	}

	r.run("/usr/bin/dpkg", "-r", "zwsbridge")
	if d := cmp.Diff("disable --now zwsbridge.socket zwsbridge-admin.socket zwsbridge.service\ndaemon-reload\n", systemctl()); d != "" {
		t.Errorf("systemctl calls of the removal, -want +got:\n%s", d)
	}
	for name, want := range map[string]bool{"/usr/bin/zwsbridge": false, unitFile: false, configFile: true, state: true} {
		if got := r.exists(name); got != want {
			t.Errorf("after dpkg -r: %s exists: %v, want %v", name, got, want)
		}
	}
	r.run("/usr/bin/dpkg", "-P", "zwsbridge")
	for _, name := range []string{"/etc/zwsbridge", stateDir, "/usr/share/doc/zwsbridge"} {
		if r.exists(name) {
			t.Errorf("after dpkg -P: %s exists", name)
		}
	}
	r.lookup("zwsbridge") // stays: files elsewhere may belong to it
}

const unitFile = "/usr/lib/systemd/system/zwsbridge.service"

// socketFiles are units that can be enabled beside it.
var socketFiles = []string{"/usr/lib/systemd/system/zwsbridge.socket", "/usr/lib/systemd/system/zwsbridge-admin.socket"}

// fakeSystemd makes it look as if systemd ran in the system. The function that it returns
// reports the calls of systemctl since it was called before.
func (r root) fakeSystemd() (calls func() string) {
	r.t.Helper()
	r.write("/run/systemd/system/.running", "", 0o644)
	const log = "/tmp/systemctl.log"
	r.write("/usr/bin/systemctl", "#!/bin/sh\necho \"$*\" >>"+log+"\n", 0o755)
	r.write(log, "", 0o666)
	return func() string {
		text := r.read(log)
		r.write(log, "", 0o666)
		return text
	}
}

// checkInstalled checks files, modes and owners, and what the program says about itself.
func (r root) checkInstalled(t *testing.T) {
	t.Helper()
	u := r.lookup("zwsbridge")
	for name, want := range map[string]string{
		"/usr/bin/zwsbridge": "-rwxr-xr-x 0:0",
		unitFile:             "-rw-r--r-- 0:0",
		socketFiles[0]:       "-rw-r--r-- 0:0",
		socketFiles[1]:       "-rw-r--r-- 0:0",
		"/etc/zwsbridge":     fmt.Sprintf("drwxr-x--- 0:%d", u.gid),
		configFile:           fmt.Sprintf("-rw-r----- 0:%d", u.gid),
		stateDir:             fmt.Sprintf("drwx------ %d:%d", u.uid, u.gid),

		"/usr/share/man/man1/zwsbridge-serve.1.gz":            "-rw-r--r-- 0:0",
		"/usr/share/doc/zwsbridge/bridge.toml.gz":             "-rw-r--r-- 0:0",
		"/usr/share/bash-completion/completions/zwsbridge":    "-rw-r--r-- 0:0",
		"/usr/share/fish/vendor_completions.d/zwsbridge.fish": "-rw-r--r-- 0:0",
	} {
		if got := r.stat(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	want := fmt.Sprintf("zwsbridge v%s (commit %s, %s) go", testVersion, testCommit[:12], testDate)
	if out := r.run("/usr/bin/zwsbridge", "version"); !strings.HasPrefix(out, want) {
		t.Errorf("zwsbridge version: %q, want %q…", out, want)
	}
}

// verifyUnit applies systemd-analyze to the units, with the installed program.
func (r root) verifyUnit(t *testing.T) {
	t.Helper()
	// What the unit refers to, which a minimal Debian lacks.
	for _, unit := range []string{"network-online.target", "multi-user.target", "sysinit.target", "basic.target", "sockets.target", "shutdown.target", "-.mount", "system.slice"} {
		r.write("/usr/lib/systemd/system/"+unit, "[Unit]\nDescription="+unit+"\n", 0o644)
	}
	args := []string{"verify", "--man=no", "--root=" + r.dir, filepath.Base(unitFile)}
	for _, name := range socketFiles {
		args = append(args, filepath.Base(name))
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "zwsbridge") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// startUnit runs ExecStartPre and ExecStart of the unit as its user in its working directory.
// Only the ports are changed, which may be in use here.
func (r root) startUnit() *service {
	r.t.Helper()
	unit := r.read(unitFile)
	key := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
		if m == nil {
			r.t.Fatalf("the unit has no %s", name)
		}
		return strings.ReplaceAll(m[1], "%S", "/var/lib")
	}
	u, dir := r.lookup(key("User")), key("WorkingDirectory")
	for _, port := range []string{"8443", "9090"} {
		text := r.read(configFile)
		if !strings.Contains(text, ":"+port) {
			r.t.Fatalf("%s does not have port %s", configFile, port)
		}
		mode := r.stat(configFile)
		r.write(configFile, strings.Replace(text, ":"+port, ":0", 1), 0o640)
		if got := r.stat(configFile); got != mode {
			r.t.Fatalf("%s is %s, was %s", configFile, got, mode)
		}
	}
	pre := r.command(r.t.Context(), u, dir, strings.Fields(key("ExecStartPre"))...)
	if out, err := pre.CombinedOutput(); err != nil {
		r.t.Fatalf("ExecStartPre: %v\n%s", err, out)
	}
	return r.serve(u, dir, strings.Fields(key("ExecStart"))...)
}

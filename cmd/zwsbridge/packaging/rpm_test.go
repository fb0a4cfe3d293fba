//go:build linux

package main

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRPM installs, upgrades and removes the rpm package with rpm. The system is Debian's, which has
// what the scripts need.
func TestRPM(t *testing.T) {
	needs(t, "mmdebstrap", "rpm")
	r := debian(t)
	systemctl := r.fakeSystemd()
	rpm := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "rpm", append([]string{"--root=" + r.dir, "--dbpath=/var/lib/rpm"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("rpm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	first := buildPackage(t, "rpm", testVersion)
	command(t, nil, "rpm", "-K", "--nosignature", first)
	if got, want := command(t, nil, "rpm", "-qp", "--queryformat", "%{NAME} %{VERSION} %{ARCH} %{LICENSE}", first), "zwsbridge 7.8.9 x86_64 MPL-2.0"; got != want {
		t.Errorf("the package is %q, want %q", got, want)
	}
	if got := strings.Fields(command(t, nil, "rpm", "-qpc", first)); !slices.Equal(got, []string{configFile}) {
		t.Errorf("configuration files: %q, want %s", got, configFile)
	}
	if got := command(t, nil, "rpm", "-qp", "--requires", first); !strings.Contains(got, "/usr/sbin/useradd\n") {
		t.Errorf("requires:\n%swant /usr/sbin/useradd", got)
	}

	rpm("-i", "--nodeps", first) // no package of the system is rpm's
	r.checkInstalled(t)
	s := r.startUnit()
	s.check(t)
	s.stop(t)
	edited := r.read(configFile)
	rpm("-U", "--nodeps", buildPackage(t, "rpm", "7.9.0"))
	if d := cmp.Diff(edited, r.read(configFile)); d != "" {
		t.Errorf("the upgrade changes an edited configuration, -before +after:\n%s", d)
	}
	rpm("-e", "zwsbridge")
	want := "daemon-reload\n" + "daemon-reload\nis-active --quiet zwsbridge.service\nkill --signal=USR2 --kill-whom=main zwsbridge.service\n" + "disable --now zwsbridge.socket zwsbridge-admin.socket zwsbridge.service\ndaemon-reload\n"
	if d := cmp.Diff(want, systemctl()); d != "" {
		t.Errorf("systemctl calls of installation, upgrade and removal, -want +got:\n%s", d)
	}
	for name, want := range map[string]bool{"/usr/bin/zwsbridge": false, unitFile: false, configFile + ".rpmsave": true, stateDir + "/certs/portal.key": true} {
		if got := r.exists(name); got != want {
			t.Errorf("after rpm -e: %s exists: %v, want %v", name, got, want)
		}
	}
}

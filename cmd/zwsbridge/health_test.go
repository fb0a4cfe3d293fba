package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestHealth checks what health prints of each answer, and its exit code.
func TestHealth(t *testing.T) {
	status := http.StatusOK
	operators := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(status)
		}
		_, _ = w.Write([]byte(r.URL.Path + " of " + r.Host + "\n"))
	}))
	defer operators.Close()
	admin := strings.TrimPrefix(operators.URL, "http://")
	_, port, err := net.SplitHostPort(admin)
	if err != nil {
		t.Fatal(err)
	}
	health := func(settings string, args ...string) (string, int) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "bridge.toml")
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		code := run(t.Context(), append([]string{"health", "--config", file}, args...), nil, &out, &out)
		return out.String(), code
	}
	check := func(settings string, wantText string, wantCode int, args ...string) {
		t.Helper()
		if text, code := health(settings, args...); code != wantCode || text != wantText {
			t.Errorf("%s: %q, exit code %d; want %q, %d", settings, text, code, wantText, wantCode)
		}
	}

	check(`admin = { listen = "`+admin+`" }`, "/readyz of "+admin+"\n", exitSuccess)
	check(`admin = { listen = "0.0.0.0:`+port+`" }`, "/readyz of "+admin+"\n", exitSuccess) // asked on the loopback interface
	check(`server = { listen = "`+admin+`" }`, "accepts connections; with an [admin] table, health also asks whether logins can be judged\n", exitSuccess)
	status = http.StatusServiceUnavailable
	check(`admin = { listen = "`+admin+`" }`, "zwsbridge: /readyz: 503 Service Unavailable: /readyz of "+admin+"\n", exitFailure)
	check(`admin = { listen = "`+admin+`" }`, "/livez of "+admin+"\n", exitSuccess, "--live")

	operators.Close()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	for settings, where := range map[string]string{
		`admin = { listen = "` + admin + `" }`:               admin,
		`server = { listen = "` + admin + `" }`:              admin,
		`admin = { listen = "", socket = "` + socket + `" }`: socket,
	} {
		text, code := health(settings)
		if code != exitFailure || !strings.Contains(text, "connect") {
			t.Errorf("%s without a bridge: %q, exit code %d, want %d", settings, text, code, exitFailure)
		}
		if want := "zwsbridge: no bridge runs at " + where + ": connect"; runtime.GOOS != "windows" && !strings.HasPrefix(text, want) {
			t.Errorf("%s without a bridge: %q, want %q", settings, text, want)
		}
	}
	if text, code := health("="); code != exitUsage {
		t.Errorf("with a file that is not TOML: %q, exit code %d, want %d", text, code, exitUsage)
	}
}

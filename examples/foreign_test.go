//go:build interop

package examples

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// need skips a test if bridge/interop/run could not install one of the peers.
func need(t *testing.T, peers ...string) {
	t.Helper()
	for _, peer := range peers {
		if slices.Contains(strings.Fields(os.Getenv("ZWSBRIDGE_INTEROP_MISSING")), peer) {
			t.Skipf("%s is not installed", peer)
		}
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPyzmqHouse(t *testing.T) {
	need(t, "python3-zmq")
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "/usr/bin/python3" // the one that has Debian's python3-zmq
	}
	newEnv(t).testHouse("pyzmq-house", func(readings, commands string) []string {
		return []string{python, absolute(t, "pyzmq-house/house.py"), "--readings", "tcp://" + readings, "--commands", "tcp://" + commands}
	})
}

func TestCzmqHouse(t *testing.T) {
	need(t, "libczmq-dev")
	e := newEnv(t)
	house := filepath.Join(e.dir, "house")
	if out, err := exec.Command("cc", "-Wall", "-Wextra", "-Werror", "-o", house, "czmq-house/house.c", "-lczmq", "-lzmq").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	e.mkdir("certs/allowed")
	e.copy(filepath.Join(e.dir, "certs/bridge"), "certs/allowed/bridge")
	e.testHouse("czmq-house", func(readings, commands string) []string {
		return []string{house, "tcp://" + readings, "tcp://" + commands}
	})
}

// nginx runs nginx with the files of the example in front of the bridge at the given addresses.
// It returns the address of nginx and the CA of its certificate.
func nginx(t *testing.T, e *testEnv, bridge, admin string) (address string, roots *x509.CertPool) {
	t.Helper()
	roots = selfSigned(t, e)
	address = freePort(t)
	e.copy("nginx/nginx.conf", "nginx.conf", "listen 443 ssl", "listen "+address+" ssl", "127.0.0.1:8443", bridge, "127.0.0.1:9090", admin,
		"192.168.0.0/16", "127.0.0.2/32", "/etc/nginx/portal", e.dir+"/portal", "/var/www/portal", absolute(t, "nginx"))
	user := ""
	if os.Getuid() == 0 {
		user = "user root; " // the directory has mode 0700
	}
	binary, err := exec.LookPath("nginx")
	if err != nil {
		binary = "/usr/sbin/nginx"
	}
	var temporary strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s/%[1]s; ", kind, e.dir)
	}
	e.copy("nginx/main.conf", "main.conf", "worker_processes auto;", fmt.Sprintf("%sworker_processes 1; daemon off; pid %s/nginx.pid; error_log stderr warn;", user, e.dir),
		"include mime.types;", "access_log off; "+temporary.String(), "conf.d/*.conf", e.dir+"/nginx.conf")
	e.start(binary, "-p", e.dir, "-c", filepath.Join(e.dir, "main.conf"), "-e", "stderr")
	for deadline := time.Now().Add(timeout); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address, roots
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// selfSigned creates portal.crt and portal.key, and returns the CA to verify it with.
func selfSigned(t *testing.T, e *testEnv) *x509.CertPool {
	t.Helper()
	if out, err := e.command(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN=portal", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-keyout", "portal.key", "-out", "portal.crt").CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	roots, err := certs.Roots(filepath.Join(e.dir, "portal.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// TestNginx checks that the bridge takes the client's address from nginx and ignores what
// clients claim.
func TestNginx(t *testing.T) {
	need(t, "nginx")
	e := newEnv(t)
	readings := freePort(t)
	house := build(t, "go-house", "./go-house")
	e.startHouse(house, "-readings", readings, "-commands", freePort(t))
	admin := freePort(t)
	// 127.0.0.2 is the address at home.
	e.copy("nginx/bridge.toml", "bridge.toml", "127.0.0.1:8443", "127.0.0.1:0", "127.0.0.1:5556", readings, "192.168.0.0/16", "127.0.0.2/32",
		"127.0.0.1:9090", admin)
	bridge := e.serve()
	address, roots := nginx(t, e, bridge, admin)

	login := func(url, from string, header http.Header) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		client, err := zws.Dial(ctx, url, zws.DialOptions{
			SocketType:       zmtp.SUB,
			Security:         zmtp.Plain{User: "alice", Password: password},
			TLS:              &tls.Config{RootCAs: roots},
			Header:           header,
			HandshakeTimeout: timeout,
			NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				return dialer.DialContext(ctx, network, address)
			},
		})
		if err == nil {
			client.Close()
		}
		return err
	}
	code := func(err error) int {
		cause, ok := errors.AsType[*zws.CloseError](err)
		if !ok {
			return 0
		}
		return int(cause.Code)
	}
	forged := http.Header{"X-Forwarded-For": {"127.0.0.2"}, "X-Forwarded-Proto": {"https"}}
	url := "wss://" + address + "/ws/devices"
	if err := login(url, "127.0.0.2", nil); err != nil {
		t.Errorf("from home: %v", err)
	}
	if err := login(url, "127.0.0.3", nil); code(err) != 4400 {
		t.Errorf("from elsewhere: %v, want 4400", err)
	}
	if err := login(url, "127.0.0.3", forged); code(err) != 4400 {
		t.Errorf("from elsewhere, with a forged header: %v, want 4400", err)
	}
	if err := login("ws://"+bridge+"/devices", "127.0.0.3", forged); code(err) != 4403 {
		t.Errorf("directly, with the headers of nginx: %v, want 4403", err)
	}
	if err := login("wss://"+address+"/devices", "127.0.0.2", nil); err == nil {
		t.Error("the bridge can be reached outside of /ws/")
	}
	// nginx refuses operators elsewhere, and the bridge does not take those at home for programs on
	// its machine.
	for _, c := range []struct {
		from, path string
		want       int
	}{
		{"127.0.0.2", "/admin.js", http.StatusOK}, {"127.0.0.2", "/summary", http.StatusUnauthorized},
		{"127.0.0.2", "/metrics", http.StatusUnauthorized}, {"127.0.0.3", "/admin.js", http.StatusForbidden},
	} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
		client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+address+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "bridge.lan"
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("the admin interface from %s, %s: %s, want %d", c.from, c.path, resp.Status, c.want)
		}
	}
}

// TestPortal uses the page in Chromium.
func TestPortal(t *testing.T) {
	need(t, "npm", "chromium")
	e := newEnv(t)
	readings, commands := freePort(t), freePort(t)
	house := build(t, "go-house", "./go-house")
	e.startHouse(house, "-readings", readings, "-commands", commands)
	e.copy("portal/bridge.toml", "bridge.toml", "127.0.0.1:8443", "127.0.0.1:0", "127.0.0.1:5556", readings, "127.0.0.1:5557", commands,
		`static = "page"`, fmt.Sprintf("static = %q", absolute(t, "portal/page")))
	browser := os.Getenv("CHROMIUM")
	if browser == "" {
		var err error
		if browser, err = exec.LookPath("chromium"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*timeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "../bridge/interop/peers/portal.mjs", browser, "https://"+e.serve()+"/", "alice", password).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

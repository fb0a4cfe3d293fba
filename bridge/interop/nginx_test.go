//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// nginxConfig configures a reverse proxy for WebSockets as the documentation of nginx shows. It
// reports that TLS ended in front of it, except for /clear.
const nginxConfig = `
%s
daemon off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  map $request_uri $forwarded_proto {
    /clear  "";
    default https;
  }
  server {
    listen %s;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For "203.0.113.7";
    proxy_set_header X-Forwarded-Proto $forwarded_proto;
    location / { proxy_pass http://%s/; }
    location = /clear { proxy_pass http://%[3]s/; }
  }
}
`

// nginx runs nginx in front of the bridge at address until the test ends, and returns its URL.
func nginx(t *testing.T, address string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		binary = "/usr/sbin/nginx"
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // only its owner can read the directory
	}
	dir, listen := t.TempDir(), strings.TrimPrefix(freePort(t), "tcp://")
	h := &home{t: t, dir: dir}
	h.write("nginx.conf", fmt.Sprintf(nginxConfig, user, listen, address))
	cmd := exec.Command(binary, "-p", dir, "-c", h.path("nginx.conf"), "-e", "stderr")
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			conn.Close()
			return "ws://" + listen + "/"
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestNginx connects clients through a reverse proxy. The ZAP handler gets the client's address,
// and what reached the proxy without TLS counts as plaintext, even on loopback.
func TestNginx(t *testing.T) {
	need(t, "npm", "python3-zmq", "nginx")
	h := newHome(t)
	libzmq, jszmq := start(t, "libzmq.mjs"), start(t, "jszmq.mjs")
	handler := start(t, "zaphandler.py").open(t, command{Type: "ROUTER", Bind: "tcp://127.0.0.1:0", Options: known(h)})
	backend := libzmq.bind(t, "ROUTER", nil)
	config := strings.Replace(central(handler.endpoint, ""), "[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n", 1)
	at := nginx(t, strings.Trim(strings.TrimPrefix(h.bridge(config+route("DEALER", backend.endpoint, anyMechanism)), "ws://"), "/"))

	for _, c := range []struct {
		name, url string
		peer      *process
		options   map[string]any
	}{
		{"libzmq PLAIN", at, libzmq, password("alice", secrets["alice"])},
		{"libzmq CURVE", at, libzmq, keys(h.controller, h.server)},
		{"jszmq token", at + "?access_token=token-of-alice", jszmq, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := c.peer.open(t, command{Type: "DEALER", Connect: c.url, Options: c.options})
			client.send("house/1/lamp", "on")
			m := backend.wait("message").Frames
			equal(t, m[1:], "house/1/lamp", "on")
			backend.send(m[0], "done")
			client.expect("done")
			if e := handler.next(); e.Address != "203.0.113.7" {
				t.Errorf("the handler got the address %q, want 203.0.113.7", e.Address)
			}
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		_, err := alice(t, at+"clear", zmtp.DEALER)
		if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeForbidden || cause.Status != 400 {
			t.Errorf("%v, want 4403", err)
		}
		client := libzmq.open(t, command{Type: "DEALER", Connect: at + "clear", Options: password("alice", secrets["alice"])})
		if e := client.wait("handshake:error:auth"); e.Status != 400 {
			t.Errorf("libzmq reports status %d, want 400", e.Status)
		}
	})
}

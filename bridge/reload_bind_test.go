package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReloadBind checks that addresses of bind, the login there and limits change while clients
// and other backends stay connected.
func TestReloadBind(t *testing.T) {
	one, two := unusedEndpoint(t), unusedEndpoint(t)
	var dir string
	text := func(bind, lines string) string {
		return strings.Replace(bindConfig(zmtp.PULL, "ENDPOINT", "ready = \"none\"\n"+lines), `"ENDPOINT"`, bind, 1)
	}
	url, b := startIn(t, func(d string) string { dir = d; return text(fmt.Sprintf("%q", one), "") })
	client := connect(t, url+"/d", plainLogin("alice", zmtp.PULL))
	passes := func(c *zmtp.Conn, text string) {
		t.Helper()
		must(t, c.Write(message(text)))
		m, err := client.Recv(t.Context())
		must(t, err)
		if string(m[0]) != text {
			t.Fatalf("got %q, want %q", m, text)
		}
	}
	ended := func(c *zmtp.Conn) {
		t.Helper()
		if m, err := c.ReadMessage(); err == nil {
			t.Errorf("got %q, want the end", m)
		}
	}
	stays := dialBackend(t, one, zmtp.PUSH)
	passes(stays, "1")
	both := fmt.Sprintf("%q, %q", one, two)
	reload(t, b, dir, text(both, "high_water_mark = 7"))
	added := dialBackend(t, two, zmtp.PUSH)
	passes(added, "2")
	passes(stays, "3")
	reload(t, b, dir, text(fmt.Sprintf("%q", two), `peer_ids = ""`))
	ended(stays)
	passes(added, "4")
	if _, err := zmtp.Dial(t.Context(), one, zmtp.Null{}, zmtp.Options{SocketType: zmtp.PUSH}); err == nil {
		t.Error("the removed address is still open")
	}

	// Another login: who is connected has not made it.
	plain := strings.NewReplacer(`"NULL"`, `"PLAIN"`, "insecure_null = true\n", "", `"anonymous"`, "\"htpasswd\"\nfile = \"users.htpasswd\"")
	reload(t, b, dir, plain.Replace(text(fmt.Sprintf("%q", two), "")))
	ended(added)
	login := zmtp.Plain{User: "bob", Password: "bob's secret"}
	again, err := zmtp.Dial(t.Context(), two, login, zmtp.Options{SocketType: zmtp.PUSH, HandshakeTimeout: time.Minute})
	must(t, err)
	defer again.Close()
	passes(again, "5")
	if n := len(b.Sessions()); n != 1 {
		t.Fatalf("%d sessions, want that the client stays", n)
	}

	// Another route with the same path takes the socket over.
	plain = strings.NewReplacer(`"NULL"`, `"PLAIN"`, "insecure_null = true\n", "", `"anonymous"`, "\"htpasswd\"\nfile = \"users.htpasswd\"", `"PULL"`, `"SUB"`)
	reload(t, b, dir, plain.Replace(text(fmt.Sprintf("%q", two), "")))
	ended(again)
	if got := sessionEnd(t, client); got.Code != 1001 {
		t.Errorf("%v, want 1001", got)
	}
	client = connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	must(t, client.Subscribe(t.Context(), nil))
	last, err := zmtp.Dial(t.Context(), two, login, zmtp.Options{SocketType: zmtp.PUB, HandshakeTimeout: time.Minute})
	must(t, err)
	defer last.Close()
	_, err = last.ReadMessage() // the subscription
	must(t, err)
	passes(last, "6")

	// A reload that is refused leaves everything as it is.
	blocked, stop := listenAt(t, "tcp://127.0.0.1:0", zmtp.PULL, zap.NULL, always(zap.OK), func(*zmtp.Conn) {})
	defer stop()
	if err := b.Reload(loadConfig(t, dir, plain.Replace(text(fmt.Sprintf("%q, %q", two, blocked), "")))); err == nil {
		t.Error("an address that is in use was accepted")
	}
	passes(last, "7")
}

package bridge_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestUnusualNames: users whose names are not UTF-8 or have control characters are shown in a
// form that tells them apart, in the log too, and are kicked by that form and no other.
func TestUnusualNames(t *testing.T) {
	// 27/ZAP knows only ASCII, but an HTTP service, a certificate or a handler in Go do not.
	handler := zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
		return &zap.Reply{Status: zap.OK, UserID: string(req.Credentials[0])}, nil
	})
	log := new(logBuffer)
	b, err := bridge.New(loadConfig(t, t.TempDir(), routeTo("/d", "SUB", silent(t, zmtp.PUB))),
		bridge.Options{Handler: handler, Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(t, err)
	server := httptest.NewServer(b)
	t.Cleanup(func() {
		must(t, b.Close(context.Background()))
		server.Close()
	})
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	names := map[string]string{ // and their forms
		"alice": "alice", "\xff": `"\xff"`, "\xfe": `"\xfe"`, `\xff`: `\xff`, `"\xff"`: `"\"\\xff\""`,
		"a\nb": `"a\nb"`, "\x1b[31m": `"\x1b[31m"`, "a\u202eb": `"a\u202eb"`, " alice": `" alice"`, `LAN\alice`: `LAN\alice`,
	}
	clients := make(map[string]*zws.Client)
	for name, form := range names {
		clients[form] = connect(t, url+"/d", zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: name}, HandshakeTimeout: time.Minute})
	}
	shown := make(map[string]bool)
	eventually(t, "all users listed", func() bool { // a client is ready a moment before it is listed
		for _, s := range b.Sessions() {
			shown[s.User] = true
		}
		return len(shown) == len(names)
	})
	for name, form := range names {
		if !shown[form] {
			t.Errorf("%q is not shown as %s: %v", name, form, shown)
		}
	}
	for form, c := range clients {
		if n, err := b.Kick(0, form); n != 1 || err != nil {
			t.Errorf("kicked by %s: %d, %v", form, n, err)
		}
		if got := sessionEnd(t, c); got.Code != 4401 {
			t.Errorf("%s: %v", form, got)
		}
	}
	log.waitFor(t, `msg="session ended"`, `user="\"\\xff\""`)
	log.waitFor(t, `msg="session ended"`, `user="\"a\\nb\""`)
}

// TestLogLinesAreBounded: what a client makes up does not make long lines.
func TestLogLinesAreBounded(t *testing.T) {
	url, _, log := startLogging(t, func(string) string { return usersOnly + routeTo("/d", "SUB", silent(t, zmtp.PUB)) })
	long := strings.Repeat("x", 3000)
	refusal(t, url+"/"+long, plainLogin("alice", zmtp.SUB))
	m := dialMux(t, url+"/d", "bob")
	if _, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/" + long[:1000], SocketType: zmtp.SUB}); err == nil {
		t.Error("a channel on an unknown route was opened")
	}
	if _, err := zws.Dial(t.Context(), url+"/d", zws.DialOptions{SocketType: zmtp.SUB, Header: http.Header{"Origin": {"https://" + long}}}); err == nil {
		t.Error("a page from elsewhere was accepted")
	}
	log.waitFor(t, `msg="client refused"`, "/xxx", "more bytes)")
	log.waitFor(t, `msg="channel refused"`)
	log.waitFor(t, `msg="client refused"`, "origin not allowed")
	log.mu.Lock()
	defer log.mu.Unlock()
	for line := range strings.Lines(log.text.String()) {
		if len(line) > 1500 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}

package demo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/go-zeromq/zmq4"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestMain(m *testing.M) {
	// A goroutine of zmq4's PUB never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/go-zeromq/zmq4.(*pubMWriter).run"))
}

// runHouse runs ann's house without CURVE until the test ends.
func runHouse(t *testing.T) *House {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	house, err := newHouse(ctx, "ann", "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- house.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return house
}

func TestHousePublishes(t *testing.T) {
	house := runHouse(t)
	sub := zmq4.NewSub(t.Context())
	defer sub.Close()
	if err := sub.Dial(house.Readings()); err != nil {
		t.Fatal(err)
	}
	if err := sub.SetOption(zmq4.OptionSubscribe, "house/ann/"); err != nil {
		t.Fatal(err)
	}
	value := map[string]*regexp.Regexp{
		"temperature": regexp.MustCompile(`^\d+\.\d$`),
		"target":      regexp.MustCompile(`^21\.0$`),
		"light":       regexp.MustCompile(`^off$`),
	}
	seen := make(map[string]bool)
	for len(seen) < len(value)*len(Rooms) {
		m, err := sub.Recv()
		if err != nil {
			t.Fatal(err)
		}
		_, quantity, _ := strings.Cut(strings.TrimPrefix(string(m.Frames[0]), "house/ann/"), "/")
		if len(m.Frames) != 2 || value[quantity] == nil || !value[quantity].Match(m.Frames[1]) {
			t.Fatalf("published %q", m.Frames)
		}
		seen[string(m.Frames[0])] = true
	}
	for _, room := range Rooms {
		for quantity := range value {
			if topic := "house/ann/" + room + "/" + quantity; !seen[topic] {
				t.Errorf("%s was not published: %v", topic, seen)
			}
		}
	}
}

func TestHouseCommands(t *testing.T) {
	house := runHouse(t)
	req := zmq4.NewReq(t.Context())
	defer req.Close()
	if err := req.Dial(house.Commands()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		command []string
		want    string
	}{
		{[]string{"target", "kitchen", "22.5"}, "ok: house ann heats its kitchen to 22.5 °C"},
		{[]string{"target", "kitchen", "5"}, "ok"},
		{[]string{"target", "kitchen", "4.9"}, "error: target \"4.9\": want 5 to 30"},
		{[]string{"target", "kitchen", "30"}, "ok"},
		{[]string{"target", "kitchen", "30.1"}, "error: target \"30.1\": want 5 to 30 °C"},
		{[]string{"target", "kitchen", "NaN"}, "error: target \"NaN\": want 5 to 30 °C"},
		{[]string{"target", "kitchen", "warm"}, "error: target \"warm\": want 5 to 30 °C"},
		{[]string{"target", "cellar", "20"}, "error: house ann has no room \"cellar\""},
		{[]string{"target", "kitchen"}, "error: want the frames"},
		{[]string{"light", "kitchen", "on"}, "ok: house ann turns the light in its kitchen on"},
		{[]string{"light", "kitchen", "off"}, "ok"},
		{[]string{"light", "kitchen", "dim"}, "error: light \"dim\": want on or off"},
		{[]string{"light", "cellar", "on"}, "error: house ann has no room \"cellar\""},
		{[]string{"open", "kitchen", "1"}, "error: unknown command \"open\""},
		{[]string{"target", "kitchen", "20"}, "ok"},
	} {
		var frames [][]byte
		for _, f := range tt.command {
			frames = append(frames, []byte(f))
		}
		if err := req.Send(zmq4.NewMsgFrom(frames...)); err != nil {
			t.Fatal(err)
		}
		reply, err := req.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(reply.Bytes()); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.command, got, tt.want)
		}
	}
}

// TestHouseKeys checks that a house accepts only the bridge's key.
func TestHouseKeys(t *testing.T) {
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	house, err := home.NewHouse(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- house.Run(ctx) }()
	defer func() { cancel(); <-done }()

	unknown, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	dial := func(own, server *certs.Certificate) error {
		security := zmtp.Curve{Public: own.Public, Secret: own.Secret, ServerKey: server.Public}
		conn, err := zmtp.Dial(t.Context(), house.Commands(), security, zmtp.Options{SocketType: zmtp.REQ})
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := dial(home.Bridge, home.Houses["ann"]); err != nil {
		t.Errorf("key of the bridge: %v", err)
	}
	if err := dial(unknown, home.Houses["ann"]); !errors.As(err, new(*zmtp.RefusedError)) {
		t.Errorf("unknown key: %v", err)
	}
	if err := dial(home.Bridge, home.Houses["bob"]); !errors.Is(err, zmtp.ErrClosedBeforeWelcome) {
		t.Errorf("server key of another house: %v", err)
	}
}

// TestHome checks that generated secrets are kept, and that only the owner can read them.
func TestHome(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	if a, b := first.Passwords["ann"], first.Passwords["bob"]; len(a) < 12 || a == b {
		t.Errorf("passwords of %d and %d characters, equal: %v", len(a), len(b), a == b)
	}
	if err := first.WriteConfig("127.0.0.1:0", "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		public := e.Name() == "bridge" || strings.HasPrefix(e.Name(), "house-") && !strings.HasSuffix(e.Name(), "_secret")
		if !public && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

// TestConfig checks that the configuration has no errors and no warnings.
func TestConfig(t *testing.T) {
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var houses []*House
	for _, name := range Residents {
		house, err := newHouse(t.Context(), name, "tcp://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer house.close()
		houses = append(houses, house)
	}
	if err := home.WriteConfig("127.0.0.1:0", "127.0.0.1:0", houses); err != nil {
		t.Fatal(err)
	}
	c, faults := config.Load(home.Config())
	for _, f := range faults {
		t.Error(f)
	}
	if c == nil || len(c.Routes) != 1+len(Residents) {
		t.Errorf("configuration: %+v", c)
	}
}

func TestPage(t *testing.T) {
	page := Page(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|\son\w+=|javascript:`)
	for path, kind := range map[string]string{"/": "text/html", "/style.css": "text/css", "/page.js": "text/javascript",
		"/house.js": "text/javascript", "/sparkline.js": "text/javascript", "/words.js": "text/javascript"} {
		w := get(path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if kind == "text/html" && inline.MatchString(w.Body.String()) {
			t.Errorf("%s has an inline script or style", path)
		}
	}
	for _, path := range []string{"/devices", "/page", "/page/", "/index.html"} {
		if w := get(path); w.Code != http.StatusTeapot {
			t.Errorf("%s: status %d, want it passed to the bridge", path, w.Code)
		}
	}
}

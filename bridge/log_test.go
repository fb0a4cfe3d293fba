package bridge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// logBuffer collects a log, to search it for secrets and to print it if the test fails.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// check fails the test if the log contains a password, a key or the query of a URL.
func (l *logBuffer) check(t testing.TB) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	for _, secret := range []string{"'s secret", "access_token", "an admin token", certs.EncodeKey(bridgeKey.Secret), certs.EncodeKey(nativeKey.Secret)} {
		if strings.Contains(text, secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// waitFor waits for a line that has all parts.
func (l *logBuffer) waitFor(t testing.TB, parts ...string) {
	t.Helper()
	eventually(t, "a log line with "+strings.Join(parts, " and "), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for line := range strings.Lines(l.text.String()) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				return true
			}
		}
		return false
	})
}

// TestSessionLog checks the lines of a session, a channel and a refused login.
func TestSessionLog(t *testing.T) {
	url, _, log := startLogging(t, func(string) string { return usersOnly + routeTo("/d", "SUB", silent(t, zmtp.PUB)) })
	c := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	log.waitFor(t, `msg="session started"`, "route=/d", "address=127.0.0.1", "user=alice", "dialect=ZWS2.0/PLAIN")
	c.Close()
	log.waitFor(t, `msg="session ended"`, "user=alice", "code=1000")

	m := dialMux(t, url+"/d", "bob")
	openMux(t, m, zws.ChannelOptions{Route: "/d", SocketType: zmtp.SUB})
	log.waitFor(t, `msg="channel opened"`, "route=/d", "user=bob")
	if _, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/none", SocketType: zmtp.SUB}); err == nil {
		t.Error("a channel on an unknown route was opened")
	}
	log.waitFor(t, `msg="channel refused"`, "user=bob", "route=/none", "code=4404")

	refusal(t, url+"/d", plainLogin("carol", zmtp.SUB))
	log.waitFor(t, `msg="client refused"`, "route=/d", "user=carol", "code=4400", `error="unknown user"`)
}

// TestReloadRepeat checks that log.repeat changes with a reload, both ways. It refuses operators, whose
// refusals are written before the answer.
func TestReloadRepeat(t *testing.T) {
	var dir string
	backend := silent(t, zmtp.PUB)
	text := func(repeat string) string {
		return fmt.Sprintf("[server]\nmax_failures = 0\n[admin]\n[log]\nrepeat = %q\n", repeat) + usersOnly + routeTo("/d", "SUB", backend)
	}
	_, b, log := startLogging(t, func(d string) string { dir = d; return text("1h") })
	refuse := func(users ...string) {
		t.Helper()
		for _, user := range users {
			r := httptest.NewRequest("GET", "http://localhost/summary", nil)
			r.SetBasicAuth(user, "wrong")
			w := httptest.NewRecorder()
			if b.Admin().ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d, want 401", user, w.Code)
			}
		}
	}
	refuse("ann", "bea", "cat")
	reload(t, b, dir, text("0s")) // writes what is held
	refuse("dan", "eve")
	reload(t, b, dir, text("1h"))
	refuse("fay", "gus", "hal")
	reload(t, b, dir, text("0s"))
	want := []string{"ann", "cat suppressed=1", "dan", "eve", "fay", "hal suppressed=1"}
	var got []string
	log.mu.Lock()
	defer log.mu.Unlock()
	for line := range strings.Lines(log.text.String()) {
		if _, rest, ok := strings.Cut(line, `msg="operator refused" user=`); ok {
			user, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if i := strings.Index(rest, " suppressed="); i >= 0 {
				user += rest[i:]
			}
			got = append(got, user)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
}

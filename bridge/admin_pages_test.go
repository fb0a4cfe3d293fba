package bridge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	adminapi "github.com/zwsbridge/zwsbridge/bridge/internal/admin"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// sessions lists all sessions.
func (o *operator) sessions() []adminapi.Session {
	o.t.Helper()
	return decoded[adminapi.SessionList](o, "/sessions").Sessions
}

// decoded returns the answer to a GET.
func decoded[T any](o *operator, path string) (v T) {
	o.t.Helper()
	resp := o.do("GET", path, "", "")
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != 200 {
		o.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return v
}

// TestAdminSessions checks that /sessions filters, sorts and pages, and that no parameter of a read is
// ignored.
func TestAdminSessions(t *testing.T) {
	admin, routes, _, b := startAdmin(t)
	for _, user := range []string{"bob", "alice", "alice"} {
		c := connect(t, routes+"/d", plainLogin(user, zmtp.SUB))
		must(t, c.Subscribe(t.Context(), []byte("a")))
	}
	eventually(t, "three sessions", func() bool { return len(b.Sessions()) == 3 })
	o := &operator{t: t, admin: admin}
	o.login(adminToken)
	if list := decoded[adminapi.SessionList](o, "/sessions?user=alice"); len(list.Sessions) != 2 || list.Matching != 2 || list.Total != 3 || list.Next != "" {
		t.Errorf("of alice: %+v", list)
	}
	first := decoded[adminapi.SessionList](o, "/sessions?sort=-user&limit=2&address=127.0.0.0/8&route=/d&search=ZWS2.0")
	second := decoded[adminapi.SessionList](o, "/sessions?sort=-user&limit=2&after="+first.Next)
	var users []string
	for _, s := range slices.Concat(first.Sessions, second.Sessions) {
		users = append(users, s.User)
	}
	if got := strings.Join(users, " "); got != "bob alice alice" || second.Next != "" {
		t.Errorf("the pages have %s, next %q", got, second.Next)
	}
	eventually(t, "subscriptions in the summary", func() bool {
		return decoded[adminapi.Summary](o, "/summary").Routes[0].SubscriptionBytes > 0
	})
	s := decoded[adminapi.Summary](o, "/summary")
	if s.Sessions.Number != 3 || s.Sessions.Users != 2 || s.Version == "" || s.Endpoints != 1 || s.Backends["ready"] != 1 {
		t.Errorf("summary %+v", s)
	}
	for _, path := range []string{"/sessions?usr=alice", "/sessions?limit=-1", "/backends?route=/d", "/refusals?name=bob",
		"/summary?x=", "/sources?x=1", "/history?route=/d", "/queues?user=alice", "/identities?user=alice&name=bob"} {
		resp := o.do("GET", path, "", "")
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 {
			t.Errorf("%s: %s %s, want 400", path, resp.Status, text)
		}
	}
}

// TestAdminConfiguredBackends checks that operators see the endpoints of private streams that no
// stream uses, and those that streams use once.
func TestAdminConfiguredBackends(t *testing.T) {
	first, second := silent(t, zmtp.ROUTER), silent(t, zmtp.ROUTER)
	text := usersOnly + routeTo("/d", "DEALER", first, `mechanism = "NULL"`)
	text = strings.Replace(text, fmt.Sprintf("[%q]", first), fmt.Sprintf("[%q, %q]", first, second), 1)
	url, b := start(t, text)
	states := func() (list []string) {
		for _, s := range b.Backends() {
			list = append(list, fmt.Sprint(s.Address, " ", s.Position, " ", s.Source, " ", s.State, " ", s.Session > 0))
		}
		slices.Sort(list)
		return list
	}
	want := func(lines ...string) {
		t.Helper()
		slices.Sort(lines)
		eventually(t, fmt.Sprint(lines), func() bool { return slices.Equal(states(), lines) })
	}
	want(first+" 1 file idle false", second+" 2 file idle false")
	c := connect(t, url+"/d?connect="+second, plainLogin("alice", zmtp.DEALER))
	want(first+" 1 file idle false", second+" 1 file ready true") // the only one of the stream
	connect(t, url+"/d", plainLogin("bob", zmtp.DEALER))
	c.Close()
	want(first+" 1 file ready true", second+" 2 file ready true")
}

// TestAdminReloadProblem checks that operators see why a reload has failed, until one succeeds.
func TestAdminReloadProblem(t *testing.T) {
	admin, _, _, b := startAdmin(t)
	o := &operator{t: t, admin: admin}
	o.login(adminToken)
	// The route has connected to its backend by then.
	eventually(t, "no problems", func() bool { return len(decoded[adminapi.Summary](o, "/summary").Problems) == 0 })
	b.ReloadFailed(errors.New("bridge.toml:7: unknown key"))
	p := decoded[adminapi.Summary](o, "/summary").Problems
	if len(p) != 1 || p[0].Kind != "reload" || p[0].Severity != "error" || !strings.HasSuffix(p[0].Text, "bridge.toml:7: unknown key") || p[0].Since.IsZero() {
		t.Errorf("problems %+v, want the reload", p)
	}
}

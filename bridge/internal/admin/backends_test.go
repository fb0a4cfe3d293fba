package admin

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
)

// TestByEndpoint checks how the connections of many sessions are shown as one endpoint.
func TestByEndpoint(t *testing.T) {
	next := time.Now().Add(time.Minute)
	endpoints := byEndpoint([]Backend{
		{Route: "/a", Position: 1, Address: "tcp://a:1", Source: "file", State: "ready", Reconnects: 1},
		{Route: "/b", Position: 1, Address: "tcp://a:1", Source: "file", State: "ready", Session: 1, Reconnects: 2},
		{Route: "/b", Position: 1, Address: "tcp://a:1", Source: "file", State: "refused", Session: 2, Error: "no", NextTry: &next, Reconnects: 3},
		{Route: "/b", Position: 1, Address: "tcp://a:1", Source: "file", State: "ready", Session: 3},
		{Route: "/b", Position: 2, Address: "tcp://a:2", Source: "file", State: "idle"},
	})
	if len(endpoints) != 3 {
		t.Fatalf("%d endpoints, want 3: %+v", len(endpoints), endpoints)
	}
	worst := endpoints[0]
	if worst.Route != "/b" || worst.Position != 1 || worst.State != "refused" || worst.Session != 0 || worst.Error != "no" ||
		worst.NextTry != &next || worst.Reconnects != 5 || worst.States["ready"] != 2 || worst.States["refused"] != 1 || worst.connections() != 3 {
		t.Errorf("the worst is %+v", worst)
	}
	if endpoints[1].State != "ready" || endpoints[2].State != "idle" {
		t.Errorf("then %s and %s, want ready and idle", endpoints[1].State, endpoints[2].State)
	}
	failure, expiry := &metrics.ReloadFailure{Time: next, Err: errors.New("line 3")}, time.Now().Add(10*24*time.Hour)
	list := problems(Readiness{Unready: []string{"shutting down"}, Degraded: []string{"backend missing: /b", "source failed: /c srv://c"}}, failure, expiry, endpoints)
	var texts []string
	for _, p := range list {
		texts = append(texts, p.Severity+" "+p.Text)
	}
	want := "error shutting down\nerror the configuration was not reloaded, the previous one stays in use: line 3\n" +
		"warning the TLS certificate expires at " + expiry.UTC().Format(time.RFC3339) + "\nwarning backend missing: /b\nerror tcp://a:1 of /b refuses the login (1 of 3 connections): no"
	if got := strings.Join(texts, "\n"); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

// TestBackendProblemsBounded checks that a broken network does not make a list of thousands.
func TestBackendProblemsBounded(t *testing.T) {
	var endpoints []EndpointStatus
	for range 3000 {
		endpoints = append(endpoints, EndpointStatus{Backend: Backend{Route: "/a", Address: "tcp://a:1", State: "unreachable"}})
	}
	list := problems(Readiness{}, nil, time.Time{}, endpoints)
	if n := len(list); n != maxBackendProblems+1 || !strings.HasPrefix(list[n-1].Text, "2980 more backends") {
		t.Errorf("%d problems, the last is %+v", n, list[n-1])
	}
}

// TestBackendQueryInvalid checks what is said about queries that are not understood.
func TestBackendQueryInvalid(t *testing.T) {
	for query, want := range map[string]string{
		"group=route": `unknown group "route" (endpoint)`,
		"limit=0":     `limit "0": want a number from 1`,
		"limit=x":     `limit "x": want a number from 1`,
	} {
		values, _ := url.ParseQuery(query)
		if _, _, err := parseBackendQuery(values); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

package bridge_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestStamp: what the backend is told of the user, on routes where it asks for it.
func TestStamp(t *testing.T) {
	router, rep, pull := peering(t, zmtp.ROUTER), peering(t, zmtp.REP), peering(t, zmtp.PULL)
	url, _ := start(t, usersOnly+fmt.Sprintf(`
[auth.guests]
type = "anonymous"
[[route]]
path = "/req"
socket = "REQ"
connect = [%[1]q]
stamp = "frame"
[[route]]
path = "/push"
socket = "PUSH"
connect = [%[2]q]
stamp = "frame"
[[route]]
path = "/id"
socket = "DEALER"
connect = [%[3]q]
stamp = "routing-id"
`, rep.endpoint, pull.endpoint, router.endpoint))
	req, err := dial(t.Context(), url+"/req", "alice", zmtp.REQ)
	if err != nil {
		t.Fatal(err)
	}
	defer req.Close()
	if err := req.Send(frames("", "bob", "hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-rep.messages; fmt.Sprintf("%q", m) != `["" "alice" "bob" "hello"]` {
		t.Errorf("REP got %q", m)
	}
	push, err := dial(t.Context(), url+"/push", "bob", zmtp.PUSH)
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close()
	if err := push.Send(frames("alice", "hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-pull.messages; fmt.Sprintf("%q", m) != `["bob" "alice" "hello"]` {
		t.Errorf("PULL got %q", m)
	}
	seen := make(map[string]bool)
	for range 3 {
		o := asAlice()
		o.SocketType, o.RoutingID = zmtp.DEALER, []byte("bob\x001")
		connect(t, url+"/id", o)
		id := <-router.ids
		if user, number, ok := strings.Cut(id, "\x00"); !ok || user != "alice" || number == "" || seen[id] {
			t.Errorf("ROUTER knows the client by %q, before by %v", id, seen)
		}
		seen[id] = true
	}
}

// TestTemplates: each user gets to the backend of the own house, and nobody to this
// machine, unless the route lists it.
func TestTemplates(t *testing.T) {
	var house atomic.Value
	handler := native27(t, func(*zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "House", Value: house.Load().(string)}}}
	})
	router := peering(t, zmtp.ROUTER)
	_, port, _ := strings.Cut(strings.TrimPrefix(router.endpoint, "tcp://"), ":")
	url, _ := start(t, fmt.Sprintf(`
[zap]
timeout = "1m"
chain = [ { authn = "any" } ]
[auth.any]
type = "zap"
endpoint = %[1]q
[[route]]
path = "/any"
socket = "DEALER"
connect = ["tcp://{meta.House}:%[2]s"]
endpoints_allowed = ["tcp://*:%[2]s"]
[[route]]
path = "/listed"
socket = "DEALER"
connect = ["tcp://{meta.House}:%[2]s"]
endpoints_allowed = ["tcp://*.houses.lan:%[2]s", "tcp://localhost:%[2]s"]
`, handler, port))
	o := asAlice()
	o.SocketType = zmtp.DEALER
	for _, tc := range []struct {
		house, path string
		code        zws.Code // 0: it connects
	}{
		{"localhost", "/listed", 0},
		{"localhost", "/any", 4403},
		{"LOCALHOST", "/any", 4403},
		{"", "/any", 4403},
		{"127.0.0.1", "/any", 4403},
		{"house/1", "/any", 4403},
		{"house1", "/listed", 4403},
	} {
		house.Store(tc.house)
		if tc.code == 0 {
			connect(t, url+tc.path, o)
			<-router.ids
		} else if got := refusal(t, url+tc.path, o); got.Code != tc.code {
			t.Errorf("house %q on %s: %v, want %d", tc.house, tc.path, got, tc.code)
		}
	}
	if len(router.ids) > 0 {
		t.Error("somebody got through who should not")
	}
}

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

// TestStamp checks what routes with stamp send the backend about the user.
func TestStamp(t *testing.T) {
	router, rep, pull := startPeer(t, zmtp.ROUTER), startPeer(t, zmtp.REP), startPeer(t, zmtp.PULL)
	url, _ := start(t, usersOnly+
		routeTo("/req", "REQ", rep.endpoint, `stamp = "frame"`)+
		routeTo("/push", "PUSH", pull.endpoint, `stamp = "frame"`)+
		routeTo("/id", "DEALER", router.endpoint, `stamp = "routing-id"`))
	req := connect(t, url+"/req", plainLogin("alice", zmtp.REQ))
	if err := req.Send(t.Context(), message("", "bob", "hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-rep.messages; fmt.Sprintf("%q", m) != `["" "alice" "bob" "hello"]` {
		t.Errorf("REP got %q", m)
	}
	push := connect(t, url+"/push", plainLogin("bob", zmtp.PUSH))
	if err := push.Send(t.Context(), message("alice", "hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-pull.messages; fmt.Sprintf("%q", m) != `["bob" "alice" "hello"]` {
		t.Errorf("PULL got %q", m)
	}
	seen := make(map[string]bool)
	for range 3 {
		o := plainLogin("alice", zmtp.DEALER)
		o.RoutingID = []byte("bob\x001")
		connect(t, url+"/id", o)
		id := <-router.ids
		if user, number, ok := strings.Cut(id, "\x00"); !ok || user != "alice" || number == "" || seen[id] {
			t.Errorf("ROUTER got the routing id %q, before that %v", id, seen)
		}
		seen[id] = true
	}
}

// TestEndpointPlaceholders checks that placeholders in an endpoint lead each user to their own
// backend, and not to loopback unless endpoints_allowed lists it.
func TestEndpointPlaceholders(t *testing.T) {
	var house atomic.Value
	handler := zapHandler(t, func(*zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "House", Value: house.Load().(string)}}}
	})
	router := startPeer(t, zmtp.ROUTER)
	_, port, _ := strings.Cut(strings.TrimPrefix(router.endpoint, "tcp://"), ":")
	url, _ := start(t, zapOnly(handler)+
		routeTo("/any", "DEALER", "tcp://{meta.House}:"+port, fmt.Sprintf(`endpoints_allowed = ["tcp://*:%s"]`, port))+
		routeTo("/listed", "DEALER", "tcp://{meta.House}:"+port,
			fmt.Sprintf(`endpoints_allowed = ["tcp://*.houses.lan:%[1]s", "tcp://localhost:%[1]s"]`, port)))
	o := plainLogin("alice", zmtp.DEALER)
	for _, tc := range []struct {
		house, path string
		code        zws.Code // 0: accepted
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
		t.Error("a refused client reached the backend")
	}
}

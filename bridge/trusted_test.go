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
	url, _ := start(t, usersOnly+
		routeTo("/req", "REQ", rep.endpoint, `stamp = "frame"`)+
		routeTo("/push", "PUSH", pull.endpoint, `stamp = "frame"`)+
		routeTo("/id", "DEALER", router.endpoint, `stamp = "routing-id"`))
	req := connect(t, url+"/req", byPassword("alice", zmtp.REQ))
	if err := req.Send(message("", "bob", "hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-rep.messages; fmt.Sprintf("%q", m) != `["" "alice" "bob" "hello"]` {
		t.Errorf("REP got %q", m)
	}
	push := connect(t, url+"/push", byPassword("bob", zmtp.PUSH))
	if err := push.Send(message("alice", "hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-pull.messages; fmt.Sprintf("%q", m) != `["bob" "alice" "hello"]` {
		t.Errorf("PULL got %q", m)
	}
	seen := make(map[string]bool)
	for range 3 {
		o := byPassword("alice", zmtp.DEALER)
		o.RoutingID = []byte("bob\x001")
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
	url, _ := start(t, zapOnly(handler)+
		routeTo("/any", "DEALER", "tcp://{meta.House}:"+port, fmt.Sprintf(`endpoints_allowed = ["tcp://*:%s"]`, port))+
		routeTo("/listed", "DEALER", "tcp://{meta.House}:"+port,
			fmt.Sprintf(`endpoints_allowed = ["tcp://*.houses.lan:%[1]s", "tcp://localhost:%[1]s"]`, port)))
	o := byPassword("alice", zmtp.DEALER)
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

package route

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestResolve(t *testing.T) {
	longest := strings.Repeat("x", maxValue)
	house := func(value string) *zws.Login {
		return loginOf("alice", zap.Metadata{{Name: "House", Value: value}}, nil)
	}
	for _, tc := range []struct {
		name, endpoint string
		allowed        string
		login          *zws.Login
		want           string // empty: refused
		anywhere       bool
	}{
		{"no placeholder", "tcp://127.0.0.1:5556", "", house(""), "tcp://127.0.0.1:5556", true},
		{"metadata", "tcp://{meta.house}.houses.lan:5556", "tcp://*.houses.lan:5556", house("h-1"), "tcp://h-1.houses.lan:5556", false},
		{"the user", "tcp://{user}.houses.lan:5556", "tcp://*.houses.lan:5556", house("h"), "tcp://alice.houses.lan:5556", false},
		{"a claim", "tcp://{claim.org.house}:5556", "tcp://*:5556", loginOf("", nil, map[string][]string{"org.house": {"h1"}}), "tcp://h1:5556", false},
		{"two placeholders", "tcp://{user}.{meta.house}:1", "tcp://*.*:1", house("h"), "tcp://alice.h:1", false},
		{"listed in full", "tcp://{meta.house}:5556", "tcp://localhost:5556", house("localhost"), "tcp://localhost:5556", true},
		{"the longest", "tcp://{meta.house}:1", "tcp://*:1", house(longest), "tcp://" + longest + ":1", false},
		{"ipc", "ipc:///run/{meta.house}.sock", "ipc:///run/*.sock", house("h"), "ipc:///run/h.sock", false},

		{"longer", "tcp://{meta.house}:1", "tcp://*:1", house(longest + "x"), "", false},
		{"no value", "tcp://{meta.house}:1", "tcp://*:1", loginOf("alice", nil, nil), "", false},
		{"an empty value", "tcp://{meta.house}:1", "tcp://*:1", house(""), "", false},
		{"nobody", "tcp://{user}:1", "tcp://*:1", loginOf("", nil, nil), "", false},
		{"two values", "tcp://{claim.house}:1", "tcp://*:1", loginOf("", nil, map[string][]string{"house": {"a", "b"}}), "", false},
		{"a dot", "tcp://{meta.house}.houses.lan:1", "tcp://*.houses.lan:1", house("evil.example"), "", false},
		{"a port", "tcp://{meta.house}:1", "tcp://*:1", house("evil:2"), "", false},
		{"a path", "ipc:///run/{meta.house}.sock", "ipc:///run/*.sock", house("../x"), "", false},
		{"an IPv6 address", "tcp://{meta.house}:1", "tcp://*:1", house("[::1]"), "", false},
		{"NUL", "tcp://{meta.house}:1", "tcp://*:1", house("a\x00"), "", false},
		{"a newline", "tcp://{meta.house}:1", "tcp://*:1", house("a\n"), "", false},
		{"another alphabet", "tcp://{meta.house}:1", "tcp://*:1", house("häuser"), "", false},
		{"a placeholder as value", "tcp://{meta.house}:1", "tcp://*:1", house("{user}"), "", false},
		{"a star", "tcp://{meta.house}:1", "tcp://*:1", house("*"), "", false},
		{"elsewhere than allowed", "tcp://{meta.house}:1", "tcp://*.houses.lan:1", house("h"), "", false},
		{"another port than allowed", "tcp://{meta.house}:2", "tcp://*:1", house("h"), "", false},
		{"a dot that is none", "tcp://{meta.house}:1", "tcp://a.b:1", house("a-b"), "", false},
		{"nothing allowed", "tcp://{meta.house}:1", "", house("h"), "", false},
	} {
		var list []string
		if tc.allowed != "" {
			list = []string{"tcp://other.lan:1", tc.allowed}
		}
		address, permit, err := newAllowedEndpoints(list).resolve(tc.endpoint, tc.login)
		if address != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, %v, want %q", tc.name, address, err, tc.want)
		}
		if err != nil && zws.Cause(err).Code != zws.CodeForbidden {
			t.Errorf("%s: %v, want 4403", tc.name, err)
		}
		if err == nil && (permit == nil) != tc.anywhere {
			t.Errorf("%s: anywhere %v, want %v", tc.name, permit == nil, tc.anywhere)
		}
	}
}

func TestPermitRemote(t *testing.T) {
	for address, want := range map[string]bool{
		"10.0.0.1:1": true, "192.0.2.1:1": true, "[2001:db8::1]:1": true, "[fd00::1]:1": true,
		"127.0.0.1:1": false, "127.9.9.9:1": false, "[::1]:1": false, "[::ffff:127.0.0.1]:1": false,
		"169.254.169.254:1": false, "[fe80::1%1]:1": false, "[::ffff:169.254.1.1]:1": false,
		"0.0.0.0:1": false, "[::]:1": false, "224.0.0.1:1": false, "[ff02::1]:1": false,
	} {
		if err := permitRemote(netip.MustParseAddrPort(address)); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestMergedKey: an endpoint that an operator has connected without a key has the route's, also
// after that has changed.
func TestMergedKey(t *testing.T) {
	own := Endpoint{Address: "tcp://192.0.2.1:5556", ServerKey: [32]byte{7}}
	s := sources{lists: map[string][]Endpoint{adminList: {own, {Address: "tcp://192.0.2.2:5556"}}}}
	for _, key := range [][32]byte{{1}, {2}} {
		if got := s.merged(key); got[0] != own || got[1].ServerKey != key {
			t.Errorf("with the key %v of the route: %v", key, got)
		}
	}
}

// TestResolvedKeys: each endpoint is logged in at with its own server key.
func TestResolvedKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "bridge")
	cert, err := certs.New()
	if err == nil {
		err = cert.Write(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := links{
		connect:     []Endpoint{{Address: "tcp://192.0.2.1:5556", ServerKey: [32]byte{1}}, {Address: "tcp://192.0.2.2:5556", ServerKey: [32]byte{2}}},
		credentials: credentials{mechanism: zap.CURVE, cert: name},
	}
	list, err := l.resolved(nil)
	if err != nil || len(list) != len(l.connect) {
		t.Fatalf("%v, %v", list, err)
	}
	for i, e := range list {
		want := zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: l.connect[i].ServerKey}
		if e.Security != zmtp.ClientSecurity(want) {
			t.Errorf("%s: logged in at with %v, want %v", e.Address, e.Security, want)
		}
	}
}

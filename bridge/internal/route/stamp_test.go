package route

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func frames(text ...string) zmtp.Message {
	var m zmtp.Message
	for _, f := range text {
		m = append(m, []byte(f))
	}
	return m
}

// TestStamped: the stamp is at its place whatever the client sends, frames that look like
// an envelope or like another's stamp included.
func TestStamped(t *testing.T) {
	for _, tc := range []struct {
		socket  zmtp.SocketType
		in, out zmtp.Message
	}{
		{zmtp.DEALER, frames("a"), frames("alice", "a")},
		{zmtp.DEALER, frames("", "a"), frames("alice", "", "a")},
		{zmtp.DEALER, frames("bob", "", "a"), frames("alice", "bob", "", "a")},
		{zmtp.PUSH, frames("bob", "a"), frames("alice", "bob", "a")},
		{zmtp.PAIR, frames("bob", "a"), frames("alice", "bob", "a")},
		{zmtp.REQ, frames("", "a"), frames("", "alice", "a")},
		{zmtp.REQ, frames("", "bob", "", "a"), frames("", "alice", "bob", "", "a")},
		{zmtp.REQ, frames("", ""), frames("", "alice", "")},
		{zmtp.REQ, frames("a"), frames("alice", "a")}, // which REQ then refuses: no delimiter
		{zmtp.REP, frames("id", "", "a"), frames("id", "", "alice", "a")},
		{zmtp.ROUTER, frames("peer", "a"), frames("peer", "alice", "a")},
		{zmtp.ROUTER, frames("peer", "", "a"), frames("peer", "alice", "", "a")},
		{zmtp.ROUTER, frames("peer"), frames("peer", "alice")},
		{zmtp.PUB, frames("topic", "a"), frames("topic", "alice", "a")},
		{zmtp.XPUB, frames("topic"), frames("topic", "alice")},
	} {
		if diff := cmp.Diff(tc.out, Stamped(tc.socket, tc.in, []byte("alice"))); diff != "" {
			t.Errorf("%s: %s", tc.socket, diff)
		}
	}
}

// FuzzStamped: taking the stamp away again leaves what the client sent, and nothing that
// it sends moves the stamp on the sockets where its place is fixed.
func FuzzStamped(f *testing.F) {
	for _, s := range []string{"a", ",a", "bob,,a", ",,", "alice,,alice"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sent := strings.Split(text, ",")
		for socket, at := range map[zmtp.SocketType]int{zmtp.DEALER: 0, zmtp.PUSH: 0, zmtp.ROUTER: 1, zmtp.PUB: 1} {
			m := Stamped(socket, frames(sent...), []byte("alice"))
			if len(m) != len(sent)+1 || string(m[at]) != "alice" {
				t.Fatalf("%s: %q becomes %q", socket, sent, m)
			}
			if diff := cmp.Diff(frames(sent...), append(m[:at:at], m[at+1:]...)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func loginOf(user string, meta zap.Metadata, claims map[string][]string) *zws.Login {
	return &zws.Login{Reply: &zap.Reply{Status: zap.OK, UserID: user, Metadata: meta, Claims: claims}}
}

func TestRoutingIDStamp(t *testing.T) {
	for user, want := range map[string]string{
		"alice":                  "alice\x007",
		"a b/é":                  "a b/é\x007",
		strings.Repeat("x", 253): strings.Repeat("x", 253) + "\x007",
		strings.Repeat("x", 254): "",
		"":                       "",
		"alice\x001":             "",
		"\x00":                   "",
	} {
		id, err := stampedRoutingID(loginOf(user, nil, nil), 7)
		if string(id) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", user, id, err, want)
		}
		if err != nil && zws.Cause(err).Code != zws.CodeForbidden {
			t.Errorf("%q: %v, want 4403", user, err)
		}
	}
}

// TestStampIsNoSubscription checks that the user name in front of an XSUB's messages cannot be
// a subscription at the backend.
func TestStampIsNoSubscription(t *testing.T) {
	for user, want := range map[string]zws.Code{"alice": 0, "\x01weather/": zws.CodeForbidden, "\x00": zws.CodeForbidden, "\x02": 0} {
		for socket, code := range map[zmtp.SocketType]zws.Code{zmtp.XSUB: want, zmtp.PUSH: 0} {
			r := &Route{settings: settings{socket: socket, stampFrame: true}}
			stamp, err := r.Stamp(loginOf(user, nil, nil))
			if code == 0 && (err != nil || string(stamp) != user) || code != 0 && zws.Cause(err).Code != code {
				t.Errorf("%s, %q: %q, %v, want %d", socket, user, stamp, err, code)
			}
		}
	}
}

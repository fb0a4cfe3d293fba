package refusal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/repeat"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func jwtOf(claims string) string {
	return "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestClaimed(t *testing.T) {
	key := [certs.KeySize]byte{1, 2, 3}
	frames := func(texts ...string) (list [][]byte) {
		for _, text := range texts {
			list = append(list, []byte(text))
		}
		return list
	}
	for _, tt := range []struct {
		mechanism   zap.Mechanism
		credentials [][]byte
		want        string
	}{
		{zap.PLAIN, frames("bob", "secret"), "bob"},
		{zap.PLAIN, frames("", "secret"), ""},
		{zap.PLAIN, frames("", jwtOf(`{"sub":"bob"}`)), "bob"},
		{zap.PLAIN, frames(jwtOf(`{"sub":"bob"}`), ""), "(a token)"},
		{zap.PLAIN, frames("a:%<Zf4}Pj2-kw/0^?!yt9vR5=(1sDq8]xGmN3bH", ""), "(a key)"},
		{zap.PLAIN, frames("da39a3ee5e6b4b0d3255bfef95601890afd80709", ""), "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{zap.PLAIN, frames("bob"), ""},
		{zap.BEARER, frames("opaque"), ""},
		{zap.BEARER, frames("a.b.c"), ""},
		{zap.BEARER, frames(jwtOf(`{"sub":"0815","preferred_username":"bob"}`)), "bob"},
		{zap.BEARER, frames(jwtOf(`{"sub":5}`)), ""},
		{zap.BEARER, frames(jwtOf(`{"sub":"` + jwtOf("{}") + `"}`)), "(a token)"},
		{zap.CURVE, [][]byte{key[:]}, certs.EncodeKey(key)},
		{zap.CURVE, [][]byte{key[:5]}, ""},
		{zap.TLS, frames("no certificate"), ""},
		{zap.NULL, nil, ""},
	} {
		if got := Claimed(tt.mechanism, tt.credentials); got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.mechanism, tt.credentials, got, tt.want)
		}
	}
}

// newRecorder returns a recorder that writes JSON to b.
func newRecorder(b io.Writer, interval time.Duration) (*Recorder, *repeat.Limiter) {
	l := new(repeat.Limiter)
	l.SetInterval(interval)
	return New(slog.New(printable.Handler(slog.NewJSONHandler(b, nil))), l), l
}

// TestFlood: a thousand refusals are few lines, whose numbers add up, and the list has them all.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		r, _ := newRecorder(&b, time.Second)
		for n := range 1000 {
			f := Because(Client, &zmtp.RefusedError{Status: zap.Refused, Reason: zap.Pass("unknown user").Error()})
			f.User, f.Address, f.Route = fmt.Sprint("user", n%2), "192.0.2.1", "/devices"
			r.Add(f)
			time.Sleep(3 * time.Millisecond)
		}
		r.Add(Refusal{Kind: Client, User: "bob", Address: "192.0.2.2", Route: "/devices", Code: 4403})
		time.Sleep(time.Minute)
		synctest.Wait()
		total, lines := 0, 0
		for line := range strings.Lines(b.String()) {
			var l struct {
				Msg, User, Address, Route, Reason, Error string
				Code, Suppressed                         int
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if l.Code == 4403 {
				continue
			}
			if l.Msg != "client refused" || l.Address != "192.0.2.1" || l.Route != "/devices" || l.Code != 4400 ||
				l.Reason != "login refused" || l.Error != "unknown user" || !strings.HasPrefix(l.User, "user") {
				t.Error(line)
			}
			lines, total = lines+1, total+1+l.Suppressed
		}
		if lines != 4 || total != 1000 {
			t.Errorf("%d lines for %d refusals, want 4 for 1000:\n%s", lines, total, &b)
		}
		list := r.List("", "")
		if len(list) != 3 || list[0].User != "bob" || list[1].Count != 500 || list[2].Count != 500 {
			t.Errorf("%+v", list)
		}
	})
}

// TestKept: the list is bounded, and a flood from one address does not push out the others.
func TestKept(t *testing.T) {
	r, _ := newRecorder(io.Discard, time.Hour)
	r.Add(Refusal{Kind: Client, User: "bob", Address: "2001:db8:1::1", Code: 4400, Reason: "login refused"})
	r.Add(Refusal{Kind: Client, User: "a\nb\xff", Address: "10.1.2.3", Code: 4400, Error: strings.Repeat("x", 5000)})
	for n := range 5000 {
		r.Add(Refusal{Kind: Client, User: fmt.Sprint(n), Address: fmt.Sprintf("2001:db8::%x", n), Code: 4400})
	}
	if list := r.List("", ""); len(list) != Kept || list[0].User != "4999" || len(r.networks) != 3 {
		t.Errorf("%d are kept of %d networks, the newest of %s", len(list), len(r.networks), list[0].User)
	}
	for _, tt := range []struct {
		user, address string
		want          int
	}{
		{"bob", "", 1}, {"bob", "2001:db8:1::1", 1}, {"bob", "10.1.2.3", 0}, {"", "10.1.2.3", 1}, {"", "10.0.0.0/8", 1},
		{"", "2001:db8::/64", Kept - 2}, {"a\nb\xff", "", 1}, {`"a\nb\xff"`, "", 1}, {"nobody", "", 0}, {"", "bogus", 0},
	} {
		list := r.List(tt.user, tt.address)
		if len(list) != tt.want {
			t.Errorf("user %q at %q: %d, want %d", tt.user, tt.address, len(list), tt.want)
		}
		for _, f := range list {
			if len(f.Error) > 600 || f.Count != 1 || f.Time.IsZero() {
				t.Errorf("%+v", f)
			}
		}
	}
}

func TestBecause(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		want string
	}{
		{&zws.CloseError{Code: zws.CodeForbidden, Reason: "no"}, 4403, ""},
		{&zws.CloseError{Code: zws.CodeBackendLost, Reason: "no", Err: errors.New("dial tcp")}, 4503, "dial tcp"},
		{&zmtp.RefusedError{Status: zap.Temporary, Reason: "timed out"}, 4300, "timed out"},
		{&zmtp.RefusedError{Status: zap.Internal, Reason: "panicked"}, 4500, "panicked"},
	} {
		if f := Because(Client, tt.err); f.Code != tt.code || f.Error != tt.want || f.Reason == "" {
			t.Errorf("%v: %+v", tt.err, f)
		}
	}
	if f := OfPeer(Backend, "[::1]:5555", io.EOF); f.Code != 1006 || f.Address != "::1" || f.Error != "EOF" {
		t.Errorf("%+v", f)
	}
}

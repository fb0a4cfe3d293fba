package zws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// clients returns a client for each mechanism and for bare ZWS2.0; name selects the answer of
// statuses.
func clients(o *zws.Options, name string) map[string]zws.DialOptions {
	public, secret := keyPair()
	curve := zmtp.Curve{Public: public, Secret: secret, ServerKey: o.CurvePublic}
	base := zws.DialOptions{SocketType: zmtp.DEALER, RoutingID: []byte(name)}
	with := func(s zmtp.ClientSecurity, alias bool) zws.DialOptions {
		d := base
		d.Security, d.Alias = s, alias
		return d
	}
	return map[string]zws.DialOptions{
		"ZWS2.0":        with(nil, false),
		"ZWS2.0/NULL":   with(zmtp.Null{}, false),
		"ZWS2.0/PLAIN":  with(zmtp.Plain{User: name, Password: "secret"}, false),
		"ZWS2.0/BEARER": with(zmtp.Bearer{Token: name}, false),
		"ZWS2.0/CURVE":  with(curve, false),
		"ZWS2.0+NULL":   with(zmtp.Null{}, true),
		"ZWS2.0+PLAIN":  with(zmtp.Plain{User: name, Password: "secret"}, true),
		"ZWS2.0+BEARER": with(zmtp.Bearer{Token: name}, true),
		"ZWS2.0+CURVE":  with(curve, true),
	}
}

func TestAcceptEveryMechanism(t *testing.T) {
	for _, transport := range []struct {
		name  string
		start func(*httptest.Server)
	}{{"ws", plain}, {"wss", tls}} {
		o := options()
		s := serve(t, o, transport.start)
		for name, d := range clients(&o, "somebody") {
			t.Run(transport.name+" "+name, func(t *testing.T) {
				d.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
				c, err := zws.Dial(t.Context(), s.url(), d)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				for _, sent := range []zmtp.Message{
					message("one"), message("", "two", strings.Repeat("x", 70_000)), message(""), message(strings.Repeat("y", 200)),
				} {
					if err := c.Send(t.Context(), sent); err != nil {
						t.Fatal(err)
					}
					got, err := c.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if !slices.EqualFunc(sent, got, bytes.Equal) {
						t.Errorf("an echo of %d frames, %d bytes differs from what was sent", len(got), got.Size())
					}
				}
				l := (<-s.accepted).conn.Login()
				if l.Dialect != name || string(l.RoutingID) != "somebody" || l.SocketType != zmtp.DEALER || l.Address != "127.0.0.1" {
					t.Errorf("login %+v", l)
				}
			})
		}
	}
}

// TestAcceptOutcomes: what clients of each dialect are told for each answer of the ZAP handler
// and of the backends.
func TestAcceptOutcomes(t *testing.T) {
	backend := func(code zws.Code, status zap.Status, reason string) error {
		return &zws.CloseError{Code: code, Status: status, Reason: reason, Err: io.EOF}
	}
	outcomes := []struct {
		name   string
		zap    string // what the handler answers
		open   error
		code   zws.Code
		status zap.Status
		reason string
	}{
		{"ZAP 300", "300", nil, 4300, 0, "the login cannot be checked at present: try again later"},
		{"ZAP 400", "400", nil, 4400, 400, "login refused"},
		{"ZAP 500", "500", nil, 4500, 500, "logins are not possible: the ZAP handler of the server is broken"},
		{"refused with 400", "x", backend(4502, 400, "backend 2 refused the login (400)"), 4502, 400, "backend 2 refused the login (400)"},
		{"refused with 500", "x", backend(4502, 500, "backend 2 refused the login (500)"), 4502, 500, "backend 2 refused the login (500)"},
		{"nobody there", "x", backend(4503, 0, "backend 2 cannot be reached"), 4503, 0, "backend 2 cannot be reached"},
		{"mute", "x", backend(4504, 0, "backend 2 did not answer the login in time"), 4504, 0, "backend 2 did not answer the login in time"},
		{"forbidden", "x", &zws.CloseError{Code: 4403, Status: 400, Reason: "not for you"}, 4403, 400, "not for you"},
		{"a fault of ours", "x", errors.New("nil map"), 1011, 0, "internal error"},
	}
	for _, want := range outcomes {
		o := options()
		s := serveWith(t, o, plain, after(func(context.Context, *zws.Login) error { return want.open }), echo)
		for name, d := range clients(&o, want.zap) {
			t.Run(want.name+"/"+name, func(t *testing.T) {
				_, err := zws.Dial(t.Context(), s.url(), d)
				var got *zws.CloseError
				if !errors.As(err, &got) {
					t.Fatalf("Dial: %v, want a CloseError", err)
				}
				status := want.status
				if name == "ZWS2.0" {
					status = 0 // has no commands
				}
				if got.Code != want.code || got.Status != status || got.Reason != want.reason {
					t.Errorf("told %d %q status %d, want %d %q status %d", got.Code, got.Reason, got.Status, want.code, want.reason, status)
				}
				a := <-s.accepted
				if a.conn != nil || zws.Cause(a.err).Code != want.code {
					t.Errorf("Accept: %v, %v", a.conn, a.err)
				}
			})
		}
	}
}

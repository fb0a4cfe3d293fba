package zws_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// tokens is a ZAP handler for tokens of the form "user number", which lets the user in; "300"
// and "400" are answered with that status.
func tokens(_ context.Context, r *zap.Request) (*zap.Reply, error) {
	user, _, _ := strings.Cut(string(r.Credentials[0]), " ")
	switch user {
	case "300":
		return &zap.Reply{Status: zap.Temporary}, nil
	case "400":
		return &zap.Reply{Status: zap.Refused}, nil
	}
	return &zap.Reply{Status: zap.OK, UserID: user}, nil
}

// TestRenewal: another token on a live connection.
func TestRenewal(t *testing.T) {
	tests := []struct {
		name   string
		wait   time.Duration // between renewals
		hellos []string
		want   []string // WELCOME or nothing, for each
		code   zws.Code // of the close after the last; 0: none
		reason string
		token  string // of the login at the end
		renew  error  // what the bridge says
	}{
		{"same user", time.Second, []string{"alice 2", "alice 3"}, []string{"\x02\x07WELCOME", "\x02\x07WELCOME"}, 0, "", "alice 3", nil},
		{"another user", time.Second, []string{"bob 1"}, nil, 4401, "renewal refused: the token is for another user", "alice 1", nil},
		{"refused", time.Second, []string{"400"}, nil, 4401, "renewal refused", "alice 1", nil},
		{"no decision", time.Second, []string{"300", "alice 2"}, []string{"", "\x02\x07WELCOME"}, 0, "", "alice 2", nil},
		{"twice a second", 999 * time.Millisecond, []string{"alice 2", "alice 3"}, []string{"\x02\x07WELCOME"}, 4429, "a login can be renewed at most once per second", "alice 2", nil},
		{"too long", time.Second, []string{"alice " + strings.Repeat("x", 200)}, nil, 1009, "token longer than this server accepts", "alice 1", nil},
		{"fewer rights", time.Second, []string{"alice 2"}, nil, 4403, "no longer", "alice 1", &zws.CloseError{Code: 4403, Reason: "no longer"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Handler = zap.HandlerFunc(tokens)
				o.MaxHandshake = 150
				renew := func(context.Context, *zws.Login) error { return test.renew }
				p, done := acceptPipeWith(t, o, acceptWith(zws.AcceptOptions{Renew: renew}), offering("ZWS2.0+BEARER"))
				p.send("\x02\x05HELLOalice 1")
				p.expect("\x02\x07WELCOME")
				p.send(initiate)
				p.expect("\x02\x05READY" + routerMetadata)
				conn := (<-done).conn
				go echo(conn)
				for i, token := range test.hellos {
					p.send("\x02\x05HELLO" + token)
					if i < len(test.want) && test.want[i] != "" {
						p.expect(test.want[i])
					}
					time.Sleep(test.wait)
				}
				if test.code == 0 {
					p.send("\x00alive")
					p.expect("\x00alive")
					p.conn.Close()
				} else {
					if first, payload, err := p.receive(); first != 0x88 || payload[2:] != test.reason {
						t.Errorf("received %02x %q, %v", first, payload, err)
					}
					if got := conn.Cause().Code; got != test.code {
						t.Errorf("closed with %d, want %d", got, test.code)
					}
					p.conn.Close()
				}
				conn.Wait()
				if got := string(conn.Login().Credentials[0]); got != test.token {
					t.Errorf("the login has the token %q, want %q", got, test.token)
				}
			})
		})
	}
}

// TestNotifications: clients that asked for notifications get them, in every mechanism;
// others do not.
func TestNotifications(t *testing.T) {
	o := options()
	for name, d := range clients(&o, "user") {
		t.Run(name, func(t *testing.T) {
			s := serve(t, o, plain)
			var got []zws.Notification
			d.Notify = func(n zws.Notification) { got = append(got, n) }
			c, err := zws.Dial(t.Context(), s.url(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			a := <-s.accepted
			a.conn.Expiring(90 * time.Second)
			a.conn.Channel().Lost(3)
			a.conn.Channel().Lost(0)
			// A write in progress can carry the first echo past the notifications, but not
			// the second.
			for range 2 {
				c.Send(t.Context(), message("last"))
				if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "last" {
					t.Fatalf("received %q, %v", m, err)
				}
			}
			want := 2
			if name == "ZWS2.0" {
				want = 0 // has no commands
			}
			if len(got) != want {
				t.Fatalf("noticed %v, want %d", got, want)
			}
			if want > 0 && (got[0].Expiring != 90*time.Second || got[1].Lost != 3) {
				t.Errorf("noticed %v", got)
			}
		})
	}
	s := serve(t, o, plain)
	p := s.dialRaw(t, "/", offering("ZWS2.0/NULL"))
	p.send("\x02\x05READY" + dealerMetadata)
	p.expect("\x02\x05READY" + routerMetadata)
	conn := (<-s.accepted).conn
	conn.Expiring(time.Minute)
	conn.Channel().Lost(1)
	p.send("\x00next")
	p.expect("\x00next")
}

// TestUnsubscribed: the notification keeps its place between messages, in every mechanism.
// Clients that did not ask for it, or have a dialect without commands, only get the messages.
func TestUnsubscribed(t *testing.T) {
	o := options()
	long := strings.Repeat("x", 1000)
	for name, d := range clients(&o, "user") {
		for _, asks := range []bool{true, false} {
			s := serve(t, o, plain)
			var got []string
			if asks {
				d.Notify = func(n zws.Notification) {
					if n.Unsubscribed == nil || n.Channel != nil {
						t.Errorf("noticed %+v", n)
					}
					got = append(got, "-"+string(n.Unsubscribed))
				}
			}
			c, err := zws.Dial(t.Context(), s.url(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, topic := range []string{"a/", "", long} {
				c.Send(t.Context(), message("before", topic))
				c.Send(t.Context(), message("unsubscribed", topic))
			}
			c.Send(t.Context(), message("last", ""))
			for len(got) == 0 || got[len(got)-1] != "last" {
				m, err := c.Recv(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(m[0]))
			}
			want := []string{"before", "-a/", "before", "-", "before", "-" + long, "last"}
			if !asks || name == "ZWS2.0" {
				want = []string{"before", "before", "before", "last"}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, asks for notices: %v: %s", name, asks, diff)
			}
			d.Notify = nil
		}
	}
}

// TestClientRenews: the Go client's side of a renewal.
func TestClientRenews(t *testing.T) {
	o := options()
	o.Handler = zap.HandlerFunc(tokens)
	s := serve(t, o, plain)
	d := clients(&o, "alice 1")["ZWS2.0+BEARER"]
	renewed := false
	d.Notify = func(n zws.Notification) { renewed = renewed || n.Renewed }
	c, err := zws.Dial(t.Context(), s.url(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Renew(t.Context(), "alice 2"); err != nil {
		t.Fatal(err)
	}
	c.Send(t.Context(), message("m"))
	if _, err := c.Recv(t.Context()); err != nil || !renewed {
		t.Errorf("renewed: %v, %v", renewed, err)
	}
	c.Renew(t.Context(), "alice 3") // at once
	_, err = c.Recv(t.Context())
	if cause, ok := err.(*zws.CloseError); !ok || cause.Code != 4429 {
		t.Errorf("renewed twice at once: %v", err)
	}
}

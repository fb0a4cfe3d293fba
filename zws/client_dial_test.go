package zws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// script is a server that imitates libzmq, or a broken server, on the wire: it
// answers the upgrade, sends each string as a binary message as soon as the client has
// sent one, and then closes, if it does.
func script(t *testing.T, subprotocol string, closes bool, answers ...string) string {
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := websocket.Upgrader{Subprotocols: []string{subprotocol}}
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		for _, answer := range answers {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
			if err := ws.WriteMessage(websocket.BinaryMessage, []byte(answer)); err != nil {
				return
			}
		}
		if !closes {
			<-done
		} else if len(answers) == 0 {
			ws.ReadMessage()
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(done) }) // before the server waits for its handlers
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// TestDialErrors: the error of each login that does not end with READY.
func TestDialErrors(t *testing.T) {
	public, secret := keyPair()
	curve := zmtp.Curve{Public: public, Secret: secret, ServerKey: public}
	user := zmtp.Plain{User: "u", Password: "p"}
	closed := func(code zws.Code, status int, inside error) func(error) bool {
		return func(err error) bool {
			cause, ok := err.(*zws.CloseError)
			return ok && cause.Code == code && int(cause.Status) == status && (inside == nil || errors.Is(err, inside))
		}
	}
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	tests := []struct {
		name     string
		security zmtp.ClientSecurity
		close    bool
		answers  []string
		want     func(error) bool
	}{
		{"ERROR as libzmq's PLAIN sends it, left open", user, false, []string{"\x02^RROR\x03400"}, closed(1006, 400, nil)},
		{"ERROR, then closed", user, true, []string{"\x02\x05ERROR\x03500"}, closed(1006, 500, nil)},
		{"ERROR for READY", user, true, []string{"\x02\x07WELCOME", "\x02\x05ERROR\x03400"}, closed(1006, 400, nil)},
		{"ERROR in words", user, true, []string{"\x02\x05ERROR\x04nope"}, closed(1006, 0, nil)},
		{"closed before WELCOME", curve, true, nil, closed(1006, 0, zmtp.ErrClosedBeforeWelcome)},
		{"closed during the login", user, true, nil, closed(1006, 0, zmtp.ErrClosedDuringLogin)},
		{"message for WELCOME", user, true, []string{"\x00"}, is(zmtp.ErrProtocol)},
		{"READY for WELCOME", user, true, []string{"\x02\x05READY"}, is(zmtp.ErrProtocol)},
		{"empty message", user, true, []string{""}, closed(1002, 0, nil)},
		{"wrong socket type", zmtp.Null{}, true, []string{"\x02\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"}, func(err error) bool {
			wrong, ok := err.(*zmtp.SocketTypeError)
			return ok && wrong.Peer == zmtp.PUB
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := zws.DialOptions{SocketType: zmtp.DEALER, Security: test.security}
			url := script(t, "ZWS2.0/"+string(test.security.Name()), test.close, test.answers...)
			c, err := zws.Dial(t.Context(), url, o)
			if c != nil || !test.want(err) {
				t.Errorf("Dial: %v, %#v", c, err)
			}
		})
	}
}

// TestDialUpgrade: the server does not accept the subprotocol, or is something else.
func TestDialUpgrade(t *testing.T) {
	if _, err := zws.Dial(t.Context(), script(t, "ZWS2.0", true), zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Null{}}); !errors.Is(err, zws.ErrUpgrade) {
		t.Errorf("another subprotocol: %v", err)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	url := "ws" + strings.TrimPrefix(s.URL, "http")
	if _, err := zws.Dial(t.Context(), url, zws.DialOptions{SocketType: zmtp.SUB}); !errors.Is(err, zws.ErrUpgrade) || !strings.Contains(err.Error(), "404") {
		t.Errorf("no WebSocket: %v", err)
	}
	red := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 400 \x1b[31m\r\nContent-Length: 0\r\n\r\n")
	}))
	defer red.Close()
	url = "ws" + strings.TrimPrefix(red.URL, "http")
	if _, err := zws.Dial(t.Context(), url, zws.DialOptions{SocketType: zmtp.SUB}); !errors.Is(err, zws.ErrUpgrade) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("control characters in the status: %q", err)
	}
	for url, o := range map[string]zws.DialOptions{
		"http://localhost": {SocketType: zmtp.SUB},
		"ws://local host":  {SocketType: zmtp.SUB},
		"ws://localhost":   {},
		"wss://localhost":  {SocketType: zmtp.SUB, RoutingID: make([]byte, 256)},
	} {
		if _, err := zws.Dial(t.Context(), url, o); err == nil {
			t.Errorf("%s with %+v: no error", url, o)
		}
	}
}

// TestDialDeadline: one deadline covers all steps in which a server can fail to answer, and
// the caller's context ends the wait too.
func TestDialDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go io.Copy(io.Discard, server)
			return client, nil
		}
		start := time.Now()
		_, err := zws.Dial(t.Context(), "ws://example.org", zws.DialOptions{SocketType: zmtp.SUB, NetDial: silent})
		if !errors.Is(err, zmtp.ErrHandshakeTimeout) || time.Since(start) != zws.DefaultHandshakeTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	url := script(t, "ZWS2.0/PLAIN", false)
	dialled := make(chan error)
	go func() {
		_, err := zws.Dial(ctx, url, zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Plain{}})
		dialled <- err
	}()
	cancel()
	if err := <-dialled; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRecvLimits: a client refuses messages over its limits.
func TestRecvLimits(t *testing.T) {
	for name, answers := range map[string][]string{
		"bytes":  {"\x00", "\x01" + strings.Repeat("m", 60), "\x00" + strings.Repeat("m", 60)},
		"frames": {"\x00", "\x01", "\x01", "\x01", "\x00"},
	} {
		url := script(t, "ZWS2.0", false, answers...)
		c, err := zws.Dial(t.Context(), url, zws.DialOptions{SocketType: zmtp.DEALER, MaxMessage: 100, MaxFrames: 3})
		if err != nil {
			t.Fatal(err)
		}
		for range answers {
			c.Send(t.Context(), message("next"))
		}
		if _, err := c.Recv(t.Context()); !errors.Is(err, zmtp.ErrTooLarge) {
			t.Errorf("too many %s: %v", name, err)
		}
		c.Close()
	}
}

// TestClientSubscribes: subscriptions have the form of a message, in every mechanism.
func TestClientSubscribes(t *testing.T) {
	o := options()
	s := serve(t, o, plain)
	for name, d := range clients(&o, "user") {
		t.Run(name, func(t *testing.T) {
			c, err := zws.Dial(t.Context(), s.url(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if id := c.Peer().RoutingID(); string(id) != "us" {
				t.Errorf("the server calls itself %q", id)
			}
			if err := c.Subscribe(t.Context(), []byte("a"), nil); err != nil {
				t.Fatal(err)
			}
			if err := c.Unsubscribe(t.Context(), []byte("a")); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"\x01a", "\x01", "\x00a"} {
				if m, err := c.Recv(t.Context()); err != nil || len(m) != 1 || string(m[0]) != want {
					t.Errorf("received %q, %v; want %q", m, err, want)
				}
			}
			if err := c.Send(t.Context(), nil); err == nil {
				t.Error("a message without frames was sent")
			}
		})
	}
}

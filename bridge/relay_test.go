package bridge_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// basicAuth returns the login to the bridge of a client of a relay.
func basicAuth(user string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, user+"'s secret")
	return r.Header
}

// relayRoute returns a relay route at "/relay".
func relayRoute(socket zmtp.SocketType, endpoint string, lines ...string) string {
	return routeTo("/relay", socket, endpoint, append(lines, "relay = true")...)
}

// curveLogin returns a CURVE login that the backends of these tests accept.
func curveLogin(serverKey [32]byte) zmtp.Curve {
	return zmtp.Curve{Public: bridgeKey.Public, Secret: bridgeKey.Secret, ServerKey: serverKey}
}

// relayClient is what zws.Client and zws.MuxRelay have in common.
type relayClient interface {
	zws.Socket
	Relayed() (minor byte, ok bool)
}

// relayDialer is a way to connect to a relay as alice.
type relayDialer struct {
	name string
	dial func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error)
}

var relayDialers = []relayDialer{
	{"with +", func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error) {
		return zws.Dial(t.Context(), url+"/relay", zws.DialOptions{SocketType: as, Security: s, Alias: true, Header: basicAuth("alice"), HandshakeTimeout: time.Minute})
	}},
	{"with /", func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error) {
		return zws.Dial(t.Context(), url+"/relay", zws.DialOptions{SocketType: as, Security: s, Header: basicAuth("alice"), HandshakeTimeout: time.Minute})
	}},
	{"MUX", func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error) {
		return dialMux(t, url+"/relay", "alice").Relay(t.Context(), zws.RelayOptions{Route: "/relay", Security: s, SocketType: as})
	}},
}

// TestRelay checks that a client logs in to the backend with each mechanism and exchanges messages
// with it.
func TestRelay(t *testing.T) {
	for _, inner := range []zmtp.ClientSecurity{zmtp.Null{}, zmtp.Plain{User: "lamp", Password: "switch"}, curveLogin(nativeKey.Public)} {
		url, b := start(t, usersOnly+relayRoute("DEALER", echoBackend(t, zmtp.ROUTER, inner.Name())))
		for _, tc := range relayDialers {
			t.Run(string(inner.Name())+" "+tc.name, func(t *testing.T) {
				c, err := tc.dial(t, url, inner, zmtp.DEALER)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if minor, ok := c.Relayed(); ok != (tc.name != "with /") || ok && minor != 1 {
					t.Errorf("the backend's version is 3.%d, %v", minor, ok)
				}
				large := bytes.Repeat([]byte("0123456789abcdef"), 60_000)
				for i := range 50 {
					m := zmtp.Message{{}, fmt.Append(nil, i), nil}
					if i%20 == 0 {
						m[2] = large
					}
					if err := c.Send(t.Context(), m); err != nil {
						t.Fatal(err)
					}
					got, err := c.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if len(got) != 3 || string(got[1]) != string(m[1]) || !bytes.Equal(got[2], m[2]) {
						t.Fatalf("got %.100q, want %.100q", got, m)
					}
				}
				sessions := b.Sessions()
				if s := sessions[len(sessions)-1]; s.User != "alice" || s.Mechanism != "PLAIN" || s.Relayed != string(inner.Name()) || s.Route != "/relay" {
					t.Errorf("operators see %+v", s)
				}
				number := sessions[len(sessions)-1].Number
				if backends := b.Backends(); !slices.ContainsFunc(backends, func(s bridge.Backend) bool { // beside those of sessions that end
					return s.Session == number && s.State == "ready" && s.Source == "file"
				}) {
					t.Errorf("operators see the backends %+v", backends)
				}
			})
		}
	}
}

// TestRelayMux checks that a channel on a relay route must be a relay and no other can be one, and
// that relays and other channels share a connection.
func TestRelayMux(t *testing.T) {
	url, _ := start(t, usersOnly+relayRoute("DEALER", echoBackend(t, zmtp.ROUTER, zap.CURVE))+
		routeTo("/control", "DEALER", echoRouter(t)))
	m := dialMux(t, url+"/control", "alice")
	for name, open := range map[string]func() error{
		"a relay route without a relay": func() error {
			_, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/relay"})
			return err
		},
		"another route as a relay": func() error {
			_, err := m.Relay(t.Context(), zws.RelayOptions{Route: "/control", Security: zmtp.Null{}, SocketType: zmtp.DEALER})
			return err
		},
	} {
		if cause, ok := errors.AsType[*zws.CloseError](open()); !ok || cause.Code != 4406 {
			t.Errorf("%s: %v, want 4406", name, cause)
		}
	}
	control := openMux(t, m, zws.ChannelOptions{Route: "/control"})
	var relays []*zws.MuxRelay
	for range 20 {
		r, err := m.Relay(t.Context(), zws.RelayOptions{Route: "/relay", Security: curveLogin(nativeKey.Public), SocketType: zmtp.DEALER})
		if err != nil {
			t.Fatal(err)
		}
		relays = append(relays, r)
	}
	for i, r := range relays {
		if err := r.Send(t.Context(), zmtp.Message{fmt.Append(nil, i), []byte("box")}); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range relays {
		if got, err := r.Recv(t.Context()); err != nil || string(got[0]) != fmt.Sprint(i) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := control.Send(t.Context(), message("lamp")); err != nil {
		t.Fatal(err)
	}
	if got, err := control.Recv(t.Context()); err != nil || string(got[0]) != "lamp" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestRelayBackendLost checks that the last messages of a backend are still delivered before
// the session ends with 4503.
func TestRelayBackendLost(t *testing.T) {
	endpoint := listen(t, zmtp.PUSH, zap.CURVE, checkLogin, func(c *zmtp.Conn) {
		for i := range 500 {
			if c.Write(zmtp.Message{fmt.Append(nil, i), make([]byte, 100)}) != nil {
				t.Error("the bridge closed the connection")
			}
		}
	})
	url, _ := start(t, usersOnly+relayRoute("PULL", endpoint, "high_water_mark = 10"))
	for _, way := range relayDialers {
		t.Run(way.name, func(t *testing.T) {
			c, err := way.dial(t, url, curveLogin(nativeKey.Public), zmtp.PULL)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i := range 500 {
				m, err := c.Recv(t.Context())
				if err != nil || string(m[0]) != fmt.Sprint(i) {
					t.Fatalf("message %d: %q, %v", i, m, err)
				}
			}
			_, err = c.Recv(t.Context())
			if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != 4503 || !strings.Contains(cause.Reason, "backend 1 was lost") {
				t.Errorf("%v, want 4503", err)
			}
		})
	}
}

// TestRelayRights checks that on a relay a login has all rights or none.
func TestRelayRights(t *testing.T) {
	url, b := start(t, usersOnly+relayRoute("DEALER", echoBackend(t, zmtp.ROUTER, zap.NULL), `allow = [ { user = "alice", send = [""] } ]`))
	c, err := relayDialers[0].dial(t, url, zmtp.Null{}, zmtp.DEALER)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := refusal(t, url+"/relay", zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Null{}, Alias: true, Header: basicAuth("bob")})
	if got.Code != 4403 {
		t.Errorf("bob: %v, want 4403", got)
	}
	if n, err := b.Kick(0, "alice"); n != 1 || err != nil {
		t.Errorf("kicked %d, %v", n, err)
	}
	if _, err = c.Recv(t.Context()); zws.Cause(err).Code != 4401 {
		t.Errorf("after the kick: %v, want 4401", err)
	}
}

// TestRelayBackpressure checks that frames are neither dropped nor queued without limit when the
// client or the backend does not read, and that such a session can be ended.
func TestRelayBackpressure(t *testing.T) {
	accepted := make(chan *zmtp.Conn, 1)
	endpoint := listen(t, zmtp.PAIR, zap.NULL, checkLogin, func(c *zmtp.Conn) {
		accepted <- c
		<-t.Context().Done()
	})
	url, b := start(t, usersOnly+relayRoute("PAIR", endpoint, "high_water_mark = 10"))
	var running sync.WaitGroup
	defer running.Wait()
	c, err := relayDialers[0].dial(t, url, zmtp.Null{}, zmtp.PAIR)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer := <-accepted
	defer peer.Close()
	const messages = 3000
	big := make([]byte, 10<<10)
	running.Go(func() { // more than fits in all buffers
		for i := range messages {
			if c.Send(t.Context(), zmtp.Message{fmt.Append(nil, i), big}) != nil {
				t.Error("the client cannot send")
				return
			}
		}
	})
	running.Go(func() {
		for i := range messages {
			if peer.Write(zmtp.Message{fmt.Append(nil, i), big}) != nil {
				t.Error("the peer cannot send")
				return
			}
		}
	})
	for i := range messages {
		if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d: %.20q, %v", i, m, err)
		}
	}
	for i := range messages {
		if m, err := peer.ReadMessage(); err != nil || string(m[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d: %.20q, %v", i, m, err)
		}
	}
	if s := b.Sessions()[0]; s.Dropped != 0 {
		t.Errorf("%d messages were dropped", s.Dropped)
	}
	// Without readers, Send blocks until the session is ended.
	running.Go(func() {
		for c.Send(t.Context(), zmtp.Message{big}) == nil {
		}
	})
	eventually(t, "the end of the session", func() bool {
		if _, err := b.Kick(0, "alice"); err != nil {
			t.Fatal(err)
		}
		return len(b.Sessions()) == 0
	})
	for { // until the backend is disconnected
		if _, err := peer.ReadMessage(); err != nil {
			break
		}
	}
}

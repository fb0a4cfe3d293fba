package bridge_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// basic is the outer login of a client of a relay.
func basic(user string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, user+"'s secret")
	return r.Header
}

// relayRoute is a route at "/relay".
func relayRoute(socket zmtp.SocketType, endpoint string, lines ...string) string {
	return routeTo("/relay", socket, endpoint, append(lines, "relay = true", `connect_timeout = "500ms"`)...)
}

// keyed is a client's CURVE login at the peers of these tests.
func keyed(serverKey [32]byte) zmtp.Curve {
	return zmtp.Curve{Public: bridgeKey.Public, Secret: bridgeKey.Secret, ServerKey: serverKey}
}

// relayClient is what the two kinds of clients have in common.
type relayClient interface {
	Send(zmtp.Message) error
	Recv() (zmtp.Message, error)
	Subscribe(topics ...[]byte) error
	Relayed() (minor byte, ok bool)
	Close() error
}

// relayCase is a way to be a client of a relay as alice.
type relayCase struct {
	name string
	dial func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error)
}

var relayCases = []relayCase{
	{"with +", func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error) {
		return zws.Dial(t.Context(), url+"/relay", zws.DialOptions{SocketType: as, Security: s, Alias: true, Header: basic("alice"), HandshakeTimeout: time.Minute})
	}},
	{"with /", func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error) {
		return zws.Dial(t.Context(), url+"/relay", zws.DialOptions{SocketType: as, Security: s, Header: basic("alice"), HandshakeTimeout: time.Minute})
	}},
	{"MUX", func(t *testing.T, url string, s zmtp.ClientSecurity, as zmtp.SocketType) (relayClient, error) {
		return dialMux(t, url+"/relay", "alice").Relay(t.Context(), zws.RelayOptions{Route: "/relay", Security: s, SocketType: as})
	}},
}

// TestRelay: the client logs in at the backend, by whichever mechanism, and both have their
// conversation.
func TestRelay(t *testing.T) {
	for _, inner := range []zmtp.ClientSecurity{zmtp.Null{}, zmtp.Plain{User: "lamp", Password: "switch"}, keyed(nativeKey.Public)} {
		url, b := start(t, usersOnly+relayRoute("DEALER", echoPeer(t, zmtp.ROUTER, inner.Name())))
		for _, tc := range relayCases {
			t.Run(string(inner.Name())+" "+tc.name, func(t *testing.T) {
				c, err := tc.dial(t, url, inner, zmtp.DEALER)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if minor, ok := c.Relayed(); ok != (tc.name != "with /") || ok && minor != 1 {
					t.Errorf("told of version 3.%d, %v", minor, ok)
				}
				large := bytes.Repeat([]byte("0123456789abcdef"), 60_000)
				for i := range 50 {
					m := zmtp.Message{{}, fmt.Append(nil, i), nil}
					if i%20 == 0 {
						m[2] = large
					}
					if err := c.Send(m); err != nil {
						t.Fatal(err)
					}
					got, err := c.Recv()
					if err != nil {
						t.Fatal(err)
					}
					if len(got) != 3 || string(got[1]) != string(m[1]) || !bytes.Equal(got[2], m[2]) {
						t.Fatalf("got %.100q, want %.100q", got, m)
					}
				}
				sessions := b.Sessions()
				if s := sessions[len(sessions)-1]; s.User != "alice" || s.Mechanism != "PLAIN" || s.Relayed != string(inner.Name()) || s.Route != "/relay" {
					t.Errorf("the operator sees %+v", s)
				}
				if backends := b.Backends(); len(backends) == 0 || backends[len(backends)-1].State != "ready" {
					t.Errorf("the operator sees backends %+v", backends)
				}
			})
		}
	}
}

// TestRelayMux: a channel is opened as what the route is, and one relay beside others.
func TestRelayMux(t *testing.T) {
	url, _ := start(t, usersOnly+relayRoute("DEALER", echoPeer(t, zmtp.ROUTER, zap.CURVE))+
		routeTo("/control", "DEALER", echoRouter(t)))
	m := dialMux(t, url+"/control", "alice")
	for name, open := range map[string]func() error{
		"a relay as any other": func() error {
			_, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/relay"})
			return err
		},
		"another as a relay": func() error {
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
		r, err := m.Relay(t.Context(), zws.RelayOptions{Route: "/relay", Security: keyed(nativeKey.Public), SocketType: zmtp.DEALER})
		if err != nil {
			t.Fatal(err)
		}
		relays = append(relays, r)
	}
	for i, r := range relays {
		if err := r.Send(zmtp.Message{fmt.Append(nil, i), []byte("box")}); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range relays {
		if got, err := r.Recv(); err != nil || string(got[0]) != fmt.Sprint(i) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := control.Send(t.Context(), message("lamp")); err != nil {
		t.Fatal(err)
	}
	if got, err := control.Recv(); err != nil || string(got[0]) != "lamp" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestRelayLost: what the backend has said last still comes, and then the session ends: who
// comes again logs in again.
func TestRelayLost(t *testing.T) {
	endpoint := listen(t, zmtp.PUSH, zap.CURVE, known, func(c *zmtp.Conn) {
		for i := range 500 {
			if c.Write(zmtp.Message{fmt.Append(nil, i), make([]byte, 100)}) != nil {
				t.Error("the bridge has closed the connection")
			}
		}
	})
	url, _ := start(t, usersOnly+relayRoute("PULL", endpoint, "high_water_mark = 10"))
	for _, way := range relayCases {
		t.Run(way.name, func(t *testing.T) {
			c, err := way.dial(t, url, keyed(nativeKey.Public), zmtp.PULL)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i := range 500 {
				m, err := c.Recv()
				if err != nil || string(m[0]) != fmt.Sprint(i) {
					t.Fatalf("message %d: %q, %v", i, m, err)
				}
			}
			_, err = c.Recv()
			if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != 4503 || !strings.Contains(cause.Reason, "backend 1 was lost") {
				t.Errorf("%v, want 4503", err)
			}
		})
	}
}

// TestRelayRights: on a relay a login may do everything or nothing.
func TestRelayRights(t *testing.T) {
	url, b := start(t, usersOnly+relayRoute("DEALER", echoPeer(t, zmtp.ROUTER, zap.NULL), `allow = [ { user = "alice", send = [""] } ]`))
	c, err := relayCases[0].dial(t, url, zmtp.Null{}, zmtp.DEALER)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := refusal(t, url+"/relay", zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Null{}, Alias: true, Header: basic("bob")})
	if got.Code != 4403 {
		t.Errorf("bob: %v, want 4403", got)
	}
	if n, err := b.Kick(0, "alice"); n != 1 || err != nil {
		t.Errorf("kicked %d, %v", n, err)
	}
	if _, err = c.Recv(); zws.Cause(err).Code != 4401 {
		t.Errorf("kicked with %v", err)
	}
}

// TestRelayBackpressure: neither a backend nor a client that does not read has the other's
// frames dropped or kept without bound, and both can be ended.
func TestRelayBackpressure(t *testing.T) {
	accepted := make(chan *zmtp.Conn, 1)
	endpoint := listen(t, zmtp.PAIR, zap.NULL, known, func(c *zmtp.Conn) {
		accepted <- c
		<-t.Context().Done()
	})
	url, b := start(t, usersOnly+relayRoute("PAIR", endpoint, "high_water_mark = 10"))
	var running sync.WaitGroup
	defer running.Wait()
	c, err := relayCases[0].dial(t, url, zmtp.Null{}, zmtp.PAIR)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer := <-accepted
	defer peer.Close()
	const messages = 3000
	big := make([]byte, 10<<10)
	running.Go(func() { // more than all buffers in between take
		for i := range messages {
			if c.Send(zmtp.Message{fmt.Append(nil, i), big}) != nil {
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
		if m, err := c.Recv(); err != nil || string(m[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d: %.20q, %v", i, m, err)
		}
	}
	for i := range messages {
		if m, err := peer.ReadMessage(); err != nil || string(m[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d: %.20q, %v", i, m, err)
		}
	}
	if s := b.Sessions()[0]; s.Dropped != 0 {
		t.Errorf("%d were dropped", s.Dropped)
	}
	// Nobody reads any more: a Send is stuck in the bridge until the session is ended.
	running.Go(func() {
		for c.Send(zmtp.Message{big}) == nil {
		}
	})
	for len(b.Sessions()) > 0 {
		if _, err := b.Kick(0, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	for { // the backend sees the end
		if _, err := peer.ReadMessage(); err != nil {
			break
		}
	}
}

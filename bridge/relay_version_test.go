package bridge_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// greeting returns the greeting of a ZMTP 3.1 peer.
func greeting(mechanism string) string {
	return "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01" + mechanism + strings.Repeat("\x00", 52-len(mechanism))
}

// TestRelayVersions checks that the backend is greeted with the ZMTP version of the client,
// that its heartbeats are passed on, and that subscriptions have the form of that version.
func TestRelayVersions(t *testing.T) {
	received := make(chan string, 1)
	endpoint := plainTCP(t, func(c net.Conn) {
		defer c.Close()
		const ready = "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"
		ping, pong, subscribed := "", "", "\x00\x02\x01a"
		got := make([]byte, 64)
		if _, err := fmt.Fprint(c, greeting("NULL")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(c, got); err != nil {
			t.Error(err)
		}
		if got[11] == 1 {
			ping, pong, subscribed = "\x04\x0a\x04PING\x00\x64abc", "\x04\x08\x04PONGabc", "\x04\x0b\x09SUBSCRIBEa"
		}
		fmt.Fprint(c, ready)
		got = make([]byte, len("\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")+len(subscribed))
		if _, err := io.ReadFull(c, got); err != nil || !strings.HasSuffix(string(got), subscribed) {
			t.Errorf("got %q, %v, want %q", got, err, subscribed)
		}
		fmt.Fprint(c, ping+"\x01\x01a\x00\x021x")
		got = make([]byte, len(pong))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != pong {
			t.Errorf("got %q, %v, want %q", got, err, pong)
		}
		received <- pong
	})
	url, _ := start(t, usersOnly+relayRoute("SUB", endpoint))
	for _, way := range relayDialers {
		t.Run(way.name, func(t *testing.T) {
			c, err := way.dial(t, url, zmtp.Null{}, zmtp.SUB)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Subscribe(t.Context(), []byte("a")); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Recv(t.Context()); err != nil || len(m) != 2 || string(m[1]) != "1x" {
				t.Errorf("got %q, %v", m, err)
			}
			if pong := <-received; (pong == "") != (way.name == "with /") {
				t.Errorf("the backend got %q", pong)
			}
		})
	}
}

// TestRelaySubscriptions checks that a publishing client gets the subscriptions of the backend,
// whatever version the two speak.
func TestRelaySubscriptions(t *testing.T) {
	received := make(chan zmtp.Message, 1)
	endpoint := listen(t, zmtp.SUB, zap.CURVE, checkLogin, func(c *zmtp.Conn) {
		if err := c.Subscribe([]byte("a")); err != nil {
			t.Error(err)
		}
		m, err := c.ReadMessage()
		if err != nil {
			t.Error(err)
		}
		if err := c.Unsubscribe([]byte("a")); err != nil {
			t.Error(err)
		}
		received <- m
		_, _ = c.ReadMessage() // until the end
	})
	url, _ := start(t, usersOnly+relayRoute("PUB", endpoint))
	for _, way := range relayDialers {
		t.Run(way.name, func(t *testing.T) {
			c, err := way.dial(t, url, curveLogin(nativeKey.Public), zmtp.PUB)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if m, err := c.Recv(t.Context()); err != nil || len(m) != 1 || string(m[0]) != "\x01a" {
				t.Fatalf("got %q, %v", m, err)
			}
			if err := c.Send(t.Context(), message("a", "1")); err != nil {
				t.Fatal(err)
			}
			if m := <-received; len(m) != 2 || string(m[1]) != "1" {
				t.Errorf("the subscriber got %q", m)
			}
			if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "\x00a" {
				t.Errorf("got %q, %v", m, err)
			}
		})
	}
}

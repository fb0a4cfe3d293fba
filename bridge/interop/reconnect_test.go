//go:build interop

package interop

import (
	"net"
	"net/url"
	"testing"
	"time"
)

// TestForeignClientsReconnect restarts the bridge: foreign clients reconnect by themselves and
// restore their subscriptions.
func TestForeignClientsReconnect(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, l := range logins {
		t.Run(l.name, func(t *testing.T) {
			h := newHome(t)
			clients := start(t, l.script)
			publisher := libzmq.bind(t, "XPUB", nil)
			config := allMechanisms + route("SUB", publisher.endpoint, anyMechanism)
			at, end := h.bridgeAt("127.0.0.1:0", config)
			u, err := url.Parse(at)
			if err != nil {
				t.Fatal(err)
			}
			address := u.Host
			u.User = l.user
			client := clients.open(t, command{Type: "SUB", Connect: u.String(), Options: l.options(h), Subscribe: []string{"house/1/"}})
			client.ignored = append(client.ignored, "handshake:error:other") // while the bridge is down
			for range 2 {
				publisher.expect("\x01house/1/")
				publisher.send("house/1/temperature", "21")
				client.expect("house/1/temperature", "21")
				end()
				publisher.expect("\x00house/1/")
				refuseOnce(t, address)
				_, end = h.bridgeAt(address, config)
			}
		})
	}
}

// refuseOnce waits for a client that reconnects, and closes the connection.
func refuseOnce(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("no client reconnects: %v", err)
	}
	c.Close()
}

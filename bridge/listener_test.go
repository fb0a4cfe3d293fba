package bridge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// listening starts a bridge and serves it on a listener of its own.
func listening(t *testing.T, text string) (address string, b *bridge.Bridge, log *logBuffer) {
	t.Helper()
	_, b, log = startLogging(t, func(string) string { return text })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b}
	done := make(chan struct{})
	l = b.Listener(l, server)
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String(), b, log
}

// idlers opens connections that send nothing but before.
func idlers(t *testing.T, address, before string, n int) (all []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, before)
		all = append(all, c)
	}
	return all
}

// tcpConnections waits until the metrics show that many TCP connections of clients.
func tcpConnections(t *testing.T, b *bridge.Bridge, want int) {
	t.Helper()
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	line := fmt.Sprintf("\nzwsbridge_tcp_connections{listener=\"server\"} %d\n", want)
	eventually(t, line, func() bool { return strings.Contains(metrics(t, admin.URL), line) })
}

// TestListenerLimits checks that connections of every kind count for the limits, that a
// WebSocket beyond them is told 4429 and a plain request 503, and that there is room again
// when one leaves.
func TestListenerLimits(t *testing.T) {
	for limit, reason := range map[string]string{
		"max_connections_per_ip = 3": "too many connections from this address",
		"max_connections = 3":        "too many connections to this bridge",
	} {
		t.Run(limit, func(t *testing.T) {
			address, b, _ := listening(t, usersOnly+"[server]\nhandshake_timeout = \"1h\"\n"+limit+"\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
			url := "ws://" + address + "/d"
			connect(t, url, plainLogin("alice", zmtp.SUB))
			others := idlers(t, address, "", 2)
			tcpConnections(t, b, 3)
			if got := refusal(t, url, plainLogin("alice", zmtp.SUB)); got.Code != 4429 || !strings.Contains(got.Reason, reason) {
				t.Errorf("a WebSocket: %v, want 4429", got)
			}
			resp, err := http.Get("http://" + address + "/zws.js")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a plain request: %s", resp.Status)
			}
			others[0].Close()
			tcpConnections(t, b, 2)
			connect(t, url, plainLogin("alice", zmtp.SUB))
			tcpConnections(t, b, 3)
		})
	}
}

// TestListenerCrowd checks that a crowd from one address, silent or with WebSockets that do not
// log in, does not keep a client of another address out, nor one that is logged in from its
// own.
func TestListenerCrowd(t *testing.T) {
	address, b, log := listening(t, usersOnly+"[server]\nhandshake_timeout = \"1h\"\nmax_connections = 8\ninsecure_plaintext = true\n"+
		routeTo("/d", "DEALER", echoRouter(t)))
	url := "ws://" + address + "/d"
	good := connect(t, url, plainLogin("alice", zmtp.DEALER))
	idlers(t, address, "", 1)
	for range 6 {
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"ZWS2.0+PLAIN"}}).DialContext(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
	}
	tcpConnections(t, b, 8)
	other := plainLogin("bob", zmtp.DEALER)
	other.NetDial = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext
	if c, err := other.NetDial(t.Context(), "tcp", address); err != nil {
		t.Skip("127.0.0.2 is not available:", err)
	} else {
		c.Close()
	}
	for range 3 {
		connect(t, url, other)
	}
	log.waitFor(t, `msg="connection refused"`, "server.max_connections", "code=4429", "address=127.0.0.1")
	if err := good.Send(t.Context(), message("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := good.Recv(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestListenerProxies checks that connections of a trusted proxy count for the client that it
// names: in each request, or in a PROXY header.
func TestListenerProxies(t *testing.T) {
	text := func(proxy string) string {
		return usersOnly + "[server]\nhandshake_timeout = \"1h\"\nmax_connections_per_ip = 2\ntrusted_proxies = [\"127.0.0.1\"]\n" + proxy +
			"\n" + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	}
	t.Run("X-Forwarded-For", func(t *testing.T) {
		address, b, _ := listening(t, text("insecure_plaintext = true"))
		idlers(t, address, "", 5)
		tcpConnections(t, b, 5)
		o := plainLogin("alice", zmtp.SUB)
		o.Header = http.Header{"X-Forwarded-For": {"192.0.2.1"}}
		for range 2 {
			connect(t, "ws://"+address+"/d", o)
		}
		if got := refusal(t, "ws://"+address+"/d", o); got.Code != 4429 {
			t.Errorf("the third of a client: %v, want 4429", got)
		}
		o.Header = http.Header{"X-Forwarded-For": {"192.0.2.2"}}
		connect(t, "ws://"+address+"/d", o)
	})
	t.Run("PROXY", func(t *testing.T) {
		address, b, _ := listening(t, text("proxy_protocol = true\ninsecure_plaintext = true"))
		through := func(client string) zws.DialOptions {
			o := plainLogin("alice", zmtp.SUB)
			o.NetDial = func(context.Context, string, string) (net.Conn, error) {
				c, err := net.Dial("tcp", address)
				if err == nil {
					_, err = io.WriteString(c, "PROXY TCP4 "+client+" 192.0.2.9 4711 80\r\n")
				}
				return c, err
			}
			return o
		}
		idlers(t, address, "", 5)
		tcpConnections(t, b, 5)
		idlers(t, address, "PROXY TCP4 192.0.2.1 192.0.2.9 4711 80\r\nGET", 1)
		tcpConnections(t, b, 6)
		connect(t, "ws://bridge.test/d", through("192.0.2.1"))
		eventually(t, "the third of a client refused", func() bool { // once the header of the first is read
			c, err := zws.Dial(t.Context(), "ws://bridge.test/d", through("192.0.2.1"))
			if err == nil {
				c.Close()
				return false
			}
			return zws.Cause(err).Code == 4429
		})
		connect(t, "ws://bridge.test/d", through("192.0.2.2"))
	})
}

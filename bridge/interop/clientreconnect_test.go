//go:build interop

package interop

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/remote"
)

// TestClientReconnects restarts the bridge: clients reconnect and restore their subscriptions.
// Some attempts fail, because the bridge does not listen.
func TestClientReconnects(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, where := range platforms {
		t.Run(where, func(t *testing.T) {
			client := platform(t, where)
			h := newHome(t)
			h.pages()
			publisher := libzmq.bind(t, "XPUB", nil)
			text := strings.Replace(allMechanisms, "[server]", "[server]\nstatic = \"www\"", 1) +
				routeAt("/live", "SUB", publisher.endpoint, anyMechanism)
			url, end := h.bridgeAt("127.0.0.1:0", text)
			sub := client.open(t, command{Type: "SUB", Connect: url + "live", Subscribe: []string{"house/"},
				Options: withPassword("alice", secrets["alice"]).with("http" + strings.TrimPrefix(url, "ws"))})
			sub.wait("ready")
			publisher.expect("\x01house/")

			end()
			if e := sub.wait("disconnect"); e.Code != 1001 {
				t.Errorf("the client gets %d %q, want 1001", e.Code, e.Reason)
			}
			publisher.expect("\x00house/")
			for sub.wait("disconnect").Code != 1006 { // 1001 as long as the bridge shuts down
			}
			h.bridgeAt(strings.Trim(strings.TrimPrefix(url, "ws:"), "/"), text)
			e := sub.next()
			for e.Event == "disconnect" {
				e = sub.next()
			}
			if e.Event != "recovered" {
				t.Fatalf("event %+v, want recovered", e)
			}
			publisher.expect("\x01house/")
			publisher.send("house/1", "21")
			sub.expect("house/1", "21")
		})
	}
}

// TestClientRenews sends a new token on the live connection when the bridge announces the end
// of the login. Without a newer token the session ends.
func TestClientRenews(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, name := range []string{"node", "chromium", "node over a Mux", "chromium over a Mux"} {
		t.Run(name, func(t *testing.T) {
			where, _, overMux := strings.Cut(name, " ")
			client := platform(t, where)
			h := newHome(t)
			h.pages()
			server, err := remote.Listen(remote.ServerOptions{Endpoint: "ipc://" + h.path("zap.sock"), Handler: zap.HandlerFunc(shortLogins)})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			worker := libzmq.bind(t, "ROUTER", nil)
			url := h.bridge(fmt.Sprintf("[server]\nstatic = \"www\"\n[zap]\nchain = [ { authn = \"central\" } ]\n"+
				"[auth.central]\ntype = \"zap\"\nendpoint = %q\n", server.Endpoint()) + routeAt("/work", "DEALER", worker.endpoint))
			o := command{Type: "DEALER", Connect: url + "work",
				Options: credentials{"mechanism": "BEARER", "tokens": []string{"first", "second"}}.with("http" + strings.TrimPrefix(url, "ws"))}
			if overMux {
				o.Connect, o.Options["mux"] = "/work", o.Connect
			}
			dealer := client.open(t, o)
			// The order is not fixed: the bridge can announce the end of the second token before
			// it confirms the renewal, and the end of the first before the channel is open.
			var events []string
			for len(events) < 4 {
				events = append(events, dealer.next().Event)
			}
			slices.Sort(events)
			equal(t, events, "expiring", "expiring", "ready", "renewed")
			dealer.send("still here")
			m := worker.wait("message").Frames
			equal(t, m[1:], "still here")
			if e := dealer.wait("disconnect"); e.Code != 4401 {
				t.Errorf("the client gets %d %q, want 4401", e.Code, e.Reason)
			}
			dealer.expectRefused(4401, 0, "the login has expired and no newer token is available")
		})
	}
}

// TestClientUnsubscribed renews a login with a token that allows less, which ends a
// subscription. The client is told, the libzmq backend gets the cancellation, and the client does
// not subscribe again after a reconnect.
func TestClientUnsubscribed(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, where := range []string{"node", "chromium"} {
		t.Run(where, func(t *testing.T) {
			client := platform(t, where)
			h := newHome(t)
			h.pages()
			server, err := remote.Listen(remote.ServerOptions{Endpoint: "ipc://" + h.path("zap.sock"), Handler: zap.HandlerFunc(narrowingLogins)})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			publisher := libzmq.bind(t, "XPUB", nil)
			text := fmt.Sprintf("[server]\nstatic = \"www\"\n[zap]\nchain = [ { authn = \"central\" } ]\n"+
				"[auth.central]\ntype = \"zap\"\nendpoint = %q\n", server.Endpoint()) + routeAt("/live", "SUB", publisher.endpoint)
			url, end := h.bridgeAt("127.0.0.1:0", text)
			sub := client.open(t, command{Type: "SUB", Connect: url + "live", Subscribe: []string{"house/", "yard/"},
				Options: credentials{"mechanism": "BEARER", "tokens": []string{"first", "second"}}.with("http" + strings.TrimPrefix(url, "ws"))})
			sub.ignored = []string{"ready", "expiring", "renewed", "disconnect"}
			if e := sub.wait("unsubscribed"); len(e.Frames) != 1 || e.Frames[0] != "yard/" {
				t.Errorf("event %+v, want yard/", e)
			}
			for publisher.wait("message").Frames[0] != "\x00yard/" {
			}
			publisher.send("yard/1", "open")
			publisher.send("house/1", "21")
			sub.expect("house/1", "21")

			end()
			for publisher.wait("message").Frames[0] != "\x00house/" {
			}
			h.bridgeAt(strings.Trim(strings.TrimPrefix(url, "ws:"), "/"), text)
			sub.wait("recovered") // to subscribe to yard/ again would be refused for good
			publisher.expect("\x01house/")
			publisher.send("house/1", "22")
			sub.expect("house/1", "22")
		})
	}
}

// narrowingLogins accepts two tokens: the first expires soon, and the second allows less.
func narrowingLogins(_ context.Context, r *zap.Request) (*zap.Reply, error) {
	rights := zap.Metadata{{Name: "Subscribe", Value: "house/"}}
	if string(r.Credentials[0]) == "first" {
		end := time.Now().Add(20 * time.Second).Unix()
		rights = zap.Metadata{{Name: "Subscribe", Value: "house/ yard/"}, {Name: "Expires", Value: strconv.FormatInt(end, 10)}}
	}
	return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: rights}, nil
}

// shortLogins accepts two tokens, both of which expire: the first soon, the second sooner.
func shortLogins(_ context.Context, r *zap.Request) (*zap.Reply, error) {
	// The bridge announces the end 30 s before it: at once.
	seconds := map[string]int{"first": 20, "second": 3}[string(r.Credentials[0])]
	if seconds == 0 {
		return &zap.Reply{Status: zap.Refused}, nil
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: strconv.FormatInt(end.Unix(), 10)}}}, nil
}

//go:build interop

package interop

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

// pattern is a pair of socket types, a route between them, and a conversation.
type pattern struct {
	client, route, backend string
	subscribe              []string       // the client's
	subscribed             []string       // the backend's
	options                map[string]any // the backend's
	talk                   func(client, backend *socket)
}

var patterns = []pattern{
	{client: "SUB", route: "SUB", backend: "XPUB", subscribe: []string{"house/1/", "weather"}, talk: subscribe},
	{client: "SUB", route: "SUB", backend: "PUB", subscribe: []string{"house/1/"},
		talk: func(client, backend *socket) { repeat(backend, client) }},
	{client: "PUB", route: "PUB", backend: "SUB", subscribed: []string{"house/1/"}, talk: repeat},
	{client: "XSUB", route: "XSUB", backend: "XPUB", talk: func(client, backend *socket) {
		client.send("\x01house/1/")
		backend.expect("\x01house/1/")
		backend.send("house/2/", "7")
		backend.send("house/1/", "21")
		client.expect("house/1/", "21")
		client.send("\x00house/1/")
		client.send("\x01end")
		backend.expect("\x01end") // the bridge keeps a cancelled subscription for a while
		backend.send("house/1/", "late")
		backend.send("end")
		client.expect("end")
	}},
	{client: "DEALER", route: "DEALER", backend: "ROUTER", talk: func(client, backend *socket) {
		client.send("hello", "", "there")
		m := backend.wait("message").Frames
		equal(client.t, m[1:], "hello", "", "there")
		backend.send(m[0], "good", "day")
		backend.send(m[0], "once more")
		client.expect("good", "day")
		client.expect("once more")
	}},
	{client: "DEALER", route: "DEALER", backend: "REP", talk: func(client, backend *socket) {
		client.send("", "what?")
		backend.expect("what?")
		backend.send("that")
		client.expect("", "that")
	}},
	{client: "REQ", route: "REQ", backend: "REP", talk: ask},
	{client: "REQ", route: "DEALER", backend: "REP", talk: ask},
	{client: "REQ", route: "DEALER", backend: "ROUTER", talk: func(client, backend *socket) {
		client.send("what?")
		m := backend.wait("message").Frames
		equal(client.t, m[1:], "", "what?")
		backend.send(m[0], "", "that")
		client.expect("that")
	}},
	{client: "PUSH", route: "PUSH", backend: "PULL", talk: oneWay},
	{client: "PULL", route: "PULL", backend: "PUSH", talk: func(client, backend *socket) { oneWay(backend, client) }},
	{client: "PAIR", route: "PAIR", backend: "PAIR", talk: func(client, backend *socket) {
		oneWay(client, backend)
		oneWay(backend, client)
	}},
	{client: "XPUB", route: "PUB", backend: "SUB", subscribed: []string{"house/1/", "weather"},
		talk: func(client, backend *socket) { subscribe(backend, client) }},
	{client: "DEALER", route: "ROUTER", backend: "DEALER", options: map[string]any{"routing_id": "device"}, talk: func(client, backend *socket) {
		client.send("device", "switch", "on")
		backend.expect("switch", "on")
		backend.send("done")
		client.expect("device", "done")
	}},
	{client: "REP", route: "REP", backend: "REQ", talk: func(client, backend *socket) { ask(backend, client) }},
}

// subscribe waits for both subscriptions at the publisher, an XPUB, and publishes.
func subscribe(client, backend *socket) {
	for _, want := range sorted(backend.wait("message").Frames[0], backend.wait("message").Frames[0]) {
		if want != "\x01house/1/" && want != "\x01weather" {
			client.t.Fatalf("the publisher got subscription %q", want)
		}
	}
	backend.send("house/2/temperature", "7")
	backend.send("house/1/temperature", "21", "\u00ff\u0000")
	backend.send("weather")
	client.expect("house/1/temperature", "21", "\u00ff\u0000")
	client.expect("weather")
}

// repeat publishes until something arrives, because a PUB does not report subscriptions.
func repeat(publisher, subscriber *socket) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		publisher.send("house/2/temperature", "7")
		publisher.send("house/1/temperature", "21")
		select {
		case e := <-subscriber.events:
			if e.Event == "message" {
				equal(subscriber.t, e.Frames, "house/1/temperature", "21")
				return
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	subscriber.t.Fatalf("no message within %v", patience)
}

func ask(client, backend *socket) {
	for range 3 {
		client.send("what", "?")
		backend.expect("what", "?")
		backend.send("that")
		client.expect("that")
	}
}

func oneWay(from, to *socket) {
	from.send("work")
	from.send("more", strings.Repeat("x", 70000), "")
	to.expect("work")
	to.expect("more", strings.Repeat("x", 70000), "")
}

// login is how a foreign client logs in.
type login struct {
	name   string
	script string
	// options are those of the socket; user is part of the URL.
	options func(h *home) map[string]any
	user    *url.Userinfo
}

func none(*home) map[string]any { return nil }

var logins = []login{
	{name: "jszmq/guest", script: "jszmq.mjs", options: none},
	{name: "jszmq/Basic", script: "jszmq.mjs", options: none, user: url.UserPassword("alice", secrets["alice"])},
	{name: "libzmq/NULL", script: "libzmq.mjs", options: none},
	{name: "libzmq/PLAIN", script: "libzmq.mjs", options: func(*home) map[string]any {
		return map[string]any{"username": "alice", "password": secrets["alice"]}
	}},
	{name: "libzmq/CURVE", script: "libzmq.mjs", options: func(h *home) map[string]any {
		return keys(h.controller, h.server)
	}},
}

// keys returns the options of a socket that logs in by CURVE.
func keys(own, server *certs.Certificate) map[string]any {
	return map[string]any{
		"public":     certs.EncodeKey(own.Public),
		"secret":     certs.EncodeKey(own.Secret),
		"server_key": certs.EncodeKey(server.Public),
	}
}

// TestPatterns lets every foreign client talk to a libzmq backend in every pattern.
func TestPatterns(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, l := range logins {
		t.Run(l.name, func(t *testing.T) {
			clients := start(t, l.script)
			for _, p := range patterns {
				t.Run(p.client+" to "+p.backend+" by "+p.route, func(t *testing.T) {
					h := newHome(t)
					backend := libzmq.bind(t, p.backend, p.options, p.subscribed...)
					at, err := url.Parse(h.bridge(allMechanisms + route(p.route, backend.endpoint, anyMechanism)))
					if err != nil {
						t.Fatal(err)
					}
					at.User = l.user
					client := clients.open(t, command{Type: p.client, Connect: at.String(), Options: l.options(h), Subscribe: p.subscribe})
					p.talk(client, backend)
				})
			}
		})
	}
}

// TestAggregate reads two backends on one WebSocket, one of npm zeromq and one of pyzmq.
func TestAggregate(t *testing.T) {
	need(t, "npm", "python3-zmq")
	h := newHome(t)
	backends := []*socket{start(t, "libzmq.mjs").bind(t, "XPUB", nil), start(t, "pyzmq.py").bind(t, "XPUB", nil)}
	config := strings.Replace(route("SUB", backends[0].endpoint, anyMechanism, `ready = "all"`), `"]`, `", "`+backends[1].endpoint+`"]`, 1)
	client := start(t, "jszmq.mjs").open(t, command{Type: "SUB", Connect: h.bridge(allMechanisms + config), Subscribe: []string{""}})
	for i, b := range backends {
		b.expect("\x01")
		b.send("from", strconv.Itoa(i))
		client.expect("from", strconv.Itoa(i))
	}
}

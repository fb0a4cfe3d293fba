//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// openOver opens a socket over a Mux, which all sockets with the same login and URL share.
// Paths in connect are routes of the Mux; URLs get a connection of their own.
func (p *clientPlatform) openOver(t *testing.T, socketType, connect string, c credentials, subscribe ...string) *socket {
	t.Helper()
	options := c.with(p.page)
	options["mux"] = p.url + "/work"
	return p.process.open(t, command{Type: socketType, Connect: connect, Subscribe: subscribe, Options: options})
}

// TestClientMux runs many sockets on one WebSocket on each platform.
func TestClientMux(t *testing.T) {
	need(t, "npm", "python3-zmq")
	stage := newClientStage(t)
	for _, where := range platforms {
		t.Run(where, func(t *testing.T) {
			p := &clientPlatform{stage, where, platform(t, where)}
			t.Run("PLAIN, and another URL", p.testSharedLogin)
			t.Run("BEARER", func(t *testing.T) { p.testDealerAndReq(t, p.logins["BEARER"]) })
			t.Run("a hundred, one of them slow", p.testSlowSocket)
			for _, r := range []clientRefusal{
				{"no route", "/nowhere", p.logins["PLAIN"], 4404, 0, "unknown route"},
				{"socket type", "/ask", p.logins["PLAIN"], 4406, 0, "this route does not serve DEALER sockets"},
				{"refused by the backend", "/remote", p.logins["PLAIN"], 4502, 0, "backend 1 refused the login (400)"},
				{"unsupported mechanism", "/remote", p.logins["BEARER"], 4406, 0, "this route does not accept BEARER logins"},
				{"wrong password", "/work", withPassword("alice", "guessed"), 4400, 0, "login refused"},
				{"wrong token", "/work", credentials{"mechanism": "BEARER", "tokens": []string{"another"}}, 4400, 0, "login refused"},
			} {
				t.Run(r.name, func(t *testing.T) {
					p.openOver(t, "DEALER", r.path, r.login).expectRefused(r.code, r.status, r.reason)
				})
			}
			t.Run("topic of another user", func(t *testing.T) {
				sub := p.openOver(t, "SUB", "/"+p.where+"/0", p.logins["PLAIN"], "house/bob/")
				sub.wait("ready")
				sub.expectRefused(4403, 0, "not permitted: subscribing to this topic")
			})
		})
	}
}

// testSharedLogin opens sockets of several types on several routes. One of them also has a
// connection of its own.
func (p *clientPlatform) testSharedLogin(t *testing.T) {
	c := p.logins["PLAIN"]
	sub := p.openOver(t, "SUB", fmt.Sprintf("/%s/0 %s/%[1]s/1", p.where, p.url), c, "house/alice/")
	sub.wait("ready")
	sub.wait("ready")
	for i, publisher := range p.publishers[p.where][:2] {
		publisher.expect("\x01house/alice/")
		publisher.send("house/alice/temperature", fmt.Sprint(i), "\u00ff\u0000")
		sub.expect("house/alice/temperature", fmt.Sprint(i), "\u00ff\u0000")
	}
	p.testDealerAndReq(t, c)
}

func (p *clientPlatform) testDealerAndReq(t *testing.T, c credentials) {
	dealer := p.openOver(t, "DEALER", "/work", c)
	dealer.wait("ready")
	req := p.openOver(t, "REQ", "/ask", c)
	req.wait("ready")
	big := strings.Repeat("0123456789", 30000) // larger than the windows of both sides
	for range 3 {
		dealer.send("square", "", big)
		p.expectEcho(dealer, "square", "", big)
	}
	req.send("what?")
	p.replier.expect("what?")
	p.replier.send("that")
	req.expect("that")
}

// expectEcho has the worker send back one message.
func (p *clientPlatform) expectEcho(dealer *socket, frames ...string) {
	dealer.t.Helper()
	m := p.worker.wait("message").Frames
	equal(dealer.t, m[1:], frames...)
	p.worker.send(m...)
	dealer.expect(frames...)
}

// testSlowSocket checks that a socket that nobody reads does not stall the others on its
// WebSocket. When it is read, it gets the oldest messages, which were on their way, and the newest.
func (p *clientPlatform) testSlowSocket(t *testing.T) {
	options := p.logins["PLAIN"].with(p.page)
	options["mux"], options["paused"] = p.url+"/work", true
	slow := p.process.open(t, command{Type: "SUB", Connect: "/" + p.where + "/raw", Subscribe: []string{"flood"}, Options: options})
	slow.wait("ready")
	publisher := p.publishers[p.where][2]
	publisher.expect("\x01flood")
	kilobyte := strings.Repeat("x", 1000)
	for i := range 3000 {
		publisher.send("flood", strconv.Itoa(i), kilobyte)
	}
	slow.wait("lost")
	slow.ignored = append(slices.Clone(slow.ignored), "lost")
	for i := range 99 {
		dealer := p.openOver(t, "DEALER", "/work", p.logins["PLAIN"])
		dealer.wait("ready")
		dealer.send(strconv.Itoa(i))
		p.expectEcho(dealer, strconv.Itoa(i))
	}
	p.process.write(command{Do: "read", Socket: slow.number})
	for i := range 200 { // of a window of 256 KiB
		slow.expect("flood", strconv.Itoa(i), kilobyte)
	}
	publisher.send("flood", "end")
	for last := 199; ; {
		frames := slow.wait("message").Frames
		if frames[1] == "end" {
			return
		}
		n, err := strconv.Atoi(frames[1])
		if err != nil || n <= last {
			t.Fatalf("%q after %d", frames[1], last)
		}
		last = n
	}
}

// TestClientMuxReconnects restarts the bridge: all sockets of a Mux reconnect.
func TestClientMuxReconnects(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, where := range []string{"node", "chromium", "firefox"} {
		t.Run(where, func(t *testing.T) {
			client := platform(t, where)
			h := newHome(t)
			h.pages()
			publisher, worker := libzmq.bind(t, "XPUB", nil), libzmq.bind(t, "ROUTER", nil)
			text := strings.Replace(allMechanisms, "[server]", "[server]\nstatic = \"www\"", 1) +
				routeAt("/live", "SUB", publisher.endpoint) + routeAt("/work", "DEALER", worker.endpoint)
			url, end := h.bridgeAt("127.0.0.1:0", text)
			options := withPassword("alice", secrets["alice"]).with("http" + strings.TrimPrefix(url, "ws"))
			options["mux"] = url + "live"
			sub := client.open(t, command{Type: "SUB", Connect: "/live", Subscribe: []string{"house/"}, Options: options})
			dealer := client.open(t, command{Type: "DEALER", Connect: "/work", Options: options})
			sub.wait("ready")
			dealer.wait("ready")
			publisher.expect("\x01house/")

			end()
			for _, s := range []*socket{sub, dealer} {
				if e := s.wait("disconnect"); e.Code != 1001 {
					t.Errorf("the client gets %d %q, want 1001", e.Code, e.Reason)
				}
				s.ignored = append(slices.Clone(s.ignored), "disconnect")
			}
			publisher.expect("\x00house/")
			h.bridgeAt(strings.Trim(strings.TrimPrefix(url, "ws:"), "/"), text)
			sub.wait("recovered")
			dealer.wait("recovered")
			publisher.expect("\x01house/")
			publisher.send("house/1", "21")
			sub.expect("house/1", "21")
			dealer.send("still here")
			equal(t, worker.wait("message").Frames[1:], "still here")
		})
	}
}

// byteCounter counts the bytes that pass a proxy.
type byteCounter struct {
	*proxy
	bytes atomic.Int64
}

func newByteCounter(t *testing.T, to string) *byteCounter {
	t.Helper()
	c := new(byteCounter)
	c.proxy = newProxy(t, to, c)
	return c
}

// Write adds the length of p.
func (c *byteCounter) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

// TestClientMuxLosesConnection resets the connection of a Mux: all its sockets reconnect.
func TestClientMuxLosesConnection(t *testing.T) {
	need(t, "npm", "python3-zmq")
	stage := newClientStage(t)
	proxy := newByteCounter(t, strings.TrimPrefix(stage.url, "wss://"))
	stage.page, stage.url = "https://"+proxy.address+"/", "wss://"+proxy.address
	for _, where := range []string{"node", "chromium", "firefox"} {
		t.Run(where, func(t *testing.T) {
			p := &clientPlatform{stage, where, platform(t, where)}
			all := []*socket{p.openOver(t, "DEALER", "/work", p.logins["PLAIN"]), p.openOver(t, "REQ", "/ask", p.logins["PLAIN"])}
			for _, s := range all {
				s.wait("ready")
			}
			proxy.cut()
			for _, s := range all {
				if e := s.wait("disconnect"); e.Code != 1006 {
					t.Errorf("the client gets %d %q, want 1006", e.Code, e.Reason)
				}
				s.wait("recovered")
			}
			all[0].send("back")
			p.expectEcho(all[0], "back")
		})
	}
}

// TestMuxCost counts the bytes that a further socket costs on the wire, TLS included.
func TestMuxCost(t *testing.T) {
	need(t, "npm", "python3-zmq")
	stage := newClientStage(t)
	proxy := newByteCounter(t, strings.TrimPrefix(stage.url, "wss://"))
	stage.url = "wss://" + proxy.address
	p := &clientPlatform{stage, "node", platform(t, "node")}
	login := p.logins["PLAIN"]
	dealer := p.openOver(t, "DEALER", "/work", login)
	dealer.wait("ready")
	// An answer proves that everything before it has arrived.
	measure := func(open func()) int64 {
		dealer.send("before")
		p.expectEcho(dealer, "before")
		before := proxy.bytes.Load()
		open()
		dealer.send("after")
		p.expectEcho(dealer, "after")
		return proxy.bytes.Load() - before
	}
	idle := measure(func() {})
	const sockets = 10
	further := (measure(func() {
		for range sockets {
			p.openOver(t, "SUB", "/node/0", login, "house/alice/").wait("ready")
		}
	}) - idle) / sockets
	if n := proxy.connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	own := measure(func() { p.open(t, "SUB", "/node/0", login, "house/alice/").wait("ready") }) - idle
	t.Logf("a further SUB with one subscription: %d bytes; on a connection of its own: %d", further, own)
	if further > 300 || further <= 0 || own < 5*further {
		t.Errorf("a further socket costs %d bytes, on a connection of its own %d", further, own)
	}
}

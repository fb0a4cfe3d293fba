//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
)

// platforms lists where the JavaScript client runs, without changes: all that zws/js/README.md
// names. "node" is the Node of the PATH with the WebSocket of npm's ws, "node22" has its own.
var platforms = []string{"node", "node22", "chromium", "chromium-worker", "firefox", "firefox-worker"}

// platform starts the JavaScript client on one of them.
func platform(t *testing.T, where string) *process {
	t.Helper()
	program, _, _ := strings.Cut(where, "-")
	switch program {
	case "node":
		need(t, "npm")
		return start(t, "zws.mjs", where)
	case "node22":
		return startWith(t, node22(t), "zws.mjs", where)
	}
	return start(t, "zws.mjs", where, executableOf(t, program))
}

// node22 returns the executable of Node 22, which npm installs. It skips the test without it.
func node22(t *testing.T) string {
	t.Helper()
	need(t, "npm", "node22")
	if path := os.Getenv("NODE22"); path != "" {
		return path
	}
	found, err := filepath.Glob("node_modules/node-linux-*/bin/node")
	if err != nil || len(found) == 0 {
		t.Fatalf("npm has not installed Node 22 for this machine: set NODE22 to its executable (%v)", err)
	}
	return found[0]
}

// executableOf returns the executable of chromium or firefox. It skips the test without it.
func executableOf(t *testing.T, name string) string {
	t.Helper()
	need(t, "npm", name)
	if path := os.Getenv(strings.ToUpper(name)); path != "" {
		return path
	}
	path, err := exec.LookPath(map[string]string{"chromium": "chromium", "firefox": "firefox-esr"}[name])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// pages writes the files that the bridge serves beside its own /zws.js.
func (h *home) pages() {
	h.t.Helper()
	h.mkdir("www")
	for _, name := range []string{"index.html", "page.js", "worker.js", "driver.js", "json.js"} {
		text, err := os.ReadFile(filepath.Join("peers", "zws", name))
		if err != nil {
			h.t.Fatal(err)
		}
		h.write("www/"+name, string(text))
	}
}

// clientPortal is the start of a configuration that serves the JavaScript client and accepts every
// kind of login.
const clientPortal = `
[server]
listen = "127.0.0.1:0"
tls = "self-signed"
static = "www"
curve_cert = "server"
max_failures = 1000
[zap]
chain = [ { authn = "users" }, { authn = "central" }, { authn = "guests" }, { authn = "controllers" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.central]
type = "zap"
endpoint = %q
[auth.guests]
type = "anonymous"
[auth.controllers]
type = "curve"
dir = "controllers"
`

// credentials are options of a socket of the JavaScript client.
type credentials map[string]any

func (l credentials) with(page string) map[string]any {
	o := map[string]any{"page": page}
	for k, v := range l {
		o[k] = v
	}
	return o
}

func withPassword(user, secret string) credentials {
	return credentials{"mechanism": "PLAIN", "username": user, "password": secret}
}

func withKey(own *certs.Certificate, server *certs.Certificate) credentials {
	return credentials{"mechanism": "CURVE", "keys": map[string]string{
		"publicKey": certs.EncodeKey(own.Public),
		"secretKey": certs.EncodeKey(own.Secret),
		"serverKey": certs.EncodeKey(server.Public),
	}}
}

// maybe400 is the status of an ERROR that arrives together with the upgrade and a close frame:
// Firefox always shows a page the code and the reason, but not always the message before them.
const maybe400 = -400

// expectRefused waits until the client reports that it is refused for good, by an event and to
// the reader.
func (s *socket) expectRefused(code, status int, reason string) {
	s.t.Helper()
	e := s.wait("refused")
	if status == maybe400 {
		status = e.Status
	}
	if e.Code != code || e.Status != status || e.Reason != reason {
		s.t.Errorf("refused with %d %q, status %d; want %d %q, status %d", e.Code, e.Reason, e.Status, code, reason, status)
	}
	if e := s.wait("ended"); e.Code != code || e.Reason != reason {
		s.t.Errorf("the reader gets %d %q, want %d %q", e.Code, e.Reason, code, reason)
	}
}

// clientStage is zwsbridge serve, over TLS, with backends for every socket type of the
// JavaScript client.
type clientStage struct {
	page, url                     string
	publishers                    map[string][]*socket // by platform
	worker, replier, sink, source *socket
	logins                        map[string]credentials // valid ones, by mechanism
	stranger                      credentials
}

func newClientStage(t *testing.T) *clientStage {
	h := newHome(t)
	h.pages()
	pyzmq, libzmq := start(t, "pyzmq.py"), start(t, "libzmq.mjs")
	central := start(t, "zaphandler.py").open(t, command{Type: "ROUTER", Bind: "ipc://" + h.path("zap.sock"),
		Options: map[string]any{"tokens": map[string]string{"token-of-alice": "alice"}}})
	refusing := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}})
	s := &clientStage{
		publishers: make(map[string][]*socket),
		worker:     libzmq.bind(t, "ROUTER", nil),
		replier:    libzmq.bind(t, "REP", nil),
		sink:       libzmq.bind(t, "PULL", nil),
		source:     libzmq.bind(t, "PUSH", nil),
		logins: map[string]credentials{
			"NULL":   nil,
			"PLAIN":  withPassword("alice", secrets["alice"]),
			"BEARER": {"mechanism": "BEARER", "tokens": []string{"token-of-alice"}},
			"CURVE":  withKey(h.controller, h.server),
		},
		stranger: withKey(h.cert("stranger"), h.server),
	}
	text := fmt.Sprintf(clientPortal, central.endpoint) +
		routeAt("/work", "DEALER", s.worker.endpoint, anyMechanism) +
		routeAt("/ask", "REQ", s.replier.endpoint) +
		routeAt("/put", "PUSH", s.sink.endpoint) +
		routeAt("/take", "PULL", s.source.endpoint) +
		routeAt("/remote", "DEALER", refusing.endpoint, `mechanism = "PLAIN"`, `credentials = "client"`)
	// Each platform has publishers of its own, because the bridge keeps subscriptions for a while
	// after the last client has left.
	for _, where := range platforms {
		for range 3 {
			s.publishers[where] = append(s.publishers[where], libzmq.bind(t, "XPUB", nil))
		}
		own := `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`
		text += routeAt("/"+where+"/0", "SUB", s.publishers[where][0].endpoint, own) +
			routeAt("/"+where+"/1", "SUB", s.publishers[where][1].endpoint, own) +
			routeAt("/"+where+"/raw", "XSUB", s.publishers[where][2].endpoint)
	}
	address := h.serve(text).address
	s.page, s.url = "https://"+address+"/", "wss://"+address
	return s
}

// clientPlatform is the JavaScript client on one platform.
type clientPlatform struct {
	*clientStage
	where   string
	process *process
}

// open opens a socket that connects to each of the paths.
func (p *clientPlatform) open(t *testing.T, socketType, paths string, c credentials, subscribe ...string) *socket {
	t.Helper()
	var urls []string
	for path := range strings.FieldsSeq(paths) {
		urls = append(urls, p.url+path)
	}
	return p.process.open(t, command{Type: socketType, Connect: strings.Join(urls, " "), Subscribe: subscribe, Options: c.with(p.page)})
}

// TestClient runs the JavaScript client on each platform, with fewer tests in workers.
func TestClient(t *testing.T) {
	need(t, "npm", "python3-zmq")
	stage := newClientStage(t)
	for _, where := range platforms {
		t.Run(where, func(t *testing.T) {
			p := &clientPlatform{stage, where, platform(t, where)}
			t.Run("SUB of two URLs", p.testSubscribe)
			for mechanism, c := range p.logins {
				t.Run("DEALER by "+mechanism, func(t *testing.T) { p.testDealer(t, c) })
			}
			t.Run("topic of another user", p.testForbiddenTopic)
			if strings.HasSuffix(where, "worker") {
				return
			}
			t.Run("XSUB", p.testXSUB)
			t.Run("REQ", p.testReq)
			t.Run("PUSH and PULL", p.testPushPull)
			for _, r := range p.refusals() {
				t.Run(r.name, func(t *testing.T) {
					p.open(t, "DEALER", r.path, r.login).expectRefused(r.code, r.status, r.reason)
				})
			}
		})
	}
}

func (p *clientPlatform) testSubscribe(t *testing.T) {
	sub := p.open(t, "SUB", "/"+p.where+"/0 /"+p.where+"/1", p.logins["PLAIN"], "house/alice/")
	sub.wait("ready")
	sub.wait("ready")
	for i, publisher := range p.publishers[p.where][:2] {
		publisher.expect("\x01house/alice/")
		publisher.send("house/bob/temperature", "17")
		publisher.send("house/alice/temperature", fmt.Sprint(i), "\u00ff\u0000")
		sub.expect("house/alice/temperature", fmt.Sprint(i), "\u00ff\u0000")
	}
}

func (p *clientPlatform) testForbiddenTopic(t *testing.T) {
	sub := p.open(t, "SUB", "/"+p.where+"/0", p.logins["PLAIN"], "house/bob/")
	sub.wait("ready")
	sub.expectRefused(4403, 0, "not permitted: subscribing to this topic")
}

func (p *clientPlatform) testXSUB(t *testing.T) {
	publisher := p.publishers[p.where][2]
	xsub := p.open(t, "XSUB", "/"+p.where+"/raw", p.logins["PLAIN"])
	xsub.wait("ready")
	xsub.send("\x01weather")
	publisher.expect("\x01weather")
	publisher.send("weather", "rain")
	xsub.expect("weather", "rain")
}

func (p *clientPlatform) testDealer(t *testing.T, c credentials) {
	dealer := p.open(t, "DEALER", "/work", c)
	dealer.wait("ready")
	big := strings.Repeat("0123456789", 30000) // browsers send it in fragments
	dealer.send("square", "", big)
	m := p.worker.wait("message").Frames
	equal(t, m[1:], "square", "", big)
	p.worker.send(m[0], "done", "", big)
	dealer.expect("done", "", big)
}

func (p *clientPlatform) testReq(t *testing.T) {
	req := p.open(t, "REQ", "/ask", p.logins["PLAIN"])
	req.wait("ready")
	for _, question := range []string{"what?", "and then?"} {
		req.send(question, "")
		p.replier.expect(question, "")
		p.replier.send("that", question)
		req.expect("that", question)
	}
}

func (p *clientPlatform) testPushPull(t *testing.T) {
	push := p.open(t, "PUSH", "/put", p.logins["PLAIN"])
	push.send("before it is ready")
	push.wait("ready")
	p.sink.expect("before it is ready")
	pull := p.open(t, "PULL", "/take", p.logins["PLAIN"])
	pull.wait("ready")
	p.source.send("a", "b")
	pull.expect("a", "b")
}

// clientRefusal is a login that is refused, and what the page is told.
type clientRefusal struct {
	name, path   string
	login        credentials
	code, status int
	reason       string
}

func (p *clientPlatform) refusals() []clientRefusal {
	return []clientRefusal{
		{"wrong password", "/work", withPassword("alice", "guessed"), 4400, 400, "login refused"},
		{"wrong token", "/work", credentials{"mechanism": "BEARER", "tokens": []string{"another"}}, 4400, 400, "login refused"},
		{"unknown key", "/work", p.stranger, 4400, 400, "login refused"},
		{"login missing", "/remote", nil, 4400, maybe400, "authentication required"},
		{"unsupported mechanism", "/remote", p.logins["BEARER"], 4406, 400, "this route does not accept BEARER logins"},
		{"refused by the backend", "/remote", p.logins["PLAIN"], 4502, 400, "backend 1 refused the login (400)"},
		{"no route", "/nowhere", p.logins["PLAIN"], 4404, 400, "unknown route"},
	}
}

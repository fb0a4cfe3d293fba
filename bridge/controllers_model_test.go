package bridge_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// How the clients of a route reach its backends.
const (
	byConnect = "connect" // each client has connections of its own
	byShare   = "share"   // clients share the connections that the bridge makes
	byBind    = "bind"    // backends connect to the bridge
)

// hearing is a row of the table: the types on both sides of a route, and the ways that its
// socket type has.
type hearing struct {
	socket, client, backend zmtp.SocketType
	ways                    []string
}

var hearings = []hearing{
	{zmtp.SUB, zmtp.SUB, zmtp.PUB, []string{byConnect, byShare, byBind}},
	{zmtp.XSUB, zmtp.XSUB, zmtp.XPUB, []string{byConnect, byShare, byBind}},
	{zmtp.DEALER, zmtp.DEALER, zmtp.ROUTER, []string{byConnect, byShare, byBind}},
	{zmtp.REQ, zmtp.REQ, zmtp.REP, []string{byConnect, byShare, byBind}},
	{zmtp.ROUTER, zmtp.DEALER, zmtp.DEALER, []string{byConnect, byBind}},
	{zmtp.REP, zmtp.REP, zmtp.REQ, []string{byConnect}},
	{zmtp.PUSH, zmtp.PUSH, zmtp.PULL, []string{byConnect, byBind}},
	{zmtp.PULL, zmtp.PULL, zmtp.PUSH, []string{byConnect, byBind}},
	{zmtp.PUB, zmtp.PUB, zmtp.SUB, []string{byConnect, byBind}},
	{zmtp.XPUB, zmtp.XPUB, zmtp.XSUB, []string{byConnect, byBind}},
	{zmtp.PAIR, zmtp.PAIR, zmtp.PAIR, []string{byConnect}},
}

// own is the controller of each person, whose topics are the person's: mallory and evil are
// hostile to the others.
var own = map[string]string{"alice": "stove", "bob": "lamp", "mallory": "evil"}

var (
	persons     = []string{"alice", "bob", "mallory"}
	controllers = []string{"stove", "lamp", "evil"}
)

// hearsUnasked is the model: whether a client hears a message under the topic of a person that
// a controller sends on each of its connections without having been asked.
func (h *hearing) hearsUnasked(way, client, controller, person string) bool {
	if way == byBind && own[person] != controller { // bind_allow
		return false
	}
	switch h.socket {
	case zmtp.SUB, zmtp.XSUB, zmtp.PULL, zmtp.REP, zmtp.PAIR:
		return client == person
	case zmtp.XPUB:
		return true
	case zmtp.ROUTER:
		return way == byConnect || own[client] == controller // who may send to it
	case zmtp.DEALER:
		return way == byConnect
	}
	return false
}

// getsSent is the model: how many of its connections bring a controller the message that a
// person sends; -1 if one of all controllers gets it.
func (h *hearing) getsSent(way, controller, person string) int {
	switch h.socket {
	case zmtp.XSUB, zmtp.PAIR:
		return 1
	case zmtp.PUB, zmtp.XPUB:
		if way == byConnect || own[person] == controller {
			return 1
		}
	case zmtp.ROUTER:
		if own[person] == controller {
			return 1
		}
	case zmtp.DEALER, zmtp.REQ, zmtp.PUSH:
		return -1
	}
	return 0
}

func (h *hearing) answers() bool {
	return h.socket == zmtp.DEALER || h.socket == zmtp.REQ || h.socket == zmtp.ROUTER
}

// controllers returns who takes part: a PAIR has one backend.
func (h *hearing) controllers() []string {
	if h.socket == zmtp.PAIR {
		return controllers[:1]
	}
	return controllers
}

// house is a bridge with its clients and controllers, and what they have heard.
type house struct {
	*hearing
	way     string
	t       *testing.T
	clients map[string]*zws.Client
	running sync.WaitGroup

	mu    sync.Mutex
	conns map[string][]*zmtp.Conn // of each controller
	heard map[string][]string     // by each client; frames joined by |
	got   map[string][]string     // by each controller
}

// TestWhoHearsWhom compares what clients and controllers hear of each other with the model.
func TestWhoHearsWhom(t *testing.T) {
	for _, h := range hearings {
		for _, way := range h.ways {
			t.Run(fmt.Sprintf("%s by %s", h.socket, way), func(t *testing.T) {
				newHouse(t, &h, way).test()
			})
		}
	}
}

func newHouse(t *testing.T, row *hearing, way string) *house {
	h := &house{hearing: row, way: way, t: t, clients: make(map[string]*zws.Client),
		conns: make(map[string][]*zmtp.Conn), heard: make(map[string][]string), got: make(map[string][]string)}
	t.Cleanup(h.running.Wait)
	endpoint := unusedEndpoint(t)
	url, _ := startIn(t, func(dir string) string {
		if way == byBind {
			return controllersConfig(t, dir, h.socket, endpoint, h.allow(), `ready = "none"`, `bind_allow = [
				{ user = "*", publish = ["answer/"] },
				{ user = "stove", publish = ["alice/"], subscribe = ["alice/"] },
				{ user = "lamp", publish = ["bob/"], subscribe = ["bob/"] },
				{ user = "evil", publish = ["mallory/"], subscribe = ["mallory/"] } ]`)
		}
		writeUsers(t, filepath.Join(dir, "people"), persons...)
		return h.connecting()
	})
	if way == byBind {
		for _, name := range h.controllers() {
			c := controller(t, endpoint, name, h.backend)
			h.running.Go(func() { h.serve(name, c) })
		}
	}
	for _, name := range persons {
		c := person(t, url, name, h.client)
		h.clients[name] = c
		h.running.Go(func() { h.listenAs(name, c) })
	}
	return h
}

func (h *house) allow() string {
	if h.socket == zmtp.ROUTER {
		return `allow = [{ user = "alice", send = ["stove"] }, { user = "bob", send = ["lamp"] }, { user = "mallory", send = ["evil"] }]`
	}
	return `allow = [{ user = "*", subscribe = ["{user}/"], send = ["{user}/"] }]`
}

// connecting returns a configuration with the route /c to controllers that listen.
func (h *house) connecting() string {
	mechanism, lines := zap.NULL, h.allow()+"\nready = \"all\"\n"
	switch {
	case h.way == byShare && h.answers():
		lines += "share = \"requests\"\n"
	case h.way == byConnect && h.socket.Subscribes():
		mechanism, lines = zap.PLAIN, lines+"credentials = \"client\"\n"
	}
	var endpoints []string
	for _, name := range h.controllers() {
		l, err := zmtp.Listen("tcp://127.0.0.1:0", mechanism, nativeSecurity(always(zap.OK)),
			zmtp.ListenOptions{Options: zmtp.Options{SocketType: h.backend, RoutingID: []byte(name)}})
		must(h.t, err)
		h.running.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				h.running.Go(func() { h.serve(name, c) })
			}
		})
		h.t.Cleanup(func() { l.Close() })
		endpoints = append(endpoints, fmt.Sprintf("%q", l.Endpoint()))
	}
	return fmt.Sprintf("[zap]\ntimeout = \"1m\"\nchain = [ { authn = \"people\" } ]\n[auth.people]\ntype = \"htpasswd\"\nfile = \"people\"\n"+
		"[[route]]\npath = \"/c\"\nsocket = %q\nconnect = [%s]\n%s", h.socket, strings.Join(endpoints, ", "), lines)
}

// serve notes what a controller gets on one of its connections, and answers requests.
func (h *house) serve(name string, c *zmtp.Conn) {
	defer c.Close()
	h.mu.Lock()
	h.conns[name] = append(h.conns[name], c)
	h.mu.Unlock()
	if h.backend == zmtp.SUB || h.backend == zmtp.XSUB {
		for _, person := range persons {
			if c.Subscribe([]byte(person+"/")) != nil {
				return
			}
		}
	}
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return
		}
		text := texts(m)
		h.mu.Lock()
		h.got[name] = append(h.got[name], strings.Join(text, "|"))
		h.mu.Unlock()
		if !h.answers() {
			continue
		}
		// Everything before the topic stands before the answer. An envelope begins with 00,
		// and its last byte may be any.
		before := m[:slices.IndexFunc(text, func(f string) bool { return strings.HasSuffix(f, "/") && f[0] != 0 })]
		if c.Write(append(slices.Clone(before), []byte("answer/"))) != nil {
			return
		}
	}
}

// listenAs notes what a client hears.
func (h *house) listenAs(name string, c *zws.Client) {
	for {
		m, err := c.Recv(context.Background())
		if err != nil {
			return
		}
		h.mu.Lock()
		h.heard[name] = append(h.heard[name], strings.Join(texts(m), "|"))
		h.mu.Unlock()
	}
}

// settle waits until the two maps are as wanted, and a little longer for what should not come.
func (h *house) settle(ready func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		done := ready()
		h.mu.Unlock()
		if done {
			break
		}
	}
	time.Sleep(30 * time.Millisecond)
}

func (h *house) test() {
	h.subscribe()
	h.testUnasked()
	h.testSent()
	for _, c := range h.clients {
		c.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, conns := range h.conns {
		for _, c := range conns {
			c.Close()
		}
	}
}

// subscribe has clients or controllers subscribe, and waits until the others know.
func (h *house) subscribe() {
	publishing := h.socket == zmtp.PUB || h.socket == zmtp.XPUB
	if h.socket.Subscribes() {
		for name, c := range h.clients {
			must(h.t, c.Subscribe(h.t.Context(), []byte(name+"/")))
		}
	}
	connections := len(h.controllers())
	if h.way == byConnect {
		connections *= len(persons)
	}
	h.settle(func() bool {
		n, known := 0, true
		for _, name := range h.controllers() {
			n += len(h.conns[name])
			if h.socket.Subscribes() {
				known = known && len(h.got[name]) >= len(persons)
			}
		}
		for _, name := range persons {
			known = known && (!publishing || len(h.heard[name]) >= len(persons))
		}
		return n == connections && known
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.heard)
	clear(h.got)
}

// testUnasked has each controller send a message under the topic of each person.
func (h *house) testUnasked() {
	if h.socket == zmtp.PUB || h.socket == zmtp.PUSH {
		return // their backends only receive
	}
	want := make(map[string][]string)
	for _, name := range h.controllers() {
		for _, topic := range persons {
			frames := []string{topic + "/", name}
			if h.backend == zmtp.REQ {
				frames = append([]string{""}, frames...)
			}
			for _, c := range h.conns[name] {
				must(h.t, c.Write(message(frames...)))
			}
			if h.socket == zmtp.ROUTER {
				frames = append([]string{name}, frames...)
			}
			for _, client := range persons {
				if h.hearsUnasked(h.way, client, name, topic) {
					want[client] = append(want[client], strings.Join(frames, "|"))
				}
			}
		}
	}
	h.settle(func() bool { return sizes(h.heard) >= sizes(want) })
	h.compare("clients heard unasked", h.heard, want)
}

// testSent has each person send a message, and controllers answer where the type has answers.
func (h *house) testSent() {
	if h.socket == zmtp.SUB || h.socket == zmtp.PULL || h.socket == zmtp.REP {
		return
	}
	want, answers, anyone := make(map[string][]string), make(map[string][]string), 0
	for _, name := range persons {
		frames := []string{name + "/", "sent"}
		text := strings.Join(frames, "|")
		answer := "answer/"
		switch h.socket {
		case zmtp.REQ:
			frames, answer = append([]string{""}, frames...), "|answer/"
		case zmtp.ROUTER:
			frames, answer = append([]string{own[name]}, frames...), own[name]+"|answer/"
		}
		must(h.t, h.clients[name].Send(h.t.Context(), message(frames...)))
		for _, c := range h.controllers() {
			switch n := h.getsSent(h.way, c, name); {
			case n > 0:
				want[c] = append(want[c], text)
			case n < 0 && c == h.controllers()[0]:
				anyone++
			}
		}
		if h.answers() {
			answers[name] = []string{answer}
		}
	}
	h.settle(func() bool { return sizes(h.got) >= sizes(want)+anyone && sizes(h.heard) >= sizes(answers) })
	if anyone > 0 {
		if n := sizes(h.got); n != anyone {
			h.t.Errorf("%d messages reached controllers, want %d: %q", n, anyone, h.got)
		}
	} else {
		h.compare("controllers got", h.got, want)
	}
	h.compare("clients heard as answers", h.heard, answers)
}

func sizes(m map[string][]string) (n int) {
	for _, list := range m {
		n += len(list)
	}
	return n
}

// compare reports the differences between what was noted and the model, and forgets the notes.
func (h *house) compare(what string, noted, want map[string][]string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range []map[string][]string{noted, want} {
		for _, list := range m {
			slices.Sort(list)
		}
	}
	if d := cmp.Diff(want, noted); d != "" {
		h.t.Errorf("%s (-want +got):\n%s", what, d)
	}
	clear(noted)
}

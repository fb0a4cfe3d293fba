//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// killedPageConfig is a bridge at an address of its own, which keeps what /kept publishes in files.
const killedPageConfig = `
[server]
listen = %q
tls = "off"
static = "www"
handshake_timeout = "1m"
[zap]
timeout = "1m"
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
[history]
store = "file"
dir = "history"
sync = "0s"
`

// expectInAnyOrder waits for messages of one frame.
func (s *socket) expectInAnyOrder(frames ...string) {
	s.t.Helper()
	var got []string
	for range frames {
		got = append(got, s.wait("message").Frames...)
	}
	slices.Sort(got)
	equal(s.t, got, frames...)
}

// TestKillBridgeUnderPage kills the bridge with SIGKILL while a page has sockets on connections of
// their own and on a Mux. Each is told by an event that the connection was lost, a request that has no
// reply yet is rejected, and after the restart all come back by themselves: a socket with a history
// misses nothing.
func TestKillBridgeUnderPage(t *testing.T) {
	for _, where := range []string{"chromium", "firefox"} {
		t.Run(where, func(t *testing.T) {
			client, libzmq := platform(t, where), start(t, "libzmq.mjs")
			kept, live := libzmq.bind(t, "XPUB", nil), libzmq.bind(t, "XPUB", nil)
			worker, replier := libzmq.bind(t, "ROUTER", nil), libzmq.bind(t, "ROUTER", nil)
			h := newHome(t)
			h.pages()
			address := strings.TrimPrefix(freePort(t), "tcp://")
			h.write("bridge.toml", fmt.Sprintf(killedPageConfig, address)+
				routeAt("/kept", "SUB", kept.endpoint, `client_mechanisms = ["NULL"]`)+"[route.history]\ntopics = [\"house/\"]\n"+
				routeAt("/live", "SUB", live.endpoint, `client_mechanisms = ["NULL"]`)+
				routeAt("/work", "DEALER", worker.endpoint, `client_mechanisms = ["NULL"]`)+
				routeAt("/ask", "REQ", replier.endpoint, `client_mechanisms = ["NULL"]`))
			binary := h.build()
			p := h.run(binary)

			page, url := "http://"+address+"/", "ws://"+address
			alone := credentials{}.with(page)
			overMux := credentials{"mux": url + "/live"}.with(page)
			withHistory := credentials{"history": true}.with(page)
			open := func(socketType, connect string, options map[string]any, topics ...string) *socket {
				s := client.open(t, command{Type: socketType, Connect: connect, Subscribe: topics, Options: options})
				s.wait("ready")
				return s
			}
			keeper := open("SUB", url+"/kept", withHistory, "house/")
			kept.expect("\x01house/")
			sub := open("SUB", url+"/live", alone, "a/")
			live.expect("\x01a/")
			muxed := open("SUB", "/live", overMux, "b/")
			live.expect("\x01b/")
			dealer := open("DEALER", "/work", overMux)
			req := open("REQ", url+"/ask", alone)
			all := []*socket{keeper, sub, muxed, dealer, req}

			kept.send("house/t", "1")
			if got := keeper.wait("message").Frames; !slices.Equal(got, []string{"house/t", "1"}) {
				t.Fatalf("received %q", got)
			}
			live.send("a/1", "before")
			sub.expect("a/1", "before")
			live.send("b/1", "before")
			muxed.expect("b/1", "before")
			req.send("a question")
			replier.wait("message")

			p.kill()
			for _, s := range all {
				if e := s.wait("disconnect"); e.Code != 1006 || e.Reason == "" {
					t.Errorf("the page is told %d %q, want 1006 with a reason", e.Code, e.Reason)
				}
				s.ignored = append(slices.Clone(s.ignored), "disconnect") // of attempts until the restart
			}
			if e := req.wait("rejected"); e.Error != "SocketError ELOST" {
				t.Errorf("the request is rejected with %q, want ELOST", e.Error)
			}
			live.expectInAnyOrder("\x00a/", "\x00b/")
			kept.expect("\x00house/")

			h.run(binary)
			live.expectInAnyOrder("\x01a/", "\x01b/")
			kept.expect("\x01house/")
			for _, s := range all {
				if s == keeper {
					s.ignored = append(s.ignored, "resumed")
				}
				s.wait("recovered")
			}
			kept.send("house/t", "2")
			keeper.expect("house/t", "2")
			live.send("a/1", "after")
			sub.expect("a/1", "after")
			live.send("b/1", "after")
			muxed.expect("b/1", "after")
			dealer.send("still here")
			equal(t, worker.wait("message").Frames[1:], "still here")
			req.send("another question")
			asked := replier.wait("message").Frames
			replier.send(asked[0], "", "an answer")
			req.expect("an answer")
		})
	}
}

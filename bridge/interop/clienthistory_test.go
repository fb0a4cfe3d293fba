//go:build interop

package interop

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// cable passes TCP connections on to an address, until it is cut.
type cable struct {
	t       *testing.T
	address string // of its own
	to      string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{t: t, address: l.Addr().String(), to: to, conns: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		l.Close()
		c.set(true)
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(conn)
		}
	}()
	return c
}

func (c *cable) carry(conn net.Conn) {
	other, err := net.Dial("tcp", c.to)
	if err != nil {
		conn.Close()
		return
	}
	c.mu.Lock()
	c.conns[conn], c.conns[other] = true, true
	c.mu.Unlock()
	c.set(c.isCut())
	for _, end := range [][2]net.Conn{{conn, other}, {other, conn}} {
		go func() {
			_, _ = io.Copy(end[0], end[1])
			conn.Close()
			other.Close()
		}()
	}
}

func (c *cable) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// set cuts the cable, which closes all connections, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut = cut; !cut {
		return
	}
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

// TestClientHistory cuts the connection of the JavaScript client, and reloads the page: it gets
// every message once, and last values when it asks for them.
func TestClientHistory(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, name := range []string{
		"node with CURVE", "node with PLAIN over a Mux", "chromium with CURVE", "firefox with PLAIN over a Mux",
	} {
		t.Run(name, func(t *testing.T) {
			where, login, _ := strings.Cut(name, " with ")
			login, _, overMux := strings.Cut(login, " ")
			client := platform(t, where)
			h := newHome(t)
			h.pages()
			publisher := libzmq.bind(t, "XPUB", nil)
			url := h.bridge(strings.Replace(allMechanisms, "[server]", "[server]\nstatic = \"www\"", 1) +
				routeAt("/kept", "SUB", publisher.endpoint, anyMechanism) + "[route.history]\ntopics = [\"house/\"]\n")
			direct := strings.Trim(strings.TrimPrefix(url, "ws:"), "/")
			wire := newCable(t, direct)
			publisher.expect("\x01house/")

			open := func(address string, more credentials) *socket {
				options := withPassword("alice", secrets["alice"])
				if login == "CURVE" {
					options = withKey(h.controller, h.server)
				}
				o := command{Type: "SUB", Connect: "ws://" + address + "/kept", Subscribe: []string{"house/"},
					Options: options.with("http://" + address + "/")}
				o.Options["history"] = true
				for k, v := range more {
					o.Options[k] = v
				}
				if overMux {
					o.Connect, o.Options["mux"] = "/kept", o.Connect
				}
				s := client.open(t, o)
				s.ignored = []string{"disconnect", "recovered"}
				s.wait("ready")
				return s
			}
			expect := func(s *socket, value string, replayed bool) (position string) {
				t.Helper()
				e := s.wait("message")
				if e.Frames[1] != value || e.Replayed != replayed || e.Position == "" {
					t.Fatalf("message %+v, want %s, replayed: %v", e, value, replayed)
				}
				return e.Position
			}
			expectResumed := func(s *socket, recovered bool) {
				t.Helper()
				if e := s.wait("resumed"); e.Recovered != recovered || e.Gap {
					t.Errorf("event %+v, want recovered: %v", e, recovered)
				}
			}

			last := credentials{"last": true}
			first := open(direct, last)
			publisher.send("house/1", "0")
			first.expect("house/1", "0") // live, or as the last value
			sub, other := open(wire.address, last), open(direct, last)
			expect(sub, "0", true)
			expect(other, "0", true)
			publisher.send("house/1", "1")
			expect(sub, "1", false)
			expect(other, "1", false)
			wire.set(true)
			sub.wait("disconnect")
			publisher.send("house/1", "2")
			publisher.send("house/1", "3")
			expect(other, "2", false)
			expect(other, "3", false)
			wire.set(false)
			expectResumed(sub, true)
			stored := expect(sub, "2", true)
			expect(sub, "3", true)
			publisher.send("house/1", "4")
			expect(sub, "4", false)
			expect(other, "4", false)

			reloaded := open(wire.address, credentials{"position": stored})
			expectResumed(reloaded, true)
			expect(reloaded, "3", true)
			expect(reloaded, "4", true)
			publisher.send("house/1", "5")
			expect(reloaded, "5", false)
			expect(open(direct, last), "5", true)
			lost := open(wire.address, credentials{"position": "AAAA"})
			expectResumed(lost, false)
			expect(lost, "0", true)
		})
	}
}

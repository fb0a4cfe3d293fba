//go:build interop

package interop

import (
	"context"
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// controllersHome is a bridge that pyzmq controllers with the users installer and other connect
// to, and alice and bob.
type controllersHome struct {
	t        *testing.T
	url      string
	endpoint string
	peer     *process
}

func newControllersHome(t *testing.T, peer *process, socket, lines string) *controllersHome {
	h := newInboundHome(t)
	if err := htpasswd.Set(h.path("installers.htpasswd"), "other", "known"); err != nil {
		t.Fatal(err)
	}
	endpoint := overIPC(t, h)
	return &controllersHome{t, h.bridge(inboundDomain + bound(socket, endpoint, "PLAIN") + lines), endpoint, peer}
}

// connect connects a controller, whose routing id is its user unless id is given.
func (h *controllersHome) connect(user, id, as string, subscribe ...string) *socket {
	o := password(user, "known")
	o["routing_id"] = id
	return h.peer.open(h.t, command{Type: as, Connect: h.endpoint, Options: o, Subscribe: subscribe})
}

func (h *controllersHome) client(user string, as zmtp.SocketType) *zws.Client {
	h.t.Helper()
	c, err := zws.Dial(h.t.Context(), h.url, zws.DialOptions{SocketType: as,
		Security: zmtp.Plain{User: user, Password: secrets[user]}, HandshakeTimeout: patience})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

func (h *controllersHome) send(c *zws.Client, frames ...string) {
	h.t.Helper()
	m := make(zmtp.Message, len(frames))
	for i, f := range frames {
		m[i] = []byte(f)
	}
	if err := c.Send(h.t.Context(), m); err != nil {
		h.t.Fatal(err)
	}
}

func (h *controllersHome) hears(c *zws.Client, frames ...string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	m, err := c.Recv(ctx)
	got := make([]string, len(m))
	for i, f := range m {
		got[i] = string(f)
	}
	if err != nil || !slices.Equal(got, frames) {
		h.t.Fatalf("got %q, %v, want %q", got, err, frames)
	}
}

// TestPyzmqControllers checks with libzmq's sockets whose answer, name and topic is whose.
func TestPyzmqControllers(t *testing.T) {
	need(t, "python3-zmq")
	peer := start(t, "pyzmq.py")
	const ownTopics = "allow = [{ user = \"*\", subscribe = [\"{user}/\"], send = [\"#\"] }]\n"
	t.Run("ROUTER", func(t *testing.T) {
		h := newControllersHome(t, peer, "ROUTER", "")
		dealer := h.connect("installer", "installer/1", "DEALER")
		alice, bob := h.client("alice", zmtp.DEALER), h.client("bob", zmtp.DEALER)
		h.send(alice, "installer/1", "a?")
		dealer.expect("a?")
		h.send(bob, "installer/1", "b?")
		dealer.send("a!")
		h.hears(alice, "installer/1", "a!")
		dealer.expect("b?")
		dealer.send("b!")
		h.hears(bob, "installer/1", "b!")
		evil := h.connect("other", "installer/1", "DEALER")
		if e := evil.wait("handshake:error:auth"); e.Status != 400 {
			t.Errorf("status %d, want 400", e.Status)
		}
	})
	t.Run("ROUTER with envelopes", func(t *testing.T) {
		h := newControllersHome(t, peer, "ROUTER", "envelope = \"frame\"\n")
		dealer := h.connect("installer", "installer", "DEALER")
		alice, bob := h.client("alice", zmtp.DEALER), h.client("bob", zmtp.DEALER)
		h.send(alice, "installer", "a?")
		ofAlice := dealer.wait("message").Frames
		h.send(bob, "installer", "b?")
		ofBob := dealer.wait("message").Frames
		dealer.send(ofBob[0], "b!")
		dealer.send(ofAlice[0], "a!")
		h.hears(alice, "installer", "a!")
		h.hears(bob, "installer", "b!")
	})
	for _, socket := range []string{"DEALER", "REQ"} {
		t.Run(socket, func(t *testing.T) {
			h := newControllersHome(t, peer, socket, "")
			rep := h.connect("installer", "installer", "REP")
			alice, bob := h.client("alice", zmtp.REQ), h.client("bob", zmtp.REQ)
			h.send(alice, "", "a?")
			h.send(bob, "", "b?")
			answers := map[string]*zws.Client{"a?": alice, "b?": bob}
			for range 2 {
				question := rep.wait("message").Frames[0]
				rep.send(question + "!")
				h.hears(answers[question], "", question+"!")
			}
		})
	}
	t.Run("PULL", func(t *testing.T) {
		h := newControllersHome(t, peer, "PULL", ownTopics)
		push := h.connect("installer", "", "PUSH")
		alice := h.client("alice", zmtp.PULL)
		for _, job := range []string{"bob/1", "alice/1", "alice/2"} {
			push.send(job)
		}
		h.hears(alice, "alice/1")
		h.hears(alice, "alice/2")
		h.hears(h.client("bob", zmtp.PULL), "bob/1")
	})
	t.Run("PUSH", func(t *testing.T) {
		h := newControllersHome(t, peer, "PUSH", "ready = \"none\"\n")
		alice := h.client("alice", zmtp.PUSH)
		h.send(alice, "early")
		pull := h.connect("installer", "", "PULL")
		pull.expect("early")
	})
	const rights = `bind_allow = [{ user = "*", publish = ["alice/{user}/"], subscribe = ["to/{user}/"] }]` + "\n"
	t.Run("SUB", func(t *testing.T) {
		h := newControllersHome(t, peer, "SUB", ownTopics+rights)
		pub := h.connect("installer", "", "XPUB")
		alice := h.client("alice", zmtp.SUB)
		if err := alice.Subscribe(t.Context(), []byte("alice/")); err != nil {
			t.Fatal(err)
		}
		pub.expect("\x01alice/")
		pub.send("alice/other/door", "forged")
		pub.send("alice/installer/door", "shut")
		h.hears(alice, "alice/installer/door", "shut")
	})
	t.Run("XPUB", func(t *testing.T) {
		h := newControllersHome(t, peer, "XPUB", rights)
		sub := h.connect("installer", "", "SUB", "", "to/other/", "to/installer/")
		alice := h.client("alice", zmtp.XPUB)
		h.hears(alice, "\x01to/installer/")
		h.send(alice, "to/other/x", "secret")
		h.send(alice, "to/installer/x", "on")
		sub.expect("to/installer/x", "on")
	})
}

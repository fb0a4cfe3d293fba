//go:build interop

package interop

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestForwarder puts forwarders that always accept in front of devices that are away at the start,
// for about half a second, and longer. What libzmq receives that connects instead of the bridge, a
// client of the bridge receives too, and its session does not end.
func TestForwarder(t *testing.T) {
	testForwarder(t, 0, `reconnect = "50ms..300ms"`) // so that the test is short
}

// TestForwarderSoak is the same with the default of reconnect, and with an absence of a minute.
func TestForwarderSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("set ZWSBRIDGE_SOAK=1 (make soak)")
	}
	testForwarder(t, time.Minute, "")
}

// forwarders are in front of a device: one for the bridge, one for libzmq.
type forwarders struct {
	t              *testing.T
	peer           *process
	bridge, libzmq *proxy
	longest        time.Duration
	reconnect      string // a line of the route
}

func testForwarder(t *testing.T, longest time.Duration, reconnect string) {
	need(t, "python3-zmq")
	peer := start(t, "pyzmq.py")
	for name, test := range map[string]func(f *forwarders){
		"SUB": (*forwarders).sub, "DEALER": (*forwarders).dealer, "PUSH": (*forwarders).push,
		"bind": (*forwarders).bind, "relay": (*forwarders).relay,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&forwarders{t, peer, newProxy(t, "", io.Discard), newProxy(t, "", io.Discard), longest, reconnect})
		})
	}
}

// lead makes the forwarders lead to the device, or with "" to none.
func (f *forwarders) lead(device string) {
	f.bridge.leads(device)
	f.libzmq.leads(device)
}

// absences calls away and back for each absence, the first of which has begun already.
func (f *forwarders) absences(away, back func()) {
	f.t.Helper()
	for i, attempts := range []int64{2, 2, 6} {
		if i > 0 {
			away()
		}
		f.bridge.turnsAway(f.t, attempts)
		f.libzmq.turnsAway(f.t, 1)
		back()
	}
	if f.longest > 0 {
		away()
		time.Sleep(f.longest)
		back()
	}
}

// open opens a socket of libzmq that connects to a forwarder. It reports no events, of which it has
// several in each of ten attempts per second.
func (f *forwarders) open(as, endpoint string, options map[string]any, subscribe ...string) *socket {
	all := map[string]any{"quiet": true}
	maps.Copy(all, options)
	return f.peer.open(f.t, command{Type: as, Connect: endpoint, Options: all, Subscribe: subscribe})
}

// device opens a socket of libzmq that listens.
func (f *forwarders) device(as string, options map[string]any, subscribe ...string) *socket {
	s := f.peer.bind(f.t, as, options, subscribe...)
	s.ignored = append(slices.Clone(ignored), "handshake:error:other") // when a connection is cut
	return s
}

// route returns a configuration with a route to the device.
func (f *forwarders) route(socket string, more ...string) string {
	return allMechanisms + route(socket, f.bridge.endpoint(), append(more, f.reconnect)...)
}

// reading is a client of the bridge that reads all the time, and so answers pings.
type reading struct {
	*zws.Client
	got chan []string // closed when the session has ended
}

// dial logs in at the bridge.
func (f *forwarders) dial(url string, as zmtp.SocketType) *reading {
	f.t.Helper()
	c, err := alice(f.t, url, as)
	if err != nil {
		f.t.Fatal(err)
	}
	r := &reading{c, make(chan []string, 100)}
	var running sync.WaitGroup
	running.Go(func() {
		defer close(r.got)
		for {
			m, err := c.Recv(context.Background())
			if err != nil {
				return
			}
			frames := make([]string, len(m))
			for i := range m {
				frames[i] = string(m[i])
			}
			r.got <- frames
		}
	})
	f.t.Cleanup(func() { c.Close(); running.Wait() })
	return r
}

// dialsInVain checks that a login is told that the device is not reached.
func (f *forwarders) dialsInVain(dial func() (*zws.Client, error)) {
	f.t.Helper()
	c, err := dial()
	if err == nil {
		c.Close()
	}
	if refusal, ok := errors.AsType[*zws.CloseError](err); !ok || refusal.Code != zws.CodeBackendLost || refusal.Status != 0 {
		f.t.Errorf("a login while the device is away: %v, want 4503", err)
	}
}

// receives checks the next message of a client.
func (f *forwarders) receives(c *reading, frames ...string) {
	f.t.Helper()
	select {
	case got, ok := <-c.got:
		if !ok || !slices.Equal(got, frames) {
			f.t.Fatalf("the client got %q, session there: %v; want %q", got, ok, frames)
		}
	case <-time.After(patience):
		f.t.Fatalf("the client got nothing, want %q", frames)
	}
}

func (f *forwarders) send(c *zws.Client, frame string) {
	f.t.Helper()
	if err := c.Send(f.t.Context(), zmtp.Message{[]byte(frame)}); err != nil {
		f.t.Fatal(err)
	}
}

// sub has two endpoints, of which one stays.
func (f *forwarders) sub() {
	verbose := map[string]any{"xpub_verbose": true} // reports the subscription of each peer
	stays, device := f.device("XPUB", nil), f.device("XPUB", verbose)
	text := strings.Replace(f.route("SUB", anyMechanism), `"]`+"\n", `", "`+stays.endpoint+"\"]\n", 1)
	client := f.dial(newHome(f.t).bridge(text), zmtp.SUB)
	if err := client.Subscribe(f.t.Context(), []byte("house/")); err != nil {
		f.t.Fatal(err)
	}
	direct := f.open("SUB", f.libzmq.endpoint(), nil, "house/")
	stays.expect("\x01house/")
	f.absences(func() {
		f.lead("")
		device.expect("\x00house/") // once, after the last of the two
		stays.send("house/stays", "alone")
		f.receives(client, "house/stays", "alone")
	}, func() {
		f.lead(device.endpoint)
		device.expect("\x01house/")
		device.expect("\x01house/")
		device.send("house/device", "back")
		direct.expect("house/device", "back")
		f.receives(client, "house/device", "back")
	})
}

// dealer sends while the device is away.
func (f *forwarders) dealer() {
	device := f.device("ROUTER", nil)
	url := newHome(f.t).bridge(f.route("DEALER", anyMechanism))
	f.dialsInVain(func() (*zws.Client, error) { return alice(f.t, url, zmtp.DEALER) })
	direct := f.open("DEALER", f.libzmq.endpoint(), nil)
	f.lead(device.endpoint)
	client := f.dial(url, zmtp.DEALER)
	f.lead("")
	f.absences(func() { f.lead("") }, func() {
		f.send(client.Client, "through the bridge")
		direct.send("directly")
		f.lead(device.endpoint)
		for range 2 {
			m := device.wait("message").Frames
			device.send(m[0], "answer to "+m[1])
		}
		direct.expect("answer to directly")
		f.receives(client, "answer to through the bridge")
	})
}

func (f *forwarders) push() {
	device := f.device("PULL", nil)
	url := newHome(f.t).bridge(f.route("PUSH", anyMechanism))
	f.dialsInVain(func() (*zws.Client, error) { return alice(f.t, url, zmtp.PUSH) })
	direct := f.open("PUSH", f.libzmq.endpoint(), nil)
	f.lead(device.endpoint)
	client := f.dial(url, zmtp.PUSH)
	f.lead("")
	f.absences(func() { f.lead("") }, func() {
		f.send(client.Client, "through the bridge")
		direct.send("directly")
		f.lead(device.endpoint)
		got := []string{device.wait("message").Frames[0], device.wait("message").Frames[0]}
		if slices.Sort(got); !slices.Equal(got, []string{"directly", "through the bridge"}) {
			f.t.Errorf("the device got %q", got)
		}
	})
}

// bind is the other way round: devices connect to the bridge, and to libzmq.
func (f *forwarders) bind() {
	h := newInboundHome(f.t)
	endpoint := freePort(f.t)
	url := h.bridge(inboundDomain + bound("SUB", endpoint, "PLAIN") + "ready = \"none\"\n")
	client := f.dial(url, zmtp.SUB)
	if err := client.Subscribe(f.t.Context(), []byte("house/")); err != nil {
		f.t.Fatal(err)
	}
	direct := f.device("SUB", nil, "house/")
	login := installer(h)
	login["xpub_verbose"] = true // reports that it is subscribed to again
	devices := []*socket{
		f.open("XPUB", f.bridge.endpoint(), login),
		f.open("XPUB", f.libzmq.endpoint(), map[string]any{"xpub_verbose": true}),
	}
	f.absences(func() { f.lead("") }, func() {
		f.bridge.leads(endpoint)
		f.libzmq.leads(direct.endpoint)
		for _, d := range devices {
			d.expect("\x01house/")
			d.send("house/device", "back")
		}
		direct.expect("house/device", "back")
		f.receives(client, "house/device", "back")
	})
}

// relay ends with its backend, and a login is told whether it was reached.
func (f *forwarders) relay() {
	device := f.device("ROUTER", nil)
	f.reconnect = "" // refused with relay
	url := newHome(f.t).bridge(f.route("DEALER", "relay = true"))
	dial := func() (*zws.Client, error) {
		request := http.Request{Header: make(http.Header)}
		request.SetBasicAuth("alice", secrets["alice"])
		return zws.Dial(f.t.Context(), url, zws.DialOptions{
			SocketType: zmtp.DEALER, Security: zmtp.Null{}, Alias: true, Header: request.Header, HandshakeTimeout: patience,
		})
	}
	for range 2 {
		f.dialsInVain(dial)
		f.lead(device.endpoint)
		client, err := dial()
		if err != nil {
			f.t.Fatal(err)
		}
		defer client.Close()
		f.send(client, "through the bridge")
		if m := device.wait("message").Frames; m[1] != "through the bridge" {
			f.t.Errorf("the device got %q", m)
		}
		f.lead("")
		_, err = client.Recv(f.t.Context())
		if lost, ok := errors.AsType[*zws.CloseError](err); !ok || lost.Code != zws.CodeBackendLost {
			f.t.Errorf("the relay ended with %v, want 4503", err)
		}
	}
}

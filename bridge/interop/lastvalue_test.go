//go:build interop

package interop

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const tenClients = 10

// answering is an XPUB of libzmq that answers each subscription itself.
type answering struct {
	name    string
	options map[string]any
	// answer answers the subscription of one client.
	answer func(device *socket)
	frames []string // what each client gets
}

var answerings = []answering{
	{"XPUB_VERBOSE last value cache", map[string]any{"xpub_verbose": true}, func(device *socket) {
		device.expect("\x01house/lamp")
		device.send("house/lamp", "on")
	}, []string{"house/lamp", "on"}},
	{"XPUB_MANUAL", map[string]any{"xpub_manual": true}, func(device *socket) {
		device.expect("\x01house/lamp")
		device.process.write(command{Do: "grant", Socket: device.number, Frames: []string{"house/lamp"}})
		device.send("house/lamp", "on")
	}, []string{"house/lamp", "on"}},
	{"XPUB_WELCOME_MSG", map[string]any{"xpub_welcome_msg": "house/lamp welcome"}, nil, []string{"house/lamp welcome"}},
}

// TestShareNone checks that with share = "none" the tenth client gets its answer as the first one
// does, in the order in which they come; without it the tenth gets none.
func TestShareNone(t *testing.T) {
	need(t, "python3-zmq")
	peer := start(t, "pyzmq.py")
	for _, a := range answerings {
		for _, socket := range []zmtp.SocketType{zmtp.SUB, zmtp.XSUB} {
			t.Run(fmt.Sprintf("%s %s", a.name, socket), func(t *testing.T) {
				device := peer.bind(t, "XPUB", a.options)
				url := newHome(t).bridge(allMechanisms + route(string(socket), device.endpoint, anyMechanism, `share = "none"`))
				for range tenClients {
					c := subscriber(t, url, socket)
					if a.answer != nil {
						a.answer(device)
					}
					want(t, c, a.frames...)
				}
			})
			t.Run(fmt.Sprintf("%s %s, shared", a.name, socket), func(t *testing.T) {
				device := peer.bind(t, "XPUB", a.options)
				url := newHome(t).bridge(allMechanisms + route(string(socket), device.endpoint, anyMechanism))
				for i := range tenClients {
					c := subscriber(t, url, socket)
					switch {
					case i == 0 && a.answer != nil:
						a.answer(device)
						want(t, c, a.frames...)
					case i == 0:
						device.expect("\x01house/lamp")
					case i == tenClients-1:
						repeated(t, device, c) // what comes first is not an answer to this client
					}
				}
			})
		}
	}
}

// subscriber returns a client of the bridge that is subscribed to house/lamp.
func subscriber(t *testing.T, url string, as zmtp.SocketType) *zws.Client {
	t.Helper()
	c, err := alice(t, url, as)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Subscribe(t.Context(), []byte("house/lamp")); err != nil {
		t.Fatal(err)
	}
	return c
}

// repeated publishes a marker until something arrives, which must be the marker: what a fan-out
// subscribes a client to is not reported to the device.
func repeated(t *testing.T, device *socket, c *zws.Client) {
	t.Helper()
	arrived := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			device.send("house/lamp", "marker")
			select {
			case <-arrived:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	defer sending.Wait()
	defer close(arrived)
	want(t, c, "house/lamp", "marker")
}

// want checks the next message of a client of the bridge.
func want(t *testing.T, c *zws.Client, frames ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := c.Recv(ctx)
	got := make([]string, len(m))
	for i := range m {
		got[i] = string(m[i])
	}
	if err != nil || !slices.Equal(got, frames) {
		t.Fatalf("the client got %q, %v, want %q", got, err, frames)
	}
}

//go:build interop

package interop

import (
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestLateZAP starts the ZAP handler of a libzmq server after the server, which until then closes
// what logs in by PLAIN. Logins are told that the backend is not reached. libzmq and a client of the
// bridge that subscribed before get what is published afterwards.
func TestLateZAP(t *testing.T) {
	need(t, "python3-zmq")
	peer := start(t, "pyzmq.py")
	h := newHome(t)
	h.write("password", "known\n")
	unsettled := func(s *socket) *socket {
		s.ignored = append(slices.Clone(ignored), "handshake:error:other", "handshake:error:protocol")
		return s
	}
	// Instead of closing, libzmq is silent now and then, until its handshake timer ends that.
	device := unsettled(peer.bind(t, "XPUB", map[string]any{"server": "PLAIN", "xpub_verbose": true, "handshake_ivl": 500}))
	text := allMechanisms + route("SUB", device.endpoint, static(h), `reconnect = "50ms..300ms"`) +
		routeAt("/waits", "SUB", device.endpoint, static(h), `reconnect = "50ms..300ms"`, `ready = "none"`)
	url := h.bridge(text)
	if c, err := alice(t, url, zmtp.SUB); err == nil {
		c.Close()
		t.Error("a login succeeds although the backend accepts nobody")
	} else if refusal := zws.Cause(err); refusal.Code != zws.CodeBackendLost || refusal.Status != 0 {
		t.Errorf("a login without the handler: %v, want 4503", err)
	}
	client, err := alice(t, url+"waits", zmtp.SUB)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Subscribe(t.Context(), []byte("house/")); err != nil {
		t.Fatal(err)
	}
	direct := unsettled(peer.open(t, command{Type: "SUB", Connect: device.endpoint, Subscribe: []string{"house/"}, Options: password("bridge", "known")}))

	for range 20 { // of all three
		for device.next().Event != "accept" {
		}
	}
	peer.write(command{Do: "zap", Socket: device.number, Options: map[string]any{"zap": map[string]string{"status": "200"}}})
	device.expect("\x01house/")
	device.expect("\x01house/")
	device.send("house/device", "ready")
	direct.expect("house/device", "ready")
	if m, err := client.Recv(t.Context()); err != nil || len(m) != 2 || string(m[1]) != "ready" {
		t.Errorf("the client got %q, %v", m, err)
	}
	again, err := alice(t, url, zmtp.SUB)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

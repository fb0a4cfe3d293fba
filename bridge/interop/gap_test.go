//go:build interop

package interop

import (
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestGapWhileConnected kills a publisher of libzmq and starts another at its endpoint: clients that
// keep positions are told between the messages that some may be missing.
func TestGapWhileConnected(t *testing.T) {
	need(t, "npm", "python3-zmq")
	first := start(t, "pyzmq.py")
	publisher := first.bind(t, "XPUB", nil)
	h := newHome(t)
	url := h.bridge(allMechanisms + route("SUB", publisher.endpoint) + "[route.history]\ntopics = [\"house/\"]\n")
	publisher.expect("\x01house/")

	var got []string
	messages := make(chan zmtp.Message, 100)
	client, err := alice(t, url, zmtp.SUB, func(o *zws.DialOptions) {
		o.History = true
		o.Notify = func(n zws.Notification) {
			if n.Resumed != nil && n.Resumed.Recovered && n.Resumed.Gap {
				messages <- zmtp.Message{[]byte("gap")}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SubscribeLast(t.Context(), []byte("house/")); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(messages)
		for {
			m, err := client.Recv(t.Context())
			if err != nil {
				return
			}
			messages <- m
		}
	}()
	next := func() {
		t.Helper()
		m, ok := <-messages
		if !ok {
			t.Fatalf("the connection has ended after %q", got)
		}
		got = append(got, string(m[len(m)-1]))
	}
	options := withPassword("alice", secrets["alice"]).with("http" + strings.TrimPrefix(url, "ws"))
	options["history"], options["last"] = true, true
	page := platform(t, "node").open(t, command{Type: "SUB", Connect: url, Subscribe: []string{"house/"}, Options: options})
	page.ignored = []string{"ready"}

	publisher.send("house/t", "1")
	next() // live, or as the last value
	page.expect("house/t", "1")
	first.kill()
	again := start(t, "pyzmq.py").open(t, command{Type: "XPUB", Bind: publisher.endpoint})
	again.expect("\x01house/")
	again.send("house/t", "2")
	next()
	next()
	if e := page.wait("resumed"); !e.Recovered || !e.Gap {
		t.Errorf("event %+v, want recovered with a gap", e)
	}
	page.expect("house/t", "2")
	if want := []string{"1", "gap", "2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

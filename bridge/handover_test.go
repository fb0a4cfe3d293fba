package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRelease: a bridge that has released its files ends sessions on routes with a history, refuses clients,
// and leaves the others alone; another bridge can open the files then, and it can again once that is closed.
func TestRelease(t *testing.T) {
	p := startPress(t)
	dir := t.TempDir()
	text := usersOnly + fmt.Sprintf("[history]\nstore = \"file\"\ndir = %q\n", dir) +
		routeTo("/live", "SUB", p.endpoint) + routeTo("/kept", "SUB", p.endpoint, "[route.history]\ntopics = [\"\"]")
	var another func() *bridge.Bridge
	url, b := startIn(t, func(d string) string {
		another = func() *bridge.Bridge {
			other, err := bridge.New(loadConfig(t, d, text), bridge.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return other
		}
		return text
	})
	kept := connect(t, url+"/kept", plainLogin("alice", zmtp.SUB))
	live := connect(t, url+"/live", plainLogin("alice", zmtp.SUB))
	mux := dialMux(t, url+"/live", "bob")
	on := openMux(t, dialMux(t, url+"/live", "alice"), zws.ChannelOptions{Route: "/kept"})

	b.Release(t.Context())
	replaced := func(name string, err error) {
		t.Helper()
		if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeGoingAway || !strings.HasSuffix(cause.Reason, "connect again; retry in 1s") {
			t.Errorf("%s: %v, want 1001", name, err)
		}
	}
	replaced("client with a history", sessionEnd(t, kept))
	_, err := on.Recv(t.Context())
	replaced("channel with a history", err)
	replaced("new client", refusal(t, url+"/live", plainLogin("alice", zmtp.SUB)))
	_, err = mux.Open(t.Context(), zws.ChannelOptions{Route: "/kept"})
	replaced("new channel with a history", err)
	if sessions := b.Sessions(); len(sessions) != 1 || sessions[0].Route != "/live" {
		t.Errorf("sessions %+v, want that of the client without a history", sessions)
	}
	must(t, live.Subscribe(t.Context(), []byte("a")))

	other := another()
	if err := b.Resume(); err == nil || !strings.Contains(err.Error(), "another process") && !strings.Contains(err.Error(), "in use") {
		t.Errorf("resumed while another bridge has the files: %v", err)
	}
	replaced("client with a history after Resume has failed", refusal(t, url+"/kept", plainLogin("alice", zmtp.SUB)))
	mux = dialMux(t, url+"/live", "bob")
	_, err = mux.Open(t.Context(), zws.ChannelOptions{Route: "/kept"})
	replaced("channel with a history after Resume has failed", err)
	openMux(t, mux, zws.ChannelOptions{Route: "/live"})
	connect(t, url+"/live", plainLogin("alice", zmtp.SUB)).Close()
	must(t, other.Close(t.Context()))
	must(t, b.Resume())
	connect(t, url+"/kept", plainLogin("alice", zmtp.SUB))
	if cause := refusal(t, url+"/nothing", plainLogin("alice", zmtp.SUB)); cause.Code != zws.CodeNoRoute {
		t.Errorf("client of a route that does not exist: %v, want 4404", cause)
	}
}

// TestResuming: a client that comes while the bridge opens its files again is not told that the route does
// not exist.
func TestResuming(t *testing.T) {
	p := startPress(t)
	text := usersOnly + fmt.Sprintf("[history]\nstore = \"file\"\ndir = %q\n", t.TempDir()) +
		routeTo("/live", "SUB", p.endpoint) + routeTo("/kept", "SUB", p.endpoint, "[route.history]\ntopics = [\"\"]")
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "users.htpasswd"), users(), 0o600))
	var opening func()
	b, err := bridge.New(loadConfig(t, dir, text), bridge.Options{Exclusive: func() error {
		if opening != nil {
			opening()
		}
		return nil
	}})
	must(t, err)
	server := httptest.NewServer(b)
	t.Cleanup(func() {
		must(t, b.Close(context.Background()))
		server.Close()
	})
	mux := dialMux(t, strings.Replace(server.URL, "http", "ws", 1)+"/live", "alice")
	b.Release(t.Context())
	opened := false
	opening = func() {
		opened = true
		_, err := mux.Open(t.Context(), zws.ChannelOptions{Route: "/kept"})
		if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeGoingAway {
			t.Errorf("a channel meanwhile: %v, want 1001", err)
		}
	}
	must(t, b.Resume())
	if !opened {
		t.Error("the files are not opened again")
	}
	again := dialMux(t, strings.Replace(server.URL, "http", "ws", 1)+"/live", "alice")
	openMux(t, again, zws.ChannelOptions{Route: "/kept"})
}

// TestHandOverBound: the sessions and the backends of a route with bind leave together, at once, and the
// other bridge takes the listener over.
func TestHandOverBound(t *testing.T) {
	var other func(socket func(network, address string) net.Listener) *bridge.Bridge
	_, b := startIn(t, func(dir string) string {
		text := controllersConfig(t, dir, zmtp.ROUTER, "tcp://127.0.0.1:0")
		other = func(socket func(network, address string) net.Listener) *bridge.Bridge {
			next, err := bridge.New(loadConfig(t, dir, text), bridge.Options{Socket: socket})
			if err != nil {
				t.Fatal(err)
			}
			return next
		}
		return text
	})
	listeners := b.Listeners()
	if len(listeners) != 1 {
		t.Fatalf("%d listeners, want that of bind", len(listeners))
	}
	endpoint := listeners[0].Endpoint()
	stove, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "stove", Password: "stove's secret"}, zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte("stove")})
	must(t, err)
	defer stove.Close()
	eventually(t, "the stove is connected", func() bool { return len(b.Backends()) == 1 })

	_, _, socket := listeners[0].Socket()
	file, err := socket.(*net.TCPListener).File()
	must(t, err)
	defer file.Close()
	next := other(func(network, address string) net.Listener {
		if network != "tcp" || address != "127.0.0.1:0" {
			t.Errorf("asked for a socket at %s %s", network, address)
		}
		l, err := net.FileListener(file)
		must(t, err)
		return l
	})
	defer next.Close(context.Background())
	b.HandOver(t.Context())
	if _, err := stove.ReadMessage(); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the stove got %v, want the end of its connection", err)
	}
	again, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "stove", Password: "stove's secret"}, zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte("stove")})
	must(t, err)
	defer again.Close()
	eventually(t, "the stove is connected to the other bridge", func() bool { return len(next.Backends()) == 1 && next.Backends()[0].User == "stove" })
}

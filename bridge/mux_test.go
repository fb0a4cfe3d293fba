package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// muxBridge starts a bridge with routes to a fast publisher, to an echo server with and without
// rules, of another domain, for tokens only, and to a backend that refuses the bridge.
func muxBridge(t *testing.T) (url string, b *bridge.Bridge) {
	t.Helper()
	router := echoRouter(t)
	return start(t, usersOnly+
		routeTo("/flood", "SUB", publisher(t, zmtp.Message{[]byte("a"), make([]byte, 1000)}), `allow = [ { user = "*", subscribe = ["a"] } ]`)+
		routeTo("/control", "DEALER", router, `allow = [ { user = "*", send = ["house/{user}/"] } ]`)+
		routeTo("/pair", "DEALER", router, `routing_id = "client"`)+
		routeTo("/elsewhere", "DEALER", router, `domain = "elsewhere"`)+
		routeTo("/token", "DEALER", router, `client_mechanisms = ["BEARER"]`)+
		routeTo("/refused", "DEALER", silentWith(t, zmtp.ROUTER, zap.PLAIN, always(zap.Refused)),
			`mechanism = "PLAIN"`, `username = "bridge"`, `password_file = "users.htpasswd"`))
}

// TestMux checks channels on several routes after one login: each has its own rights, and a refusal
// ends its channel and no other.
func TestMux(t *testing.T) {
	url, b := muxBridge(t)
	m := dialMux(t, url+"/control", "alice")
	control := openMux(t, m, zws.ChannelOptions{Route: "/control"})
	echo := func(c *zws.MuxChannel, topic string) {
		t.Helper()
		if err := c.Send(t.Context(), message(topic, "on")); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Recv(t.Context()); err != nil || string(got[0]) != topic {
			t.Fatalf("%q, %v", got, err)
		}
	}
	echo(control, "house/alice/lamp")
	for _, test := range []struct {
		options zws.ChannelOptions
		want    zws.Code
	}{
		{zws.ChannelOptions{Route: "/nothing"}, 4404},
		{zws.ChannelOptions{Route: "/elsewhere"}, 4403},
		{zws.ChannelOptions{Route: "/token"}, 4406},
		{zws.ChannelOptions{Route: "/control", SocketType: zmtp.SUB}, 4406},
		{zws.ChannelOptions{Route: "/control", Subscribe: [][]byte{[]byte("a")}}, 4406},
		{zws.ChannelOptions{Route: "/refused"}, 4502},
	} {
		_, err := m.Open(t.Context(), test.options)
		if closed, _ := errors.AsType[*zws.CloseError](err); closed == nil || closed.Code != test.want {
			t.Errorf("%+v: %v, want %d", test.options, err, test.want)
		}
	}
	flood := openMux(t, m, zws.ChannelOptions{Route: "/flood", Subscribe: [][]byte{[]byte("a")}}) // without a socket type: SUB
	if got, err := flood.Recv(t.Context()); err != nil || string(got[0]) != "a" {
		t.Errorf("%q, %v", got, err)
	}
	flood.Close()
	other := openMux(t, m, zws.ChannelOptions{Route: "/control"})
	if err := other.Send(t.Context(), message("house/bob/lamp")); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Recv(t.Context()); zws.Cause(err).Code != 4403 {
		t.Errorf("sending to a topic of bob: %v, want 4403", err)
	}
	pair := openMux(t, m, zws.ChannelOptions{Route: "/pair", RoutingID: []byte("me")})
	echo(pair, "anything")
	pair2 := openMux(t, m, zws.ChannelOptions{Route: "/pair", RoutingID: []byte("me")})
	if _, err := pair.Recv(t.Context()); zws.Cause(err).Code != 4409 {
		t.Errorf("a routing id that the user took again: %v, want 4409", err)
	}
	echo(pair2, "anything")
	routes, connections := map[string]int{}, 0
	for _, s := range b.Sessions() {
		if s.User != "alice" || s.Dialect != "ZWSMUX1.0" || s.Mechanism != "PLAIN" {
			t.Errorf("%+v", s)
		}
		routes[s.Route]++
		if s.Multiplexed {
			connections++
		}
		if want := map[bool]int{true: 2}[s.Multiplexed]; s.Channels != want {
			t.Errorf("%+v: %d channels, want %d", s, s.Channels, want)
		}
	}
	if connections != 1 {
		t.Errorf("%d sessions are connections, want 1", connections)
	}
	if fmt.Sprint(routes) != "map[/control:2 /pair:1]" { // including the connection, whose route is /control
		t.Errorf("sessions %v", routes)
	}
	echo(control, "house/alice/lamp")
}

// TestMuxSlow checks that a channel that is not read does not stall the 99 others of its
// connection.
func TestMuxSlow(t *testing.T) {
	url, _ := muxBridge(t)
	m := dialMux(t, url+"/control", "alice")
	slow := openMux(t, m, zws.ChannelOptions{Route: "/flood", SocketType: zmtp.SUB, Subscribe: [][]byte{[]byte("a")}, Window: 5000})
	var all sync.WaitGroup
	for n := range 99 {
		c := openMux(t, m, zws.ChannelOptions{Route: "/control"})
		all.Go(func() {
			for range 10 {
				want := fmt.Sprintf("house/alice/%d", n)
				if err := c.Send(t.Context(), message(want)); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Recv(t.Context()); err != nil || string(got[0]) != want {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
	for range 50 {
		if got, err := slow.Recv(t.Context()); err != nil || string(got[0]) != "a" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := slow.Subscribe(t.Context(), []byte("b")); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := slow.Recv(t.Context()); err != nil {
			if zws.Cause(err).Code != 4403 {
				t.Errorf("subscribing to b: %v, want 4403", err)
			}
			return
		}
	}
}

// TestMuxKick checks that a kick by number ends a channel, and a kick by user the connection.
func TestMuxKick(t *testing.T) {
	url, b := muxBridge(t)
	m := dialMux(t, url+"/control", "alice")
	one := openMux(t, m, zws.ChannelOptions{Route: "/pair"})
	two := openMux(t, m, zws.ChannelOptions{Route: "/control"})
	for _, s := range b.Sessions() {
		if s.Route == "/pair" {
			if n, err := b.Kick(s.Number, ""); n != 1 || err != nil {
				t.Errorf("kicked %d, %v", n, err)
			}
		}
	}
	if _, err := one.Recv(t.Context()); zws.Cause(err).Code != 4401 {
		t.Errorf("the kicked channel: %v, want 4401", err)
	}
	if _, err := b.Kick(0, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Recv(t.Context()); zws.Cause(err).Code != 4401 {
		t.Errorf("the kicked user: %v, want 4401", err)
	}
}

// TestMuxReload checks that changed rules and routes end the channels that they concern and no
// other, and that a changed password ends the connection.
func TestMuxReload(t *testing.T) {
	router := echoRouter(t)
	text := func(allowed, more string) string {
		return usersOnly + routeTo("/one", "DEALER", router) +
			routeTo("/two", "DEALER", router, fmt.Sprintf(`allow = [ { user = %q, send = ["#"] } ]`, allowed)) +
			routeTo("/three", "DEALER", router, more)
	}
	var dir string
	url, b := startIn(t, func(d string) string { dir = d; return text("alice", "") })
	m := dialMux(t, url+"/one", "alice")
	channels := map[string]*zws.MuxChannel{}
	for _, route := range []string{"/one", "/two", "/three"} {
		channels[route] = openMux(t, m, zws.ChannelOptions{Route: route})
	}
	reload(t, b, dir, text("bob", `stamp = "frame"`))
	for route, want := range map[string]zws.Code{"/two": 4403, "/three": 1001} {
		if _, err := channels[route].Recv(t.Context()); zws.Cause(err).Code != want {
			t.Errorf("%s ended with %v, want %d", route, err, want)
		}
	}
	if err := channels["/one"].Send(t.Context(), message("still here")); err != nil {
		t.Fatal(err)
	}
	if got, err := channels["/one"].Recv(t.Context()); err != nil || string(got[0]) != "still here" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := htpasswd.Set(filepath.Join(dir, "users.htpasswd"), "alice", "another"); err != nil {
		t.Fatal(err)
	}
	if _, err := channels["/one"].Recv(t.Context()); zws.Cause(err).Code != 4401 {
		t.Errorf("after the password was changed: %v, want 4401", err)
	}
	if _, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/one"}); zws.Cause(err).Code != 4401 {
		t.Errorf("after the password was changed: %v, want 4401", err)
	}
}

// TestMuxClientCredentials checks that the login of the connection is passed on to the backends of
// its channels.
func TestMuxClientCredentials(t *testing.T) {
	logins := make(chan string, 1)
	endpoint := silentWith(t, zmtp.ROUTER, zap.PLAIN, func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		user, password, _ := r.Plain()
		logins <- user + "/" + password
		return &zap.Reply{Status: zap.OK}, nil
	})
	url, _ := start(t, usersOnly+routeTo("/d", "DEALER", endpoint, `mechanism = "PLAIN"`, `credentials = "client"`))
	openMux(t, dialMux(t, url+"/d", "alice"), zws.ChannelOptions{Route: "/d"})
	if got := <-logins; got != "alice/alice's secret" {
		t.Errorf("the backend got %s", got)
	}
}

// TestMuxRenewal checks that a renewed login changes the rights of every channel.
func TestMuxRenewal(t *testing.T) {
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Send", Value: string(req.Credentials[0])}}}
	})
	url, _ := start(t, zapOnly(handler)+routeTo("/d", "DEALER", echoRouter(t), `client_mechanisms = ["BEARER"]`))
	renewed := make(chan zws.Notification, 1)
	o := bearerLogin("a/# b/#", "")
	o.Notify = func(n zws.Notification) { renewed <- n }
	m, err := zws.DialMux(t.Context(), url+"/d", o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	one, two := openMux(t, m, zws.ChannelOptions{Route: "/d"}), openMux(t, m, zws.ChannelOptions{Route: "/d"})
	send := func(c *zws.MuxChannel, topic string) error {
		if err := c.Send(t.Context(), message(topic)); err != nil {
			return err
		}
		_, err := c.Recv(t.Context())
		return err
	}
	for _, c := range []*zws.MuxChannel{one, two} {
		if err := send(c, "a/1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Renew(t.Context(), "b/#"); err != nil {
		t.Fatal(err)
	}
	if n := <-renewed; !n.Renewed {
		t.Errorf("%+v", n)
	}
	if err := send(one, "a/1"); zws.Cause(err).Code != 4403 {
		t.Errorf("sending to a topic of the old token: %v, want 4403", err)
	}
	if err := send(two, "b/1"); err != nil {
		t.Errorf("sending to a topic of the new token: %v", err)
	}
}

// TestMuxReopen: a client can open and close any number of channels on one connection.
func TestMuxReopen(t *testing.T) {
	url, _ := muxBridge(t)
	m := dialMux(t, url+"/control", "alice")
	for range 3 * zws.DefaultMaxChannels {
		openMux(t, m, zws.ChannelOptions{Route: "/flood"}).Close()
	}
}

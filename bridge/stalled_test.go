package bridge_test

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// boundTo is a configuration with the route /d, where native peers dial in without a login.
func boundTo(socket zmtp.SocketType, endpoint, lines string) string {
	return fmt.Sprintf(`
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "devices", domains = ["devices"] } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.devices]
type = "anonymous"
[[route]]
path = "/d"
socket = %q
mechanism = "NULL"
insecure_null = true
bind = [%q]
bind_domain = "devices"
connect_timeout = "1m"
%s
`, socket, endpoint, lines)
}

// dialIn connects a native peer to a route that listens.
func dialIn(t *testing.T, endpoint string, as zmtp.SocketType) *zmtp.Conn {
	t.Helper()
	device, err := zmtp.Dial(t.Context(), endpoint, zmtp.Null{}, zmtp.Options{SocketType: as, RoutingID: []byte("device")})
	must(t, err)
	t.Cleanup(func() { device.Close() })
	return device
}

// TestBoundPullStalled: of two clients that share the jobs one does not read, and the other
// does the rest, though the route waits for slow clients.
func TestBoundPullStalled(t *testing.T) {
	endpoint := nobody(t)
	url, _ := start(t, boundTo("PULL", endpoint, "high_water_mark = 10\nhigh_water_bytes = \"1KiB\""))
	device := dialIn(t, endpoint, zmtp.PUSH)
	connect(t, url+"/d", byPassword("alice", zmtp.PULL)) // does not read
	good := connect(t, url+"/d", byPassword("bob", zmtp.PULL))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for device.Write(zmtp.Message{make([]byte, 100_000)}) == nil {
		}
	}()
	for range 500 { // more than fits between the bridge and alice
		_, err := good.Recv()
		must(t, err)
	}
	device.Close()
	<-done
}

// TestBoundPubTopics: who publishes to more topics than its queue holds messages hears of
// all of them, and others that do not listen change nothing.
func TestBoundPubTopics(t *testing.T) {
	const topics = 200
	endpoint := nobody(t)
	url, _ := start(t, boundTo("PUB", endpoint, "high_water_mark = 10"))
	device := dialIn(t, endpoint, zmtp.SUB)
	heard := connect(t, url+"/d", byPassword("alice", zmtp.PUB))
	for i := range topics {
		must(t, device.Subscribe(fmt.Append(nil, i)))
		_, err := heard.Recv()
		must(t, err)
	}
	connect(t, url+"/d", byPassword("bob", zmtp.PUB)) // does not read
	late := connect(t, url+"/d", byPassword("alice", zmtp.PUB))
	got := make(map[string]bool)
	for range topics {
		m, err := late.Recv()
		must(t, err)
		got[string(m[0])] = true
	}
	if len(got) != topics {
		t.Errorf("heard of %d topics, want %d", len(got), topics)
	}
	must(t, late.Send(message("7", "x")))
	m, err := device.ReadMessage()
	must(t, err)
	if string(m[0]) != "7" {
		t.Errorf("got %q", m)
	}
}

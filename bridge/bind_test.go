package bridge_test

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// bindConfig returns a configuration with the route /d, where backends connect without a login.
func bindConfig(socket zmtp.SocketType, endpoint, lines string) string {
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

// dialBackend connects a backend to a bind endpoint.
func dialBackend(t *testing.T, endpoint string, as zmtp.SocketType) *zmtp.Conn {
	t.Helper()
	backend, err := zmtp.Dial(t.Context(), endpoint, zmtp.Null{}, zmtp.Options{SocketType: as, RoutingID: []byte("backend")})
	must(t, err)
	t.Cleanup(func() { backend.Close() })
	return backend
}

// TestBoundPullSlowClient checks that if one of two clients that share jobs does not read, the
// other gets the rest, although on_full is block.
func TestBoundPullSlowClient(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, _ := start(t, bindConfig("PULL", endpoint, "high_water_mark = 10\nhigh_water_bytes = \"1KiB\""))
	backend := dialBackend(t, endpoint, zmtp.PUSH)
	connect(t, url+"/d", plainLogin("alice", zmtp.PULL)) // does not read
	good := connect(t, url+"/d", plainLogin("bob", zmtp.PULL))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for backend.Write(zmtp.Message{make([]byte, 100_000)}) == nil {
		}
	}()
	for range 500 { // more than fits in the buffers of alice
		_, err := good.Recv(t.Context())
		must(t, err)
	}
	backend.Close()
	<-done
}

// TestBoundPubTopics checks that a publishing client gets all subscriptions, also if these are more
// than its queue can hold, and that a client that does not read does not affect it.
func TestBoundPubTopics(t *testing.T) {
	const topics = 200
	endpoint := unusedEndpoint(t)
	url, _ := start(t, bindConfig("PUB", endpoint, "high_water_mark = 10"))
	backend := dialBackend(t, endpoint, zmtp.SUB)
	first := connect(t, url+"/d", plainLogin("alice", zmtp.PUB))
	for i := range topics {
		must(t, backend.Subscribe(fmt.Append(nil, i)))
		_, err := first.Recv(t.Context())
		must(t, err)
	}
	connect(t, url+"/d", plainLogin("bob", zmtp.PUB)) // does not read
	late := connect(t, url+"/d", plainLogin("alice", zmtp.PUB))
	got := make(map[string]bool)
	for range topics {
		m, err := late.Recv(t.Context())
		must(t, err)
		got[string(m[0])] = true
	}
	if len(got) != topics {
		t.Errorf("got %d topics, want %d", len(got), topics)
	}
	must(t, late.Send(t.Context(), message("7", "x")))
	m, err := backend.ReadMessage()
	must(t, err)
	if string(m[0]) != "7" {
		t.Errorf("got %q", m)
	}
}

package bridge_test

import (
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// uniqueIDs starts a ROUTER that, as libzmq's, cannot have two peers with one routing id: it
// serves the newer one when the older has closed its connection.
func uniqueIDs(t *testing.T) (endpoint string) {
	t.Helper()
	var mu sync.Mutex
	closed := sync.NewCond(&mu)
	open := make(map[string]bool)
	return listen(t, zmtp.ROUTER, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		id := string(c.Peer().RoutingID())
		mu.Lock()
		for open[id] {
			closed.Wait()
		}
		open[id] = true
		mu.Unlock()
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(m) != nil {
				break
			}
		}
		mu.Lock()
		delete(open, id)
		closed.Broadcast()
		mu.Unlock()
	})
}

// TestRoutingIDTakenOver checks that a client takes its routing id over from an older
// connection of the same user, from nobody else, and not without a user name.
func TestRoutingIDTakenOver(t *testing.T) {
	url, _ := start(t, `
[zap]
chain = [ { authn = "users" }, { authn = "guests" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.guests]
type = "anonymous"
`+routeTo("/d", "DEALER", uniqueIDs(t), `routing_id = "client"`, `client_mechanisms = ["NULL", "PLAIN"]`))
	as := func(user, id string) zws.DialOptions {
		o := plainLogin(user, zmtp.DEALER)
		if user == "" {
			o.Security = zmtp.Null{}
		}
		o.RoutingID = []byte(id)
		return o
	}
	first := connect(t, url+"/d", as("alice", "panel"))
	must(t, first.Send(t.Context(), message("1")))
	second := connect(t, url+"/d", as("alice", "panel"))
	if got := sessionEnd(t, first); got.Code != 4409 || !got.Code.Final() {
		t.Errorf("the older connection: %v, want 4409, final", got)
	}
	if got := refusal(t, url+"/d", as("bob", "panel")); got.Code != 4403 {
		t.Errorf("another user: %v, want 4403", got)
	}
	must(t, second.Send(t.Context(), message("2")))
	if m, err := second.Recv(t.Context()); err != nil || string(m[0]) != "2" {
		t.Errorf("the newer connection received %q, %v", m, err)
	}
	connect(t, url+"/d", as("", "guest"))
	if got := refusal(t, url+"/d", as("", "guest")); got.Code != 4403 {
		t.Errorf("an anonymous client: %v, want 4403", got)
	}
	// One after the other in a hurry: the newest stays.
	for range 20 {
		last := connect(t, url+"/d", as("bob", "quick"))
		must(t, last.Send(t.Context(), message("x")))
	}
}

// TestRoutingIDOfUnreadClient checks that a client whose connection is half open, so that it
// reads neither data nor close frame, does not keep its user out.
func TestRoutingIDOfUnreadClient(t *testing.T) {
	url, b := start(t, usersOnly+"[server]\nwrite_timeout = \"1h\"\n"+routeTo("/d", "DEALER", uniqueIDs(t), `routing_id = "client"`))
	o := plainLogin("alice", zmtp.DEALER)
	o.RoutingID = []byte("panel")
	stuckOptions := o
	stuckOptions.WriteTimeout = 300 * time.Millisecond
	stuck := connect(t, url+"/d", stuckOptions)
	big := make([]byte, 900_000)
	for range 64 { // the echoes fill the way back, which the client does not read
		if stuck.Send(t.Context(), zmtp.Message{big}) != nil {
			break
		}
	}
	waitForSessions(t, b, 1)
	c := connect(t, url+"/d", o)
	must(t, c.Send(t.Context(), message("hello")))
	if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "hello" {
		t.Errorf("received %q, %v", m, err)
	}
}

//go:build interop

package interop

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// sharedConfig is a bridge that shares its route with others.
const sharedConfig = `
[server]
listen = "127.0.0.1:0"
tls = "off"
[zap]
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[history]
store = "nats"
[history.nats]
servers = [%q]
lease = "1s"
[[route]]
path = "/kept"
socket = "SUB"
connect = [%q]
on_full = "replay"
allow = [ { user = "*", subscribe = ["#"] } ]
[route.history]
topics = [""]
`

// startNATS starts Debian's NATS server with JetStream and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	address := strings.TrimPrefix(freePort(t), "tcp://")
	_, port, _ := strings.Cut(address, ":")
	program := "nats-server"
	if _, err := exec.LookPath(program); err != nil {
		program = "/usr/sbin/nats-server"
	}
	cmd := exec.Command(program, "-js", "-sd", t.TempDir(), "-a", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "nats://" + address
}

// TestSharedLibzmq: a bridge that reads a PUB of libzmq is killed, three times. A client of the other
// one, which goes on, gets each number once and in order; where numbers are missing a gap is told, and
// a replay from the first position is the same.
func TestSharedLibzmq(t *testing.T) {
	need(t, "python3-zmq", "nats-server")
	h := newHome(t)
	h.cheapUsers("ann")
	publisher := start(t, "numbered.py").bind(t, "XPUB", nil)
	h.write("bridge.toml", fmt.Sprintf(sharedConfig, startNATS(t), publisher.endpoint))
	binary := h.build()
	reading := h.run(binary)
	dialShared(t, reading, "", new(zws.Resumed)).Close() // it reads the PUB: no other bridge is there
	for range 3 {
		other := h.run(binary)
		c := dialShared(t, other, "", new(zws.Resumed))
		first := ""
		var live []uint64
		take := func(n int) {
			t.Helper()
			for range n {
				live = append(live, nextNumber(t, c))
				if first == "" {
					first = c.Position()
				}
			}
		}
		take(500)
		reading.kill()
		take(2000)
		c.Close()
		var resumed zws.Resumed
		again := dialShared(t, other, first, &resumed)
		replayed := live[:1:1]
		for len(replayed) < len(live) {
			replayed = append(replayed, nextNumber(t, again))
		}
		again.Close()
		if !slices.Equal(replayed, live) {
			t.Error("the replay is not what was received")
		}
		missing := false
		for i := 1; i < len(live); i++ {
			if live[i] <= live[i-1] {
				t.Fatalf("got %d after %d", live[i], live[i-1])
			}
			missing = missing || live[i] != live[i-1]+1
		}
		if !resumed.Recovered || missing && !resumed.Gap {
			t.Errorf("resumed: %+v, numbers are missing: %v", resumed, missing)
		}
		reading = other
	}
}

// nextNumber returns the number of the next message of numbered.py.
func nextNumber(t *testing.T, c *zws.Client) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := c.Recv(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n, err := numberOf(m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// dialShared resumes at that position, once the bridge serves the route.
func dialShared(t *testing.T, p *program, position string, resumed *zws.Resumed) *zws.Client {
	t.Helper()
	o := dialOptions("ann")
	o.History = true
	first := true
	o.Notify = func(n zws.Notification) {
		if n.Resumed != nil && first { // later ones tell of gaps while the client is connected
			*resumed, first = *n.Resumed, false
		}
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c, err := zws.Dial(t.Context(), "ws://"+p.address+"/kept", o)
		if err == nil {
			if err := c.Resume(t.Context(), position, []byte("")); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

package conn

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// owner is a queue.Owner that counts overflows.
type owner struct{ overflows int }

func (*owner) Ended() bool   { return false }
func (*owner) Wake()         {}
func (*owner) Announce()     {}
func (*owner) Write()        {}
func (*owner) Missed(uint64) {}

func (*owner) Lost(uint64) {}
func (o *owner) Overflow() { o.overflows++ }

// TestDeliveryLimit: neither while the backend brings something, nor afterwards, can more
// notifications wait than the limit says.
func TestDeliveryLimit(t *testing.T) {
	const limit = 3
	for _, running := range []bool{true, false} {
		var o owner
		q := queue.New(queue.Options{Notifications: limit}, &o)
		var d delivering
		if running {
			d.begin()
		}
		for i := range limit {
			if err := d.unsubscribed(q, fmt.Append(nil, i), limit); err != nil {
				t.Fatalf("running: %v, notification %d: %v", running, i, err)
			}
		}
		if err := d.unsubscribed(q, []byte("beyond"), limit); err != errTooSlow {
			t.Errorf("running: %v, beyond the limit: %v, want 4508", running, err)
		}
		d.end(q)
		if err := q.Put(zmtp.Message{[]byte("a")}); errors.Is(err, queue.ErrClosed) != !running {
			t.Errorf("running: %v, the queue: %v", running, err)
		}
		if d.running || d.dropped != nil || o.overflows > 1 {
			t.Errorf("running: %v, left behind: %+v", running, &d)
		}
	}
}

// TestDeliveryEnded: a stream takes what its queue drops, and nothing once that is closed.
func TestDeliveryEnded(t *testing.T) {
	for policy, want := range map[queue.Policy]error{queue.DropNewest: nil, queue.Disconnect: queue.ErrFull} {
		c := &stream{session: &session{route: testRoute(t, "PULL")}, conn: new(connection), release: func() {}}
		c.queue = queue.New(queue.Options{Messages: 1, OnFull: policy}, new(owner))
		c.rights.Store(&route.Rights{Rights: rights.Combine()})
		for range 2 {
			if err := c.Message(zmtp.Message{[]byte("a")}); err != nil {
				t.Fatal(err)
			}
			c.Flush()
		}
		if err := c.Message(zmtp.Message{[]byte("a")}); err != want {
			t.Errorf("%v, where the queue was full: %v, want %v", policy, err, want)
		}
		c.close()
	}
}

// testRoute returns a route whose backends are never reached.
func testRoute(t *testing.T, socket string) *route.Route {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bridge.toml")
	text := fmt.Sprintf(`
[zap]
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
[[route]]
path = "/d"
socket = %q
connect = ["tcp://127.0.0.1:1"]
client_mechanisms = ["NULL"]
`, socket)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, faults := config.Load(file)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	r, err := route.New(c, &c.Routes[0], route.Options{Metrics: metrics.New(nil), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

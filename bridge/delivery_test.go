package bridge

import (
	"errors"
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// owner is a queue.Owner that counts overflows.
type owner struct{ overflows int }

func (*owner) Ended() bool { return false }
func (*owner) Wake()       {}
func (*owner) Lost(uint64) {}
func (o *owner) Overflow() { o.overflows++ }

// TestDeliveryLimit: neither while the backend brings something, nor afterwards, can more
// notices wait than the limit says.
func TestDeliveryLimit(t *testing.T) {
	const limit = 3
	for _, running := range []bool{true, false} {
		var o owner
		q := queue.New(queue.Options{Notifications: limit}, &o)
		var d delivery
		if running {
			d.begin()
		}
		for i := range limit {
			if err := d.unsubscribed(q, fmt.Append(nil, i), limit); err != nil {
				t.Fatalf("running: %v, notice %d: %v", running, i, err)
			}
		}
		if err := d.unsubscribed(q, []byte("beyond"), limit); err != tooSlow {
			t.Errorf("running: %v, beyond the limit: %v, want 4508", running, err)
		}
		d.end(q)
		if err := q.Put(zmtp.Message{[]byte("a")}); errors.Is(err, queue.ErrClosed) != !running {
			t.Errorf("running: %v, the queue: %v", running, err)
		}
		if d.running || d.untold != nil || o.overflows > 1 {
			t.Errorf("running: %v, left behind: %+v", running, &d)
		}
	}
}

// TestDeliveryEnded: a channel takes what its queue drops, and nothing once that is closed.
func TestDeliveryEnded(t *testing.T) {
	for policy, want := range map[queue.Policy]error{queue.DropNewest: nil, queue.Disconnect: queue.ErrFull} {
		m, err := metrics.New(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &route{config: &config.Route{Socket: zmtp.PULL}, metrics: m.Route("/d")}
		c := &channel{route: r, queue: queue.New(queue.Options{Messages: 1, OnFull: policy}, new(owner))}
		c.privileges.Store(&privileges{unlimited: true})
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

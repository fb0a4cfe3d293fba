package bridge

import (
	"errors"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// delivery is what a backend brings to a channel from a first Message to Flush, and the
// notices of dropped subscriptions, which must not overtake it on its way into the queue.
type delivery struct {
	mu      sync.Mutex
	running bool     // the backend alone sets it, with mu held
	untold  [][]byte // topics of dropped subscriptions, for the end of what is running
}

// begin is the backend's.
func (d *delivery) begin() {
	if d.running {
		return
	}
	d.mu.Lock()
	d.running = true
	d.mu.Unlock()
}

// end is the backend's: all that it has brought is in q.
func (d *delivery) end(q *queue.Queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = false
	for _, topic := range d.untold {
		_ = q.Unsubscribed(topic) // a queue that is closed belongs to a session that is over
	}
	d.untold = nil
}

// unsubscribed has the client told that its subscription to topic is gone: behind what is
// being delivered, or else behind what is in q. What begins afterwards has to be looked at by
// the new rights. At most limit notices wait for a delivery that waits itself for the client
// to read.
func (d *delivery) unsubscribed(q *queue.Queue, topic []byte, limit int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.running:
		if errors.Is(q.Unsubscribed(topic), queue.ErrFull) {
			return tooSlow
		}
	case len(d.untold) >= limit:
		return tooSlow
	default:
		d.untold = append(d.untold, topic)
	}
	return nil
}

package history

import (
	"sync"
	"time"
)

// Queue is a client's hold on a permanent queue. It does nothing once another client has taken the
// queue. All methods may be called concurrently.
type Queue struct {
	queues *Queues
	key    QueueKey
	made   bool // for this client
	lost   func(error)
	left   chan struct{} // closed by Detach
	leave  sync.Once
}

// held returns the queue; nil if the client does not have it any more. Queues.mu is held.
func (c *Queue) held() *queue {
	if one := c.queues.queues[c.key]; one != nil && one.client == c {
		return one
	}
	return nil
}

// New reports whether there was no such queue before this client came.
func (c *Queue) New() bool { return c.made }

// State returns the queue's subscriptions and what is acknowledged.
func (c *Queue) State() QueueState {
	c.queues.mu.Lock()
	defer c.queues.mu.Unlock()
	if one := c.held(); one != nil {
		return one.state()
	}
	return QueueState{}
}

// Subscribe adds topic to the queue.
func (c *Queue) Subscribe(topic []byte) {
	c.change(func(one *queue) change {
		known := one.topics[string(topic)]
		one.topics[string(topic)] = true
		return urgentIf(!known)
	})
}

// Unsubscribe removes topic from the queue.
func (c *Queue) Unsubscribe(topic []byte) {
	c.change(func(one *queue) change {
		delete(one.topics, string(topic))
		return changeState
	})
}

// Ack acknowledges everything before at. Positions that are acknowledged already, or that the log,
// which ends at end, has not given yet, change nothing.
func (c *Queue) Ack(at, end Position) {
	c.change(func(one *queue) change {
		// What is beyond the end was acknowledged in a log that is gone.
		if at.Sequence <= end.Sequence && (at.Sequence > one.acked.Sequence || one.acked.Sequence > end.Sequence && c.queues.o.Bridge == "") {
			one.acked = at
		}
		return changeCursor
	})
}

func (c *Queue) change(f func(*queue) change) {
	c.queues.mu.Lock()
	defer c.queues.mu.Unlock()
	if one := c.held(); one != nil {
		c.queues.change(c.key, f(one))
	}
}

// Detach ends the client's hold on the queue.
func (c *Queue) Detach() {
	c.change(func(one *queue) change {
		one.client, one.holder, one.seen = nil, "", time.Now()
		return urgentIf(c.queues.o.Bridge != "")
	})
	c.leave.Do(func() { close(c.left) })
}

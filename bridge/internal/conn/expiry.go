package conn

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// expiryWarning is how long before the end of a login its client is notified.
const expiryWarning = 30 * time.Second

var errExpired = &zws.CloseError{Code: zws.CodeExpired, Reason: "your login has expired: log in again"}

// expiry is the end of a login.
type expiry struct {
	end atomic.Int64 // in Unix seconds; 0 = never

	mu     sync.Mutex
	timers *[2]*time.Timer // nil if it does not end
}

// schedule makes the connection end when its login does, and notifies the client before.
func (c *connection) schedule(reply *zap.Reply) error {
	end, limited, err := reply.Metadata.Expires()
	if err != nil {
		return &zws.CloseError{Code: zws.CodeTemporary, Reason: "the login cannot be checked at present: try again later", Err: err}
	}
	c.expiry.stop()
	if !limited {
		c.expiry.end.Store(0)
		return nil
	}
	c.expiry.end.Store(end.Unix())
	left := time.Until(end)
	if left <= 0 {
		return errExpired
	}
	c.expiry.mu.Lock()
	defer c.expiry.mu.Unlock()
	c.expiry.timers = &[2]*time.Timer{
		time.AfterFunc(left, func() { c.end(errExpired) }),
		time.AfterFunc(max(left-expiryWarning, 0), func() { c.notifyExpiry(end) }),
	}
	return nil
}

func (e *expiry) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timers == nil {
		return
	}
	for _, t := range e.timers {
		t.Stop()
	}
	e.timers = nil
}

// notifyExpiry sends EXPIRING, after READY if that was not sent yet.
func (c *connection) notifyExpiry(end time.Time) {
	c.mu.Lock()
	ws := c.ws
	if ws == nil {
		c.expiring = &end
	}
	c.mu.Unlock()
	if ws != nil {
		ws.Expiring(time.Until(end))
	}
}

// expired reports whether the login has ended. The timer that ends the connection may be
// late; what is sent and delivered is not.
func (c *connection) expired() bool {
	end := c.expiry.end.Load()
	return end != 0 && time.Now().Unix() >= end
}

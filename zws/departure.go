package zws

import (
	"context"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// watchDelay is how long a client can leave unnoticed while its login waits. Most logins do
// not wait that long, and need no goroutine that watches.
const watchDelay = 20 * time.Millisecond

// watch reads while nobody else does, because the client waits for its login, until the
// returned function is called: it answers pings, and ends the connection of a client that
// leaves. What else arrives is left to the reader; a departure after that goes unnoticed. The
// caller must not hold the token of reading.
func (c *Conn) watch() (stop func()) {
	stopping, done := make(chan struct{}), make(chan struct{})
	timer := time.AfterFunc(watchDelay, func() {
		defer close(done)
		if c.reading.takeUnless(stopping, c.life.Done()) {
			c.awaitDeparture(stopping)
			c.reading.put()
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		close(stopping)
		c.wire.SetReadDeadline(time.Unix(1, 0)) // ends a read that is waiting
		<-done
		c.wire.SetReadDeadline(time.Time{})
	}
}

// awaitDeparture returns when the client has left or has sent a message, or at the latest when
// stopping is closed and the read deadline is over. The caller holds the token of reading.
func (c *Conn) awaitDeparture(stopping <-chan struct{}) {
	c.wire.SetReadDeadline(time.Time{}) // the handshake's
	in := c.attach()
	for {
		select {
		case <-stopping:
			return
		default:
		}
		if len(in.rest) == 0 {
			if n, err := in.fill(); n == 0 && isTimeout(err) {
				return
			} else if n == 0 {
				c.readEnded = true
				c.Close(&CloseError{Code: CodeAbnormal, Err: fmt.Errorf("%w: %w", ErrPeerClosed, err)})
				return
			}
		}
		if c.takeControl() {
			continue
		}
		if wholeClose(in.rest) {
			_, _, err := in.ws.NextReader()
			c.Close(c.readError(err))
		}
		return
	}
}

// wholeClose reports whether p begins with a close frame.
func wholeClose(p []byte) bool {
	h, ok := wsframe.ParseHeader(p)
	return ok && h.First == wsframe.Close && h.Payload <= len(p)-h.Length
}

// whileWatched returns a handler that asks next while the connection is watched, so that the context
// of a login ends when its client leaves. The caller of the handler holds the token of reading.
func (c *Conn) whileWatched(next zap.Handler) zap.Handler {
	return zap.HandlerFunc(func(ctx context.Context, r *zap.Request) (*zap.Reply, error) {
		c.reading.put()
		stop := c.watch()
		defer func() {
			stop()
			c.reading.take()
		}()
		return next.Authenticate(ctx, r)
	})
}

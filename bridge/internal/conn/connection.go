package conn

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// connection is one WebSocket and the login on it.
type connection struct {
	session
	set    *Set
	domain string // ZAP domain that the login was judged for
	login  atomic.Pointer[zws.Login]
	expiry expiry
	bound  bound

	mu       sync.Mutex
	ws       *zws.Conn        // nil before READY
	cause    error            // the first that end was called with
	expiring *time.Time       // end of the login that the client is to be notified of after READY; nil for none
	only     *stream          // that was sent READY, unless there are several
	streams  map[*stream]bool // if there are several
}

// newConnection lists a connection. The caller stops it.
func (s *Set) newConnection(id session, domain string, l *zws.Login) *connection {
	c := &connection{session: id, set: s, domain: domain}
	c.login.Store(l)
	c.bound.sent.SetLimit(s.maxBytes.Load())
	if l.Multiplexed {
		c.bound.budget = queue.NewBudget(s.maxBytes.Load(), c.watch)
	}
	s.mu.Lock()
	s.connections[c] = true
	s.mu.Unlock()
	c.bound.limit(s.maxBytes.Load()) // SetMaxBytes may have missed this connection
	return c
}

// serve opens what the client came for, sends READY and serves the connection in the
// background. It returns why the client was refused, after telling it so.
func (c *connection) serve(p *zws.PendingConn) error {
	if err := c.schedule(p.Login().Reply); err != nil {
		return p.Reject(err)
	}
	if p.Login().Multiplexed {
		return c.serveMultiplexed(p)
	}
	return c.servePlain(p)
}

// servePlain serves a connection with one stream, which ends with it.
func (c *connection) servePlain(p *zws.PendingConn) error {
	s, err := c.open(p.Context(), &c.session, p.Login())
	if err != nil {
		return p.Reject(closeCause(err))
	}
	for _, cause := range []error{c.ending(), s.ending()} {
		if cause != nil { // while the stream was opened
			s.close()
			return p.Reject(cause)
		}
	}
	ws, err := p.Accept(s.acceptOptions(p.Login()))
	if err != nil {
		s.close()
		return err
	}
	c.start(ws)
	s.start(ws.Channel(), "session started")
	c.reevaluate(c.set.ctx) // rules, users or the login may have changed while it was opened
	ws.Channel().Serve(s.handle, s.left)
	return nil
}

// acceptOptions returns the options of the stream's connection or channel. Functions that cannot be
// called are left out: an idle client would keep them.
func (s *stream) acceptOptions(l *zws.Login) zws.AcceptOptions {
	o := zws.AcceptOptions{Minor: s.minor, History: s.history != nil}
	if l.Mechanism == zap.BEARER {
		o.Renew, o.RenewalRefused = s.conn.renew, s.conn.renewalRefused
	}
	if l.History {
		o.Request = s.request
	}
	if s.permanent != nil {
		o.Confirmed = s.confirmed
	}
	return o
}

// handle passes a message of the client of a plain connection to the backend.
func (s *stream) handle(m zmtp.Message) error {
	return s.forward(s.channel.Context(), m, s.channel.Buffered())
}

// left ends the stream of a plain connection that is over, and the connection.
func (s *stream) left() {
	c := s.conn
	c.ws.Wait()
	s.stop()
	c.stop()
	c.set.leave(c.from)
}

// start makes ws the connection's, once READY was sent.
func (c *connection) start(ws *zws.Conn) {
	c.mu.Lock()
	c.ws = ws
	cause, expiring := c.cause, c.expiring
	c.mu.Unlock()
	if expiring != nil {
		ws.Expiring(time.Until(*expiring))
	}
	if cause == nil {
		cause = c.set.Closing() // Close may have missed this connection
	}
	if cause != nil {
		ws.Close(cause)
	}
}

// stop gives back what the connection holds. Its streams are closed by then.
func (c *connection) stop() {
	c.expiry.stop()
	c.bound.stop()
	c.set.mu.Lock()
	delete(c.set.connections, c)
	c.set.mu.Unlock()
}

// end ends the connection with what closeCause makes of cause. The first cause counts. It
// does not block.
func (c *connection) end(cause error) {
	cause = closeCause(cause)
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	cause, ws := c.cause, c.ws
	c.mu.Unlock()
	if ws != nil {
		ws.Close(cause)
	}
}

// ending returns why the connection is to end although it was not sent READY yet; nil if it
// is not.
func (c *connection) ending() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// ready returns the WebSocket connection; nil before READY.
func (c *connection) ready() *zws.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws
}

// ended reports whether the connection is over, or is to end although it was not sent READY yet.
func (c *connection) ended() bool {
	if ws := c.ready(); ws != nil {
		return ws.Cause() != nil
	}
	return c.ending() != nil
}

// user returns the name that the login was made for, which renewals keep.
func (c *connection) user() string { return c.login.Load().User() }

// all returns the streams that are open.
func (c *connection) all() []*stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.only != nil {
		return []*stream{c.only}
	}
	return slices.Collect(maps.Keys(c.streams))
}

// add adds a stream that was sent READY. Lock held on entry, as in remove.
func (c *connection) add(s *stream) {
	switch {
	case c.only == nil && len(c.streams) == 0:
		c.only = s
		return
	case c.streams == nil:
		c.streams = make(map[*stream]bool)
	}
	if c.only != nil {
		c.streams[c.only] = true
		c.only = nil
	}
	c.streams[s] = true
}

func (c *connection) remove(s *stream) {
	if c.only == s {
		c.only = nil
	}
	delete(c.streams, s)
}

// renew replaces the login by a renewed one of the same user. The connection's reader calls
// it.
func (c *connection) renew(ctx context.Context, l *zws.Login) error {
	if err := c.schedule(l.Reply); err != nil {
		return err
	}
	c.login.Store(l)
	if c.set.o.Logins.Revoked(l.Reply) { // by a change while it was judged
		return errRevoked
	}
	for _, s := range c.all() {
		if err := s.reevaluate(ctx); err != nil {
			s.end(err)
		}
	}
	if cause := c.ready().Cause(); cause != nil { // its reader renews it, so there was READY
		return cause
	}
	return nil
}

package zws

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// PendingConn is a client that the ZAP handler has let in and that waits for READY. The
// caller opens what the client came for and then calls Accept or Reject, once.
type PendingConn struct {
	h    *handshake
	stop func() bool // detaches the context that was given to zws.Accept
	// unwatch ends the goroutine that notices a client that leaves.
	unwatch func()
}

// AcceptOptions configure an accepted connection or channel. The zero value is right
// except for relays.
type AcceptOptions struct {
	// Renew, if not nil, is called when the client has sent another token (BEARER) and the
	// ZAP handler has let the same user in again; l is the login that replaces the first.
	// An error ends the connection, as Cause translates it. Nil accepts all renewals. The
	// goroutine that reads the connection calls it, so nothing is read meanwhile. It is not
	// used for channels: renewals belong to the connection.
	Renew func(ctx context.Context, l *Login) error
	// RenewalRefused, if not nil, is called when the login was not renewed: by the handler or by
	// Renew, and the connection ends for that cause, or with CodeTemporary, and the login stays
	// until it expires. l has the credentials that were refused. The goroutine that reads the
	// connection calls it. It is not used for channels.
	RenewalRefused func(l *Login, cause *CloseError)
	// History is set if the route keeps a history: a client that asked for one is told so and
	// gets the positions of messages.
	History bool
	// Request, if not nil, is called for what a client that asked for history (Login.History)
	// asks beside messages, in order with its messages, by the goroutine that reads the
	// channel; what the caller has read and holds back must be dealt with first. It is called
	// whether or not the route keeps a history. An error ends the channel. Nil ignores what
	// the client asks.
	Request func(ctx context.Context, r *HistoryRequest) error
	// Confirmed, if not nil, is called with the token of Batch.Confirm once the client has
	// answered the ping that followed, by the goroutine that reads the connection. It must not
	// wait.
	Confirmed func(token uint64)
	// Minor is the minor version of ZMTP 3 that the backend of a relay uses, for clients
	// that understand it (Login.Greets). It is not used elsewhere.
	Minor byte
}

// Login returns the login that is pending.
func (p *PendingConn) Login() *Login { return p.h.conn.Login() }

// Context ends with the connection: when the context that was given to zws.Accept does, when
// the client leaves, or by Reject. It is for what the caller does before it decides.
func (p *PendingConn) Context() context.Context { return &p.h.conn.life }

// Accept sends READY, or what the dialect has instead, and returns the connection, which
// the caller ends with Close. If the connection has ended meanwhile, the error is its
// cause, a *CloseError.
func (p *PendingConn) Accept(o AcceptOptions) (*Conn, error) {
	defer p.stop()
	p.unwatch()
	h, c := p.h, p.h.conn
	if c.life.over() {
		return nil, h.fail(c.Cause())
	}
	if c.renewal != nil {
		c.renewal.accept, c.renewal.refused = o.Renew, o.RenewalRefused
	}
	c.channel.history.begin(c.Login(), o)
	if confirmed := o.Confirmed; confirmed != nil {
		c.confirmed.Store(&confirmed)
	}
	c.wire.SetReadDeadline(time.Time{})
	if c.dialect.ready != nil {
		c.dialect.ready(h, o)
	}
	if c.dialect.inner == "" { // on a relay READY is not visible here
		c.silent.Store(false)
	}
	c.liveness.start(c, h.options.PingInterval)
	return c, nil
}

// Reject sends what Cause makes of err and closes the connection: an ERROR command instead
// of READY if the dialect has commands and the cause a status, then a close frame. It
// returns when the connection is closed, within Options.WriteTimeout and two seconds, and
// returns what the client was told: an earlier cause if the connection had already ended.
func (p *PendingConn) Reject(err error) *CloseError {
	defer p.stop()
	p.unwatch()
	return p.h.fail(err)
}

// accept upgrades the request and runs the first-message rule up to READY.
func (h *handshake) accept(ctx context.Context, w http.ResponseWriter, r *http.Request) (*PendingConn, error) {
	c, err := newConn(w, r, h.chosen, h.options)
	if err != nil {
		return nil, err
	}
	h.conn = c
	h.helloDue = c.dialect.inner != "" && c.dialect.hello
	stop := context.AfterFunc(ctx, func() { c.Close(context.Cause(ctx)) })
	if !h.libzmq { // which takes a ping before READY for a command of the handshake
		c.liveness.start(c, h.options.PingInterval)
	}

	c.reading.take()
	err = c.dialect.login(h, &c.life)
	c.reading.put()
	h.attempted(err)
	if err != nil {
		defer stop()
		return nil, h.fail(err)
	}
	h.options.Attempt = nil // it has the credentials, and a login that can be renewed keeps the options
	login := h.login
	c.login.Store(&login)
	c.channel.readFirst(login.Wishes().Subscribe)
	return &PendingConn{h, stop, c.watch()}, nil
}

// fail sends the client the reason and closes the connection. The ERROR replaces the
// WELCOME or READY that the client waits for.
func (h *handshake) fail(err error) *CloseError {
	c := h.conn
	cause := Cause(err)
	if cause.Status != 0 && h.helloDue {
		c.reading.take()
		h.awaitHello()
		c.reading.put()
	}
	if cause.Status != 0 && !h.errorSent && c.dialect.commands && !c.life.over() {
		c.send(h.errorCommand(cause.Status))
	}
	c.Close(cause)
	c.Wait()
	return c.Cause()
}

// errorCommand returns an ERROR with the status, or with 400 if the status is not an error.
func (h *handshake) errorCommand(status zap.Status) zmtp.Command {
	if status == zap.OK || !status.Valid() {
		status = zap.Refused
	}
	name := "ERROR"
	if d := h.conn.dialect; h.libzmq && (d.mechanism == zap.PLAIN || d.inner == zap.PLAIN) {
		name = "^RROR" // see zmtp.ServerSecurity.LibzmqError
	}
	return zmtp.Command{Name: name, Data: fmt.Appendf([]byte{3}, "%d", status)}
}

// PendingChannel is a channel that a client of ZWSMUX1.0 asks for. The caller opens what it
// asks for and then calls Accept or Reject, once.
type PendingChannel struct{ ch *muxChannel }

// Request returns what the client asks for.
func (p *PendingChannel) Request() *ChannelRequest { return &p.ch.request }

// Login returns a copy of the connection's login, with what the client asks for on this
// channel.
func (p *PendingChannel) Login() *Login { return p.ch.Login() }

// Context ends with the channel, which the client can close while it is pending.
func (p *PendingChannel) Context() context.Context { return &p.ch.life }

// Accept tells the client that its channel is open and returns it; the caller ends it with
// Close. If the channel has ended meanwhile, the error is its cause, a *CloseError.
func (p *PendingChannel) Accept(o AcceptOptions) (*Channel, error) {
	f := muxframe.Frame{Op: muxframe.Opened}
	if p.ch.request.Relay != "" {
		f = muxframe.Frame{Op: muxframe.Relayed, Minor: o.Minor}
	}
	history := &p.ch.history
	if history.begin(p.ch.Login(), o); history.asked {
		f.Op = muxframe.OpenedHistory
		if history.marked {
			f.Flags = muxframe.FlagHistory
		}
	}
	if !p.ch.opened(f) {
		p.ch.release()
		return nil, p.ch.cause()
	}
	return &p.ch.Channel, nil
}

// Reject closes the channel and tells the client what Cause makes of err. It returns what
// the client was told: an earlier cause if the channel had already ended. It does not
// block.
func (p *PendingChannel) Reject(err error) *CloseError {
	p.ch.close(err)
	p.ch.release()
	return p.ch.cause()
}

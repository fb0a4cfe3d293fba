package zws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// PendingConn is a client that the ZAP handler has let in and that waits for READY. The
// caller opens what the client came for, and then calls Accept or Reject once.
type PendingConn struct {
	h    *handshake
	stop func() bool // detaches the context that was given to zws.Accept
}

// AcceptOptions are what an accepted connection or channel needs to know. The zero value
// will do except for relays.
type AcceptOptions struct {
	// Renew, if not nil, is called when the client has sent another token (BEARER) and the
	// ZAP handler has let the same user in again; l is the login that replaces the first.
	// An error ends the connection, as Cause has it. Nil means that renewals are accepted.
	// On a channel it is not used: a renewal is the connection's. The connection's reader
	// calls it, so nothing is read meanwhile.
	Renew func(ctx context.Context, l *Login) error
	// Minor is the minor version of ZMTP 3 that the peer behind a relay speaks, for clients
	// that can be told (Login.Greets). Not used elsewhere.
	Minor byte
}

// Login is who waits. Nobody renews it before Accept.
func (p *PendingConn) Login() *Login { return p.h.conn.Login() }

// Context ends when the connection does: with the context that was given to zws.Accept, or
// by Reject. It is for what the caller waits for before it decides.
func (p *PendingConn) Context() context.Context { return p.h.conn.ctx }

// Accept sends READY, or what the dialect has instead, and returns the connection, which the
// caller ends with Close. If the connection has ended meanwhile the error is its cause, a
// *CloseError.
func (p *PendingConn) Accept(o AcceptOptions) (*Conn, error) {
	defer p.stop()
	h, s := p.h, p.h.conn
	if s.ctx.Err() != nil {
		return nil, h.fail(s.Cause())
	}
	if s.renewal != nil {
		s.renewal.renew = o.Renew
	}
	s.wire.SetReadDeadline(time.Time{})
	if s.dialect.ready != nil {
		s.dialect.ready(h, o)
	}
	if s.dialect.inner == "" { // on a relay nobody here sees READY
		s.silent.Store(false)
	}
	s.liveness.start(s, h.options.PingInterval)
	return s, nil
}

// Reject sends the client what Cause makes of err, an ERROR command in READY's place if the
// dialect has commands and the client may not try again, and closes the connection. It
// returns when that is done, within Options.WriteTimeout and two seconds, and gives what
// the client was told: an earlier cause, if the connection had ended already.
func (p *PendingConn) Reject(err error) *CloseError {
	defer p.stop()
	return p.h.fail(err)
}

// accept upgrades the request and runs the first-message rule up to READY.
func (h *handshake) accept(ctx context.Context, w http.ResponseWriter, r *http.Request) (*PendingConn, error) {
	s, err := newConn(w, r, h.chosen, h.options)
	if err != nil {
		return nil, err
	}
	h.conn = s
	h.helloDue = s.dialect.inner != "" && s.dialect.hello
	stop := context.AfterFunc(ctx, func() { s.Close(context.Cause(ctx)) })

	s.reading <- struct{}{}
	err = h.chosen.dialect.login(h, s.ctx)
	<-s.reading
	if err != nil {
		defer stop()
		return nil, h.fail(err)
	}
	login := h.login
	s.login.Store(&login)
	for _, topic := range login.Subscribe {
		s.channel.first = append(s.channel.first, subscription(1, topic))
	}
	return &PendingConn{h, stop}, nil
}

// fail sends the client the reason and closes the connection. The ERROR takes the place of
// the WELCOME or READY that is due.
func (h *handshake) fail(err error) *CloseError {
	s := h.conn
	cause := Cause(err)
	if cause.Status != 0 && h.helloDue {
		s.reading <- struct{}{}
		h.awaitHello()
		<-s.reading
	}
	if cause.Status != 0 && !h.errorSent && s.dialect.commands && s.ctx.Err() == nil {
		s.send(h.errorCommand(cause.Status))
	}
	s.Close(cause)
	s.Wait()
	return s.Cause()
}

// errorCommand makes the ERROR with a status, 400 unless it is one.
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

// PendingChannel is a channel that a client of ZWSMUX1.0 has asked for. The caller opens
// what it asks for, and then calls Accept or Reject once.
type PendingChannel struct{ c *muxChannel }

// Request is what the client asks for.
func (p *PendingChannel) Request() *ChannelRequest { return &p.c.request }

// Login is the connection's login, with what the client has asked for on this channel. It is
// a copy.
func (p *PendingChannel) Login() *Login { return p.c.Login() }

// Context ends with the channel, which the client can close while it is pending.
func (p *PendingChannel) Context() context.Context { return p.c.ctx }

// Accept tells the client that its channel is open and returns it; the caller ends it with
// Close. If it has ended meanwhile, the error is its cause, a *CloseError.
func (p *PendingChannel) Accept(o AcceptOptions) (*Channel, error) {
	f := muxFrame{op: muxOpened}
	if p.c.request.Relay != "" {
		f = muxFrame{op: muxRelayed, minor: o.Minor}
	}
	if !p.c.opened(f) {
		p.c.release()
		return nil, p.c.cause()
	}
	return &p.c.Channel, nil
}

// Reject closes the channel and tells the client what Cause makes of err. It gives what the
// client was told: an earlier cause, if the channel had ended already. It does not block.
func (p *PendingChannel) Reject(err error) *CloseError {
	p.c.close(err)
	p.c.release()
	return p.c.cause()
}

var errOneChannel = errors.New("zws: NextChannel on a connection that has one channel")

// NextChannel reads a connection of ZWSMUX1.0 and returns the next channel that the client
// asks for. It is the reader of all channels, so the caller loops in it and serves each
// channel in a goroutine of its own, which it waits for itself. The error is the cause of
// the connection's end, a *CloseError. If ctx ends, so does the connection. One goroutine
// at a time may call it; after Close it returns within two seconds.
func (s *Conn) NextChannel(ctx context.Context) (*PendingChannel, error) {
	if s.mux == nil {
		return nil, errOneChannel
	}
	defer context.AfterFunc(ctx, func() { s.Close(context.Cause(ctx)) })()
	if s.ctx.Err() != nil {
		return nil, s.Cause()
	}
	s.reading <- struct{}{}
	defer func() { <-s.reading }()
	s.liveness.listening.Store(true)
	defer s.liveness.listening.Store(false)
	s.wire.await()
	for {
		opened, err := s.mux.read()
		if err != nil {
			s.Close(err)
		}
		if s.ctx.Err() != nil {
			return nil, s.Cause()
		}
		if opened != nil {
			return &PendingChannel{opened}, nil
		}
	}
}

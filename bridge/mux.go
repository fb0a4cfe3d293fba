package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// serveChannels serves the channels of a client that has many on its connection (ZWSMUX1.0).
// It returns when the connection and all channels have ended.
func (s *session) serveChannels(ctx context.Context, conn *zws.Conn) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		p, err := conn.NextChannel(ctx)
		if err != nil {
			return
		}
		running.Go(func() { s.serveChannel(p) })
	}
}

// serveChannel serves one channel: a session with the login of the connection, on the route
// that the channel names. It returns when the channel has ended.
func (s *session) serveChannel(p *zws.PendingChannel) {
	b, l, ctx := s.bridge, p.Login(), p.Context()
	r := b.state.Load().routes[p.Request().Route]
	if err := s.mayOpen(r, l, p.Request()); err != nil {
		s.refuseChannel(r, p, err)
		return
	}
	carried := b.carry(s, r)
	defer carried.release()
	if err := carried.connect(ctx, l); err != nil {
		s.refuseChannel(r, p, err)
		return
	}
	c, err := p.Accept(zws.AcceptOptions{Minor: carried.minor()})
	if err != nil {
		s.refuseChannel(r, p, err)
		return
	}
	carried.start(c)
	carried.catchUp(ctx, l)
	r.metrics.Started(carried.ws.Login().Dialect, time.Since(carried.since))
	b.log.LogAttrs(ctx, slog.LevelInfo, "channel opened", carried.attributes()...)
	for {
		m, err := c.ReadMessage()
		if err != nil || carried.forward(ctx, m) != nil { // the client has been told
			carried.ended(ctx)
			return
		}
	}
}

// catchUp gives a session that has just started what it has missed while it connected: its
// login may have been renewed, and the users may have changed.
func (s *session) catchUp(ctx context.Context, l *zws.Login) {
	if s.newest(l).Reply != l.Reply {
		if err := s.reconsider(ctx, l); err != nil {
			s.end(err)
		}
	}
	s.revise(ctx, s.bridge.state.Load().auth, l)
}

// mayOpen tells what speaks against a channel on r, and makes a client that names no
// socket type what the route takes it for. The ZAP handler has judged the login for the
// domain of the path that the client has connected to; a route with another would have its
// own answer.
func (s *session) mayOpen(r *route, l *zws.Login, request *zws.ChannelRequest) error {
	if r == nil {
		return &zws.CloseError{Code: zws.CodeNoRoute, Status: zap.Refused, Reason: "there is no such route"}
	}
	o := &r.rules.Load().options
	if l.SocketType == "" {
		l.SocketType = o.Untyped
	}
	refusal := &zws.CloseError{Code: zws.CodeNotTaken, Status: zap.Refused}
	switch {
	case r.config.Relay && l.Relayed == "":
		refusal.Reason = "this route is a relay: open it as one"
	case !r.config.Relay && l.Relayed != "":
		refusal.Reason = "this route is no relay: open it as any other"
	case o.Domain != s.domain:
		refusal.Code, refusal.Reason = zws.CodeForbidden, "this route has logins of its own: connect to it"
	case l.Mechanism == zap.NULL && !slices.Contains(o.Mechanisms, zap.NULL):
		refusal.Code, refusal.Reason = zws.CodeRefused, "a login is wanted here"
	case !slices.Contains(o.Mechanisms, l.Mechanism):
		refusal.Reason = string(l.Mechanism) + " is not taken here"
	case !slices.Contains(o.ClientTypes, l.SocketType):
		refusal.Reason = "a " + string(l.SocketType) + " socket cannot be served here"
	case len(request.Subscribe) > 0 && l.SocketType != zmtp.SUB && l.SocketType != zmtp.XSUB:
		refusal.Reason = "only SUB and XSUB have subscriptions: on this route you are a " + string(l.SocketType)
	default:
		return nil
	}
	return refusal
}

// refuseChannel tells the client why its channel is not opened, and counts and logs it: err,
// unless the channel has ended meanwhile.
func (s *session) refuseChannel(r *route, p *zws.PendingChannel, err error) {
	if ctx := p.Context(); ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	p.Reject(err)
	s.bridge.metrics.Refused(pathOf(r), zws.Cause(err))
	s.bridge.log.LogAttrs(s.bridge.ctx, slog.LevelInfo, "channel refused", append(s.attributes(),
		slog.String("channel", fmt.Sprintf("%.200s", p.Request().Route)), slog.String("error", err.Error()))...)
}

// carry registers a session on the connection of carrier.
func (b *Bridge) carry(carrier *session, r *route) *session {
	s := b.enter(r, carrier.from, carrier.domain)
	s.carrier = carrier
	carrier.mu.Lock()
	defer carrier.mu.Unlock()
	if carrier.carried == nil {
		carrier.carried = make(map[*session]bool)
	}
	carrier.carried[s] = true
	return s
}

// release gives back what the session holds, and last its place on the connection.
func (s *session) release() {
	s.close()
	s.putDown()
	if s.ws != nil { // otherwise the channel was rejected
		s.ws.Close(nil)
	}
}

// putDown is leave for a session that is carried.
func (s *session) putDown() {
	s.carrier.mu.Lock()
	delete(s.carrier.carried, s)
	s.carrier.mu.Unlock()
	s.bridge.leave(s)
}

// renewCarried gives the sessions on this connection the rights of its renewed login.
func (s *session) renewCarried(ctx context.Context, l *zws.Login) {
	s.mu.Lock()
	all := make([]*session, 0, len(s.carried))
	for c := range s.carried {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		if c.connection() == nil {
			continue // it is about to start, and looks for itself then
		}
		if err := c.reconsider(ctx, l); err != nil {
			c.end(err)
		}
	}
}

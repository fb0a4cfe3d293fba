package conn

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// serveMultiplexed serves a connection of ZWSMUX1.0, whose streams the client opens and
// closes.
func (c *connection) serveMultiplexed(p *zws.PendingConn) error {
	var o zws.AcceptOptions
	if p.Login().Mechanism == zap.BEARER {
		o.Renew, o.RenewalRefused = c.renew, c.renewalRefused
	}
	ws, err := p.Accept(o)
	if err != nil {
		return err
	}
	c.start(ws)
	c.started(c.set, "session started", c.login.Load())
	c.reevaluate(c.set.ctx)
	channels := new(sync.WaitGroup)
	ws.ServeChannels(func(p *zws.PendingChannel) {
		channels.Add(1)
		go c.openChannel(p, channels)
	}, func() {
		ws.Wait()
		channels.Wait()
		c.stop()
		c.session.ended(c.set, c.login.Load(), ws.Cause(), 0)
		c.set.leave(c.from)
	})
	return nil
}

// openChannel opens one channel: a stream with the login of the connection, on the route
// that the channel names, or else on the one that the client has connected to. channels counts it
// until it is over.
func (c *connection) openChannel(p *zws.PendingChannel, channels *sync.WaitGroup) {
	s := c.acceptChannel(p)
	if s == nil {
		channels.Done()
		return
	}
	s.channel.Serve(s.handle, func() {
		s.channel.Close(nil) // gives its place back, if the client has closed it
		s.stop()
		channels.Done()
	})
}

// acceptChannel returns the stream of a channel; nil if the client was refused.
func (c *connection) acceptChannel(p *zws.PendingChannel) *stream {
	ctx, l := p.Context(), p.Login()
	path := cmp.Or(p.Request().Route, c.route.Path())
	rt := c.set.o.Route(path)
	s, err := c.openStream(ctx, rt, l, p.Request())
	if err == nil && s.ending() != nil { // while it was opened
		err = s.ending()
		s.close()
	}
	if err != nil {
		c.set.refusedChannel(c, rt, path, p.Reject(closeCause(err)))
		return nil
	}
	channel, err := p.Accept(s.acceptOptions(l))
	if err != nil {
		s.close()
		c.set.refusedChannel(c, rt, path, err)
		return nil
	}
	s.start(channel, "channel opened")
	s.catchUp(ctx)
	return s
}

// openStream opens a stream if the login is good for the route.
func (c *connection) openStream(ctx context.Context, rt *route.Route, l *zws.Login, request *zws.ChannelRequest) (*stream, error) {
	if cause := c.set.Closing(); cause != nil && rt == nil { // the next bridge has the route
		c.end(cause)
		return nil, cause
	}
	if rt == nil {
		return nil, c.set.NoRoute()
	}
	if l.SocketType == "" {
		l.SocketType = rt.Rules().Options.Untyped
	}
	if err := c.mayOpen(rt, l, request); err != nil {
		return nil, err
	}
	return c.open(ctx, &session{number: c.set.next(), route: rt, from: c.from, since: time.Now()}, l)
}

// mayOpen returns why a channel cannot be opened on rt. The ZAP handler has judged the login
// for the domain of the path that the client has connected to; a route with another domain
// needs a login of its own.
func (c *connection) mayOpen(rt *route.Route, l *zws.Login, request *zws.ChannelRequest) error {
	if err := rt.OpenAs(l); err != nil {
		return err
	}
	o := &rt.Rules().Options
	refusal := &zws.CloseError{Code: zws.CodeNotTaken, Status: zap.Refused}
	switch {
	case o.Domain != c.domain:
		refusal.Code, refusal.Reason = zws.CodeForbidden, "this route has logins of its own: connect to it"
	case !c.from.Named && rt.TakesNULL(): // as Bridge.ServeHTTP does for those that connect to it
		refusal.Code, refusal.Reason = zws.CodeForbidden, "without TLS this route needs a Host that is in server.allowed_hosts"
	case l.Mechanism == zap.NULL && !slices.Contains(o.Mechanisms, zap.NULL):
		refusal.Code, refusal.Reason = zws.CodeRefused, "authentication required"
	case !slices.Contains(o.Mechanisms, l.Mechanism):
		refusal.Reason = "this route does not accept " + string(l.Mechanism) + " logins"
	case !slices.Contains(o.ClientTypes, l.SocketType):
		refusal.Reason = "this route does not serve " + string(l.SocketType) + " sockets"
	case len(request.Subscribe) > 0 && !l.SocketType.Subscribes():
		refusal.Reason = "only SUB and XSUB subscribe: on this route the channel is a " + string(l.SocketType)
	default:
		return nil
	}
	return refusal
}

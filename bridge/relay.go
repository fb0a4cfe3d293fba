package bridge

import (
	"context"
	"errors"
	"log/slog"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// relays connects each channel of a route with `relay` to the backend, where the client
// logs in itself. A frame, flag octet and body, is a message on the way through.
type relays struct {
	route   *route
	event   func(backend.Status)
	allowed allowedEndpoints
}

func newRelays(r *route, log *slog.Logger) *relays {
	return &relays{route: r, event: r.watch(log), allowed: newAllowedEndpoints(r.config.EndpointsAllowed)}
}

func (u *relays) attach(ctx context.Context, s *session, l *zws.Login, c *channel) (backend.Socket, error) {
	limits := &u.route.rules.Load().options // which a reload may have changed
	o := backend.RelayOptions{
		Mechanism:      l.Relayed,
		MaxFrame:       limits.MaxMessage,
		MaxHandshake:   limits.MaxHandshake,
		ConnectTimeout: u.route.config.ConnectTimeout,
		ClientTimeout:  limits.HandshakeTimeout,
		Event:          u.event,
		Ended:          s.finish,
	}
	var err error
	if o.Address, o.Permit, err = u.allowed.reach(u.route.config.Connect[0].Endpoint, l); err != nil {
		return nil, err
	}
	if plaintext := o.Mechanism == zap.PLAIN || o.Mechanism == zap.BEARER; plaintext && !u.route.config.InsecurePlaintext && !config.LocalEndpoint(o.Address) {
		return nil, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: string(o.Mechanism) + " would go to the backend in the clear: log in there with CURVE"}
	}
	if l.Greets { // others speak as ZMTP 3.0: 45/ZWS has no PING, and subscriptions are messages
		o.Minor = 1
	}
	relay, err := backend.DialRelay(ctx, o, c)
	switch {
	case errors.Is(err, errAbroad):
		return nil, notReached(err)
	case err != nil:
		return nil, err
	}
	c.relay = relay
	return relay, nil
}

func (u *relays) statuses() []backend.Status { return nil }
func (u *relays) close()                     {}

// minor is the version of ZMTP 3 that the backend of a relay speaks; 0 for other routes.
func (s *session) minor() byte {
	if s.channel == nil || s.channel.relay == nil {
		return 0
	}
	return s.channel.relay.Minor()
}

// source is where the client's output comes from.
func (s *session) source() zws.Source {
	if s.channel.relay != nil {
		return relaySource{timely{s}}
	}
	return timely{s}
}

// finish ends the session once all that is queued for the client has been written: it is
// what a relay's backend has said last.
func (s *session) finish(cause error) {
	s.mu.Lock()
	s.parting = cause
	s.mu.Unlock()
	s.wake()
}

// relaySource is timely for a session that may have to finish.
type relaySource struct{ timely }

// Next implements zws.Source.
func (r relaySource) Next(b *zws.Batch) {
	r.timely.Next(b)
	r.mu.Lock()
	cause := r.parting
	r.mu.Unlock()
	if messages, _ := r.channel.queue.Len(); cause != nil && messages == 0 && !b.Full() {
		r.end(cause) // takes effect after this batch
	}
}

// wholePrivileges are those of a login on a relay, where nothing can be looked at: all that
// the route's socket can do, or none.
func (r *rules) wholePrivileges(granted *rights.Rights) (*privileges, error) {
	receive, send := granted.Whole()
	needsReceive, needsSend := rights.RelayNeeds(r.socket)
	if needsReceive && !receive || needsSend && !send {
		return nil, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: "your rights here are not for all topics, and a relay cannot keep rights per topic"}
	}
	return newPrivileges(r, rights.Combine()), nil
}

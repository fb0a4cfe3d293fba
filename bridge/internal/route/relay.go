package route

import (
	"context"
	"errors"
	"net/netip"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// relays connects each stream of a route with `relay` to the backend, where the client logs
// in itself. Each frame, flag byte and body, is one message.
type relays struct {
	*Route
	sockets linkedSockets[*relaySocket]
}

// relaySocket is a stream's connection to the backend.
type relaySocket struct {
	unfiltered
	address string
	source  backend.Source
	route   *relays
	client  *Client
}

func (r *relays) attach(ctx context.Context, c *Client) (*Attachment, error) {
	limits := &r.Rules().Options // which a reload may have changed
	l := r.links.Load()
	o := backend.RelayOptions{
		Mechanism:      c.Login.Relayed,
		MaxFrame:       limits.MaxMessage,
		MaxHandshake:   limits.MaxHandshake,
		ConnectTimeout: l.connectTimeout,
		ClientTimeout:  limits.HandshakeTimeout,
		Event:          r.socketOptions.Event,
		Ended:          c.Finish,
	}
	var err error
	if o.Address, o.Permit, err = l.relayed(c.Login); err != nil {
		return nil, err
	}
	if plaintext := o.Mechanism == zap.PLAIN || o.Mechanism == zap.BEARER; plaintext && !l.insecurePlaintext && !zmtp.IsLocal(o.Address) {
		return nil, forbidden(string(o.Mechanism) + " would go to the backend in the clear: log in there with CURVE")
	}
	if c.Login.Greets { // others speak as ZMTP 3.0: 45/ZWS has no PING, and subscriptions are messages
		o.Minor = 1
	}
	relay, err := backend.DialRelay(ctx, o, c.Receiver)
	if err != nil {
		return nil, disallowed(err)
	}
	s := &relaySocket{unfiltered{relay}, o.Address, l.connect[0].Source, r, c}
	r.sockets.add(r.Route, s, l)
	return &Attachment{Socket: s, Minor: relay.Minor(), Dedicated: true}, nil
}

// relayed returns where a client of a relay is connected to.
func (l *links) relayed(login *zws.Login) (address string, permit func(netip.AddrPort) error, err error) {
	if len(l.connect) == 0 {
		return "", nil, &backend.Error{Kind: backend.KindUnreachable, Err: errors.New("no endpoint is known at present")}
	}
	return l.allowed.resolve(l.connect[0].Address, login)
}

// prepare implements upstream: streams to another backend end.
func (r *relays) prepare(l *links) (apply func(), err error) {
	return func() { r.sockets.relink(l) }, nil
}

// errBackendChanged ends the streams of a relay, whose handshake was with one backend.
var errBackendChanged = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "the backend of this route was changed: connect again"}

// relink ends the stream if l leads it to another backend.
func (s *relaySocket) relink(l *links) {
	if address, _, err := l.relayed(s.client.Login); err != nil || address != s.address {
		s.client.End(errBackendChanged)
	}
}

// Status implements backend.Socket.
func (s *relaySocket) Status() []backend.Status {
	list := s.unfiltered.Status()
	for i := range list {
		list[i].Position, list[i].Source = 1, s.source
	}
	return list
}

func (s *relaySocket) Close() error {
	s.route.sockets.remove(s)
	return s.unfiltered.Close()
}

// statuses implements upstream: the endpoint, if no stream has a connection to it.
func (r *relays) statuses() []backend.Status { return r.sockets.unused(r.Route) }

func (s *relaySocket) addUsed(used map[string]bool) { used[s.address] = true }

func (r *relays) close() {}

// OpenAs returns why a channel cannot be opened on the route the way that the client of
// ZWSMUX1.0 asks for: as a relay, or not as one.
func (r *Route) OpenAs(l *zws.Login) error {
	switch {
	case r.relay && l.Relayed == "":
		return &zws.CloseError{Code: zws.CodeNotTaken, Status: zap.Refused, Reason: "this route is a relay: open it as one"}
	case !r.relay && l.Relayed != "":
		return &zws.CloseError{Code: zws.CodeNotTaken, Status: zap.Refused, Reason: "this route is not a relay: open it without one"}
	}
	return nil
}

package route

import (
	"context"
	"errors"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// newUpstream chooses how streams are served.
func (r *Route) newUpstream() (upstream, error) {
	switch {
	case r.relay:
		return &relays{Route: r}, nil
	case r.archive != nil && r.archive.share != nil:
		return newClustered(r), nil
	case r.listens:
		socket, err := r.listen()
		return newShared(r, socket, err)
	case r.shared:
		socket, err := r.dialShared()
		return newShared(r, socket, err)
	}
	return &dedicated{Route: r}, nil
}

// dedicated opens a socket for each stream, as is needed where the client's own credentials
// are passed on and where replies must find their way back.
type dedicated struct {
	*Route
	group   backend.Group
	sockets linkedSockets[*dedicatedSocket]
}

// dedicatedSocket is a stream's own socket.
type dedicatedSocket struct {
	unfiltered
	dialed *backend.Dedicated
	route  *dedicated
	client *Client
}

func (d *dedicated) attach(ctx context.Context, c *Client) (*Attachment, error) {
	l := d.links.Load()
	o, err := d.dialOptions(l, c)
	if err != nil {
		return nil, err
	}
	if o.RoutingID, err = d.routingID(c); err != nil {
		return nil, err
	}
	o.Budget, o.Group, o.Poller = c.Sent, &d.group, c.Poller
	if d.socket == zmtp.REP {
		o.MayReceive = c.MayReceive
	}
	dialed, err := backend.Dial(ctx, o, c.Receiver)
	if err != nil {
		return nil, disallowed(err)
	}
	s := &dedicatedSocket{unfiltered{dialed}, dialed, d, c}
	d.sockets.add(d.Route, s, l)
	return &Attachment{Socket: s, Dedicated: true}, nil
}

// prepare implements upstream. What cannot be resolved concerns single streams.
func (d *dedicated) prepare(l *links) (apply func(), err error) {
	return func() { d.sockets.relink(l) }, nil
}

// relink connects the socket to the endpoints of l.
func (s *dedicatedSocket) relink(l *links) {
	o, err := s.route.dialOptions(l, s.client)
	if err == nil {
		err = s.dialed.Update(o)
	}
	if err != nil && !errors.Is(err, backend.ErrClosed) {
		s.route.unresolved(s.client, err)
	}
}

// Recheck has the endpoints tried again that have refused a login of the client that was renewed
// since.
func (s *dedicatedSocket) Recheck() {
	if s.route.links.Load().credentials.passThrough {
		s.dialed.Renewed()
	}
}

func (s *dedicatedSocket) Close() error {
	s.route.sockets.remove(s)
	return s.dialed.Close()
}

// disallowed turns the refusal of a resolved address into what the client is told.
func disallowed(err error) error {
	if errors.Is(err, errDisallowedAddress) {
		return noBackend(err)
	}
	return err
}

// routingID is the routing id that the backend knows the stream by; empty if the backend
// chooses one.
func (d *dedicated) routingID(c *Client) ([]byte, error) {
	switch {
	case d.stampRoutingID:
		return stampedRoutingID(c.Login, c.Number)
	case d.clientRoutingID:
		return c.Login.RoutingID, nil
	}
	return nil, nil
}

// statuses implements upstream: the endpoints to which no stream has a connection.
func (d *dedicated) statuses() []backend.Status { return d.sockets.unused(d.Route) }

func (s *dedicatedSocket) addUsed(used map[string]bool) {
	for _, one := range s.dialed.Status() {
		used[one.Address] = true
	}
}

func (d *dedicated) close() {}

// unfiltered is a socket whose receiver checks each message itself.
type unfiltered struct{ backend.Socket }

func (u unfiltered) Subscribe(ctx context.Context, _ bool, topics ...[]byte) error {
	return u.Socket.Subscribe(ctx, topics...)
}

// dialOptions are the options for connecting a client by l. It is nil for the socket that all
// clients share, where the login at the backends depends on none of them.
func (r *Route) dialOptions(l *links, c *Client) (backend.DialOptions, error) {
	o := backend.DialOptions{
		Options: l.options(r.socketOptions), Ready: l.ready, ConnectTimeout: l.connectTimeout,
		Backoff: l.backoff, MaxBackoff: l.maxBackoff,
		HonorError: l.credentials.passThrough,
	}
	var err error
	o.Endpoints, err = l.resolved(c)
	return o, err
}

// dialShared opens a socket that all clients share.
func (r *Route) dialShared() (*backend.Shared, error) {
	o, err := r.dialOptions(r.links.Load(), nil)
	if err != nil {
		return nil, err
	}
	return backend.DialShared(o)
}

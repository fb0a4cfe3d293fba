package route

import (
	"context"
	"errors"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// newUpstream chooses how streams are served.
func (r *Route) newUpstream() (upstream, error) {
	switch {
	case r.relay:
		return relays{r}, nil
	case len(r.bind) > 0:
		socket, err := r.listen()
		return newShared(r, socket, err)
	case r.shared:
		socket, err := r.dialShared()
		return newShared(r, socket, err)
	}
	return dedicated{r}, nil
}

// dedicated opens a socket for each stream, as is needed where the client's own credentials
// are passed on and where replies must find their way back.
type dedicated struct{ *Route }

func (d dedicated) attach(ctx context.Context, c *Client) (*Attachment, error) {
	o := d.dialOptions()
	for _, e := range d.connect {
		if len(c.Login.Connect) > 0 && !slices.Contains(c.Login.Connect, e.address) {
			continue // webtalk: the client chose among the route's endpoints
		}
		security, err := d.credentials.security(e, c.Login)
		if err != nil {
			return nil, err
		}
		address, permit, err := d.allowed.resolve(e.address, c.Login)
		if err != nil {
			return nil, err
		}
		o.Endpoints = append(o.Endpoints, backend.Endpoint{
			Address: address, Security: security, Permit: permit,
			Renew: func() (zmtp.ClientSecurity, error) { return d.credentials.security(e, c.Login) },
		})
	}
	var err error
	if o.RoutingID, err = d.routingID(c); err != nil {
		return nil, err
	}
	o.HonorError = d.credentials.passThrough
	if d.socket == zmtp.REP {
		o.MayReceive = c.MayReceive
	}
	socket, err := backend.Dial(ctx, o, c.Receiver)
	if err != nil {
		return nil, disallowed(err)
	}
	return &Attachment{Socket: unfiltered{socket}}, nil
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
func (d dedicated) routingID(c *Client) ([]byte, error) {
	switch {
	case d.stampRoutingID:
		return stampedRoutingID(c.Login, c.Number)
	case d.clientRoutingID:
		return c.Login.RoutingID, nil
	}
	return nil, nil
}

func (d dedicated) statuses() []backend.Status { return nil }
func (d dedicated) close()                     {}

// unfiltered is a socket whose receiver checks each message itself.
type unfiltered struct{ backend.Socket }

func (u unfiltered) Subscribe(ctx context.Context, _ bool, topics ...[]byte) error {
	return u.Socket.Subscribe(ctx, topics...)
}

// dialOptions are the options for connecting, without endpoints.
func (r *Route) dialOptions() backend.DialOptions {
	return backend.DialOptions{
		Options: r.socketOptions, Ready: r.ready, ConnectTimeout: r.connectTimeout,
		Backoff: r.reconnect.Min, MaxBackoff: r.reconnect.Max,
	}
}

// dialShared opens a socket that all clients share; the login there depends on none of them.
func (r *Route) dialShared() (*backend.Shared, error) {
	o := r.dialOptions()
	for _, e := range r.connect {
		security, err := r.credentials.security(e, nil)
		if err != nil {
			return nil, err
		}
		o.Endpoints = append(o.Endpoints, backend.Endpoint{
			Address: e.address, Security: security,
			Renew: func() (zmtp.ClientSecurity, error) { return r.credentials.security(e, nil) },
		})
	}
	return backend.DialShared(o)
}

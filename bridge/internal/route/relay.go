package route

import (
	"context"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// relays connects each stream of a route with `relay` to the backend, where the client logs
// in itself. Each frame, flag byte and body, is one message.
type relays struct{ *Route }

func (r relays) attach(ctx context.Context, c *Client) (*Attachment, error) {
	limits := &r.Rules().Options // which a reload may have changed
	o := backend.RelayOptions{
		Mechanism:      c.Login.Relayed,
		MaxFrame:       limits.MaxMessage,
		MaxHandshake:   limits.MaxHandshake,
		ConnectTimeout: r.connectTimeout,
		ClientTimeout:  limits.HandshakeTimeout,
		Event:          r.socketOptions.Event,
		Ended:          c.Finish,
	}
	var err error
	if o.Address, o.Permit, err = r.allowed.resolve(r.connect[0].address, c.Login); err != nil {
		return nil, err
	}
	if plaintext := o.Mechanism == zap.PLAIN || o.Mechanism == zap.BEARER; plaintext && !r.insecurePlaintext && !zmtp.IsLocal(o.Address) {
		return nil, forbidden(string(o.Mechanism) + " would go to the backend in the clear: log in there with CURVE")
	}
	if c.Login.Greets { // others speak as ZMTP 3.0: 45/ZWS has no PING, and subscriptions are messages
		o.Minor = 1
	}
	relay, err := backend.DialRelay(ctx, o, c.Receiver)
	if err != nil {
		return nil, disallowed(err)
	}
	return &Attachment{Socket: unfiltered{relay}, Minor: relay.Minor()}, nil
}

func (r relays) statuses() []backend.Status { return nil }
func (r relays) close()                     {}

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

package bridge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// backendHeartbeat is how often a backend is asked whether it is there.
const backendHeartbeat = 30 * time.Second

// readies are the words of `ready`.
var readies = map[string]backend.Ready{config.ReadyAny: backend.Any, config.ReadyAll: backend.All, config.ReadyNone: backend.None}

// dedicated opens a socket of its own for each channel: needed where the client's own
// credentials go through, and where answers must find their way back.
type dedicated struct {
	route   *route
	options backend.Options
	allowed allowedEndpoints
}

func (d *dedicated) attach(ctx context.Context, s *session, l *zws.Login, c *channel) (backend.Socket, error) {
	o := d.route.dialOptions(d.options)
	for _, e := range d.route.config.Connect {
		if len(l.Connect) > 0 && !slices.Contains(l.Connect, e.Endpoint) {
			continue // webtalk: the client chose among the route's endpoints
		}
		security, err := login(d.route.config, e, l)
		if err != nil {
			return nil, err
		}
		address, permit, err := d.allowed.reach(e.Endpoint, l)
		if err != nil {
			return nil, err
		}
		o.Endpoints = append(o.Endpoints, backend.Endpoint{Address: address, Security: security, Permit: permit})
	}
	var err error
	if o.RoutingID, err = d.routingID(s, l); err != nil {
		return nil, err
	}
	o.Lost = s.end
	socket, err := backend.Dial(ctx, o, c)
	switch {
	case errors.Is(err, errAbroad):
		return nil, notReached(err)
	case err != nil:
		return nil, err
	}
	return socket, nil
}

// routingID is what the backend is to know the session by; empty if it is free to choose.
func (d *dedicated) routingID(s *session, l *zws.Login) ([]byte, error) {
	switch {
	case d.route.config.Stamp == config.StampRoutingID:
		return routingIDStamp(l, s.number)
	case d.route.config.RoutingID == config.RoutingIDClient:
		return l.RoutingID, nil
	}
	return nil, nil
}

func (d *dedicated) statuses() []backend.Status { return nil }
func (d *dedicated) close()                     {}

// dialOptions are the route's for connecting; endpoints and credentials are still missing.
func (r *route) dialOptions(o backend.Options) backend.DialOptions {
	return backend.DialOptions{
		Options:        o,
		Ready:          readies[r.config.Ready],
		ConnectTimeout: r.config.ConnectTimeout,
	}
}

// listen opens the socket of a route with `bind`.
func (b *Bridge) listen(c *config.Config, r *route, o backend.Options, log *slog.Logger) (*backend.Shared, error) {
	lo := backend.ListenOptions{
		Options:          o,
		Addresses:        r.config.Bind,
		Mechanism:        r.config.Mechanism,
		Security:         zmtp.ServerSecurity{Handler: zap.HandlerFunc(b.judge), Domain: r.config.BindDomain},
		HandshakeTimeout: r.config.ConnectTimeout,
		Refused: func(address string, err error) {
			log.Warn("a peer that dialled in was refused", slog.String("address", address), slog.String("error", err.Error()))
		},
	}
	if r.config.Mechanism == zap.CURVE {
		identity, err := certs.ReadSecret(string(c.Server.CurveCert))
		if err != nil {
			return nil, err
		}
		lo.Security.CurvePublic, lo.Security.CurveSecret = identity.Public, identity.Secret
	}
	return backend.Listen(lo)
}

// newUpstream chooses how the route's channels are served.
func (b *Bridge) newUpstream(c *config.Config, r *route) (upstream, error) {
	log := b.log.With(slog.String("route", r.config.Path))
	o := backend.Options{
		SocketType:     r.config.Socket,
		Limits:         zmtp.Limits{Frame: int64(c.Server.MaxMessage), Message: int64(c.Server.MaxMessage), Frames: c.Server.MaxFrames},
		HighWaterMark:  r.config.HighWaterMark,
		HighWaterBytes: int64(r.config.HighWaterBytes),
		MaxTopic:       int(c.Server.MaxTopic),
		Heartbeat:      backendHeartbeat,
		Event:          r.watch(log),
		Dropped:        r.metrics.Dropped,
	}
	if r.config.Relay {
		return newRelays(r, log), nil
	}
	var open func(lost func(error)) (*backend.Shared, error)
	switch {
	case len(r.config.Bind) > 0:
		open = func(func(error)) (*backend.Shared, error) { return b.listen(c, r, o, log) }
	case r.config.Shared():
		open = func(lost func(error)) (*backend.Shared, error) { return r.dialShared(o, lost) }
	default:
		return &dedicated{route: r, options: o, allowed: newAllowedEndpoints(r.config.EndpointsAllowed)}, nil
	}
	return newShared(r, open, func(socket *backend.Shared, lost func(error)) (layer, error) {
		if r.config.Socket.Subscribes() {
			return newHub(r, socket, lost)
		}
		return envelopes{socket}, nil
	})
}

// dialShared opens the socket of a route whose clients share it; the login there depends on
// none of them.
func (r *route) dialShared(o backend.Options, lost func(error)) (*backend.Shared, error) {
	do := r.dialOptions(o)
	for _, e := range r.config.Connect {
		security, err := login(r.config, e, nil)
		if err != nil {
			return nil, err
		}
		do.Endpoints = append(do.Endpoints, backend.Endpoint{Address: e.Endpoint, Security: security})
	}
	do.Lost = lost
	return backend.DialShared(do)
}

// watch counts and logs what happens to the backends of the route.
func (r *route) watch(log *slog.Logger) func(backend.Status) {
	return func(s backend.Status) {
		r.metrics.Backend(s)
		logStatus(log, s)
	}
}

// logStatus warns of what goes wrong, and says when it is over. A try to connect again still
// has the error of the last.
func logStatus(log *slog.Logger, s backend.Status) {
	level := slog.LevelDebug
	switch {
	case s.Err != nil && s.State != backend.Connecting:
		level = slog.LevelWarn
	case s.State == backend.Connected && s.Reconnects > 0:
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{slog.String("state", s.State.String()), slog.String("endpoint", s.Address)}
	if s.Position > 0 {
		attrs = append(attrs, slog.Int("backend", s.Position))
	}
	if s.User != "" {
		attrs = append(attrs, slog.String("user", s.User))
	}
	if s.Err != nil {
		attrs = append(attrs, slog.String("error", s.Err.Error()))
	}
	log.LogAttrs(context.Background(), level, "backend", attrs...)
}

package zws

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// RelayOptions says what [MuxClient.Relay] opens.
type RelayOptions struct {
	// Route is the path of a route of the server that is a relay.
	Route string
	// Security is what to log in with at who is behind. Required: without a login it is
	// zmtp.Null.
	Security zmtp.ClientSecurity
	// SocketType is ours. Required.
	SocketType zmtp.SocketType
	// RoutingID is what we call ourselves there, 0 to 255 octets.
	RoutingID []byte
	// Metadata is further properties for READY or INITIATE.
	Metadata zap.Metadata
	// Window is that of [ChannelOptions].
	Window int
}

// MuxRelay is a socket on a [MuxClient] whose peer is behind a relay: the handshake and what
// follows is with that peer, and the server in between sees frames. It does not reconnect.
// One goroutine at a time may call Recv, which also answers pings; all other methods may be
// called by any goroutine. Send waits until the server has given credit.
type MuxRelay struct {
	traffic
	channel *MuxChannel
}

// Relay opens a socket to who is behind a relay, logs in there and returns when that peer
// has sent READY. If the server or the peer refuses, the error is a *CloseError. ctx ends
// the waiting.
func (m *MuxClient) Relay(ctx context.Context, o RelayOptions) (*MuxRelay, error) {
	switch {
	case o.Security == nil:
		return nil, errors.New("zws: a relay without a mechanism; zmtp.Null is one")
	case !o.SocketType.Valid():
		return nil, fmt.Errorf("zws: %q is no socket type", o.SocketType)
	}
	c, err := m.openWith(ctx, o.Window, muxFrame{op: muxRelay, open: ChannelRequest{Route: o.Route, Relay: o.Security.Name()}})
	if err != nil {
		return nil, err
	}
	r := &MuxRelay{channel: c}
	own := *m.options
	own.Security, own.SocketType, own.RoutingID, own.Metadata, own.Notice = o.Security, o.SocketType, o.RoutingID, o.Metadata, nil
	r.options, r.relayed, r.minor = &own, true, c.minor
	r.read, r.write, r.hangUp = r.readFrame, r.writeFrame, c.Close
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := r.login(ctx); err != nil {
		c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return r, nil
}

// Close ends the socket; the connection stays. Recv still returns what has come, and then
// io.EOF.
func (r *MuxRelay) Close() error { return r.channel.Close() }

func (r *MuxRelay) readFrame() (zmtp.Frame, error) {
	m, err := r.channel.Recv()
	if err != nil {
		return zmtp.Frame{}, err
	}
	return octetFlags.parse(m[0], true) // MuxChannel.check has seen that there is one
}

func (r *MuxRelay) writeFrame(f zmtp.Frame) error {
	flag := octetFlags.flag(f.More)
	if f.Command {
		flag = flagCommand
	}
	return r.channel.Send(context.Background(), zmtp.Message{append([]byte{flag}, f.Body...)})
}

package zws

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// RelayOptions configure [MuxClient.Relay].
type RelayOptions struct {
	// Route is the path of a route of the server that is a relay.
	Route string
	// Security is the mechanism and the credentials for the backend. Required; zmtp.Null
	// logs in without credentials.
	Security zmtp.ClientSecurity
	// SocketType is the client's. Required.
	SocketType zmtp.SocketType
	// RoutingID is the client's, 0 to 255 bytes.
	RoutingID []byte
	// Metadata are further properties for READY or INITIATE.
	Metadata zap.Metadata
	// Window is that of [ChannelOptions].
	Window int
}

// MuxRelay is a socket on a [MuxClient] whose peer is the backend of a relay: handshake and
// traffic are with the backend, and the server passes frames on. It does not reconnect. One
// goroutine at a time may call Recv, which also answers pings; all other methods may be
// called by any goroutine.
type MuxRelay struct {
	clientSocket
	channel *MuxChannel
}

// Relay opens a socket to the backend of a relay, logs in there and returns when the backend
// has sent READY. If the server or the backend refuses, the error is a *CloseError. The end
// of ctx ends the wait.
func (m *MuxClient) Relay(ctx context.Context, o RelayOptions) (*MuxRelay, error) {
	switch {
	case o.Security == nil:
		return nil, errors.New("zws: RelayOptions.Security is required: zmtp.Null logs in without credentials")
	case !o.SocketType.Valid():
		return nil, fmt.Errorf("zws: unknown socket type %q", o.SocketType)
	}
	c, err := m.openWith(ctx, o.Window, muxframe.Frame{
		Op: muxframe.Relay, Open: muxframe.Request{Route: o.Route, Relay: o.Security.Name()},
	})
	if err != nil {
		return nil, err
	}
	own := *m.options
	own.Security, own.SocketType, own.RoutingID, own.Metadata, own.Notify = o.Security, o.SocketType, o.RoutingID, o.Metadata, nil
	r := &MuxRelay{clientSocket: newClientSocket(&own), channel: c}
	r.relayed, r.minor = true, c.minor
	r.read, r.write, r.hangUp = r.readFrame, r.writeFrame, c.Close
	if err := r.login(ctx); err != nil {
		c.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return r, nil
}

// Close ends the socket; the connection stays. Recv still returns what has arrived, and then
// io.EOF.
func (r *MuxRelay) Close() error { return r.channel.Close() }

func (r *MuxRelay) readFrame(ctx context.Context) (zmtp.Frame, error) {
	m, err := r.channel.Recv(ctx)
	if err != nil {
		return zmtp.Frame{}, err
	}
	return zwsFrames.parse(m[0], true) // MuxChannel.check has checked that there is one
}

func (r *MuxRelay) writeFrame(ctx context.Context, f zmtp.Frame) error {
	return r.channel.Send(ctx, zmtp.Message{append([]byte{zwsFrames.flag(f)}, f.Body...)})
}

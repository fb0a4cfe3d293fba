package zmq4transport

import (
	"context"
	"net"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// listener passes connections to zmq4 when their handshakes need zmq4's metadata. zmq4 accepts
// one connection at a time and completes its handshake before the next; from this point on it
// does not have to wait for the peer.
type listener struct {
	*zmtp.Listener
	due  chan *conn
	ctx  context.Context // done once the listener is closed
	stop context.CancelFunc
}

func listen(ctx context.Context, endpoint string, m zap.Mechanism, sec zmtp.ServerSecurity, o zmtp.ListenOptions, highWaterMark int) (net.Listener, error) {
	l := &listener{due: make(chan *conn)}
	o.Each = func(o zmtp.Options) (zmtp.Options, func(*zmtp.Conn, error)) {
		c := newConn(highWaterMark, func() {})
		o.Properties = func(ctx context.Context) (zap.Metadata, error) {
			select {
			case l.due <- c:
				return c.waitProperties(ctx)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return o, c.finish
	}
	var err error
	if l.Listener, err = zmtp.Listen(endpoint, m, sec, o); err != nil {
		return nil, err
	}
	l.ctx, l.stop = context.WithCancel(ctx)
	context.AfterFunc(l.ctx, func() { l.Listener.Close() })
	return l, nil
}

// Accept returns the next connection. It fails only once the listener is closed, because
// zmq4 would retry without a pause.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.due:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening, drops handshakes in progress and waits for them.
func (l *listener) Close() error {
	l.stop()
	return l.Listener.Close()
}

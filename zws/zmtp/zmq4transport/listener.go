package zmq4transport

import (
	"context"
	"net"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// listener hands zmq4 connections that have got to where zmq4's metadata is due. zmq4
// takes one at a time and completes it before the next; nothing of what is left then
// waits for the peer.
type listener struct {
	*zmtp.Listener
	due  chan *conn
	ctx  context.Context // done once the listener is closed
	stop context.CancelFunc
}

func listen(ctx context.Context, endpoint string, m zap.Mechanism, sec zmtp.ServerSecurity, o zmtp.ListenOptions, mark int) (net.Listener, error) {
	l := &listener{due: make(chan *conn)}
	o.Each = func(o zmtp.Options) (zmtp.Options, func(*zmtp.Conn, error)) {
		c := newConn(mark, func() {})
		o.Properties = func(ctx context.Context) (zap.Metadata, error) {
			select {
			case l.due <- c:
				return c.askProperties(ctx)
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

// Accept returns the next connection. It fails only once the listener is closed: zmq4
// would call it again and again.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.due:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening and waits for handshakes to be given up.
func (l *listener) Close() error {
	l.stop()
	return l.Listener.Close()
}

package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Listener accepts connections whose peers have completed their handshakes. Its methods
// may be called by several goroutines. Whoever made it closes it.
type Listener struct {
	nl        net.Listener
	mechanism zap.Mechanism
	security  ServerSecurity
	o         ListenOptions

	accepted chan *Conn
	ctx      context.Context // done once the listener is closed
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	room    *sync.Cond // signalled when a handshake ends or begins to wait for its peer
	pending map[*pendingPeer]struct{}
}

// pendingPeer is a handshake that is under way.
type pendingPeer struct {
	cancel context.CancelCauseFunc
	// waiting is since when the peer has kept us waiting; zero while it is our turn and
	// the peer cannot be blamed for the delay.
	waiting time.Time
}

// crowdPatience is how long a peer may keep us waiting while others wait for its place.
const crowdPatience = time.Second

// Listen listens on an endpoint as [Dial] has them and serves mechanism m; tcp://*:port
// means all addresses, port * or 0 any free port. The socket file of an ipc endpoint is
// removed on Close, and before if nobody listens on it any more.
//
// Handshakes run at the same time, at most o.Handshakes of them, each with its own
// deadline. An error means that m cannot be served with sec, or that the system does not
// let us listen.
func Listen(endpoint string, m zap.Mechanism, sec ServerSecurity, o ListenOptions) (*Listener, error) {
	network, address, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if o.Each == nil { // else each connection has Options of its own
		if o.Options, err = o.Options.withDefaults(); err != nil {
			return nil, err
		}
	}
	setDefault(&o.Handshakes, DefaultHandshakes)
	checked := sec
	checked.Local = o.Options.local()
	if _, err := NewServer(m, checked); err != nil {
		return nil, err
	}
	nl, err := listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("zmtp: %s: %w", endpoint, err)
	}
	return serve(nl, m, sec, o), nil
}

// serve starts the accept loop.
func serve(nl net.Listener, m zap.Mechanism, sec ServerSecurity, o ListenOptions) *Listener {
	l := &Listener{
		nl: nl, mechanism: m, security: sec, o: o,
		accepted: make(chan *Conn),
		pending:  make(map[*pendingPeer]struct{}),
	}
	l.room = sync.NewCond(&l.mu)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Go(l.acceptLoop)
	return l
}

// listen opens the socket. A socket file that a process left behind is replaced.
func listen(network, address string) (net.Listener, error) {
	nl, err := net.Listen(network, address)
	if network != "unix" || !errors.Is(err, syscall.EADDRINUSE) || address[0] == '@' {
		return nl, err
	}
	if nc, dialErr := net.Dial(network, address); dialErr == nil {
		nc.Close()
		return nil, err
	} else if !errors.Is(dialErr, syscall.ECONNREFUSED) || !isSocket(address) {
		return nil, err
	}
	if err := os.Remove(address); err != nil {
		return nil, err
	}
	return net.Listen(network, address)
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == os.ModeSocket
}

// Accept returns the next peer that sec.Handler has let in, or an error that wraps
// net.ErrClosed after Close. The caller closes the Conn.
func (l *Listener) Accept() (*Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.ctx.Done():
		return nil, fmt.Errorf("zmtp: %s: %w", l.Endpoint(), net.ErrClosed)
	}
}

// Addr is the transport address that the listener listens on.
func (l *Listener) Addr() net.Addr { return l.nl.Addr() }

// Endpoint is the endpoint that the listener listens on, with the port that was chosen.
func (l *Listener) Endpoint() string {
	if a := l.nl.Addr(); a.Network() == "unix" {
		return "ipc://" + a.String()
	}
	return "tcp://" + l.nl.Addr().String()
}

// Close stops listening, gives up handshakes that are under way and connections that were
// not accepted yet, and waits for its goroutines. Accepted connections stay open.
func (l *Listener) Close() error {
	l.cancel()
	err := l.nl.Close()
	l.wake()
	l.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // closed before
	}
	return err
}

// acceptLoop starts a handshake for every peer that connects.
func (l *Listener) acceptLoop() {
	delay := time.Duration(0)
	for {
		nc, err := l.nl.Accept()
		if l.ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return
		}
		if err != nil {
			// Out of file descriptors, or the peer gave up: neither is the end.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			l.report(nil, err)
			l.sleep(delay)
			continue
		}
		delay = 0
		l.begin(nc)
	}
}

func (l *Listener) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-l.ctx.Done():
	}
}

// begin starts the handshake with nc once there is room for it.
func (l *Listener) begin(nc net.Conn) {
	o, done := l.o.Options, l.deliver
	if l.o.Each != nil {
		o, done = l.o.Each(o)
	}
	c, err := newConn(nc, o)
	if err != nil {
		l.report(nc.RemoteAddr(), err)
		return
	}
	ctx, cancel := context.WithCancelCause(l.ctx)
	peer := &pendingPeer{cancel: cancel}
	c.turn = func(ours bool) { l.setTurn(peer, ours) }
	l.mu.Lock()
	l.makeRoom()
	peer.waiting = time.Now()
	l.pending[peer] = struct{}{}
	l.mu.Unlock()
	l.running.Go(func() {
		defer cancel(nil)
		l.shakeHands(ctx, c, done)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.pending, peer)
		l.room.Signal()
	})
}

// makeRoom returns when there is room for one more handshake, or the listener is closed.
// When there is none it gives up the peer that has kept us waiting longest, but not before
// crowdPatience: when many good peers come at the same time, none may lose its place to
// the next. The lock is held on entry.
func (l *Listener) makeRoom() {
	for len(l.pending) >= l.o.Handshakes && l.ctx.Err() == nil {
		slowest := l.slowest()
		if slowest == nil {
			l.room.Wait()
			continue
		}
		left := crowdPatience - time.Since(slowest.waiting)
		if left <= 0 {
			slowest.cancel(errCrowded)
			l.room.Wait()
			continue
		}
		timer := time.AfterFunc(left, l.wake)
		l.room.Wait()
		timer.Stop()
	}
}

// wake lets makeRoom look again. Without the lock it might not wait yet and miss it.
func (l *Listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room.Signal()
}

// slowest is the peer that has kept us waiting longest; nil if none does. The lock is held
// on entry.
func (l *Listener) slowest() *pendingPeer {
	var slowest *pendingPeer
	for p := range l.pending {
		if !p.waiting.IsZero() && (slowest == nil || p.waiting.Before(slowest.waiting)) {
			slowest = p
		}
	}
	return slowest
}

// setTurn notes who is to act next in a handshake.
func (l *Listener) setTurn(p *pendingPeer, ours bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.waiting = time.Time{}
	if !ours {
		p.waiting = time.Now()
		l.room.Signal()
	}
}

// errCrowded is why a handshake was given up for another.
var errCrowded = errors.New("zmtp: too many handshakes at the same time: this one kept us waiting longest")

// shakeHands completes the handshake with one peer and passes the connection on.
func (l *Listener) shakeHands(ctx context.Context, c *Conn, done func(*Conn, error)) {
	err := c.open(ctx, func(ctx context.Context) error { return c.server(ctx, l.mechanism, l.security) })
	c.turn(true)
	c.turn = nil
	if err == nil {
		done(c, nil)
		return
	}
	if l.ctx.Err() == nil {
		l.report(c.RemoteAddr(), err)
	}
	done(nil, err)
}

// deliver hands a connection to Accept.
func (l *Listener) deliver(c *Conn, err error) {
	if err != nil {
		return
	}
	select {
	case l.accepted <- c:
	case <-l.ctx.Done():
		c.Close()
	}
}

// report tells the owner of a peer that did not get in.
func (l *Listener) report(peer net.Addr, err error) {
	if l.o.Refused != nil {
		l.o.Refused(peer, err)
	}
}

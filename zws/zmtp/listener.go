package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Listener accepts connections and runs the server side of their handshakes. Its methods may
// be called by several goroutines. The code that made a Listener closes it.
type Listener struct {
	nl        net.Listener
	network   string // that was asked for, as address
	address   string
	holders   *atomic.Int32 // of the socket; the last one to close it removes the file of an ipc endpoint
	release   sync.Once
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

// pendingPeer is a peer whose handshake is in progress.
type pendingPeer struct {
	cancel context.CancelCauseFunc
	// waiting is since when the handshake has waited for the peer; zero while it waits
	// for this side.
	waiting time.Time
}

// crowdPatience is how long a handshake may wait for its peer before the peer is dropped for
// another.
const crowdPatience = time.Second

// Listen listens on an endpoint, as described at [Dial], and serves mechanism m. The host * is
// every address, the port * or 0 any free port. Close removes the socket file of an ipc
// endpoint; Listen replaces a file that nobody listens on any more.
//
// Up to o.Handshakes handshakes run at the same time, each with its own deadline. Listen fails
// if sec or o is invalid, or if the system refuses the address.
func Listen(endpoint string, m zap.Mechanism, sec ServerSecurity, o ListenOptions) (*Listener, error) {
	network, address, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if err := o.complete(m, sec); err != nil {
		return nil, err
	}
	var nl net.Listener
	if o.Socket != nil {
		nl = o.Socket(network, address)
	}
	if nl == nil {
		if nl, err = listen(network, address); err != nil {
			return nil, fmt.Errorf("zmtp: %s: %w", endpoint, err)
		}
	}
	l := serve(nl, m, sec, o)
	l.network, l.address = network, address
	return l, nil
}

// Socket returns the socket of the listener, and the arguments of ListenOptions.Socket for which another
// process should return it. It must not be closed.
func (l *Listener) Socket() (network, address string, socket net.Listener) {
	return l.network, l.address, l.nl
}

// KeepFile has Close leave the socket file of an ipc endpoint, since another process listens there now.
func (l *Listener) KeepFile() { l.holders.Add(1) }

// Share returns another Listener on the socket of l, with settings of its own, so that these can
// change without a moment in which nobody listens. Both accept connections until one is closed.
// Errors are those of [Listen]; some systems cannot share a socket (Windows).
func (l *Listener) Share(m zap.Mechanism, sec ServerSecurity, o ListenOptions) (*Listener, error) {
	var err error
	if err = o.complete(m, sec); err != nil {
		return nil, err
	}
	socket, ok := l.nl.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("zmtp: %s: %w: cannot share a %T", l.Endpoint(), errors.ErrUnsupported, l.nl)
	}
	f, err := socket.File()
	if err != nil {
		return nil, fmt.Errorf("zmtp: %s: %w", l.Endpoint(), err)
	}
	defer f.Close()
	nl, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("zmtp: %s: %w", l.Endpoint(), err)
	}
	l.holders.Add(1)
	shared := serve(nl, m, sec, o)
	shared.network, shared.address, shared.holders = l.network, l.address, l.holders
	return shared, nil
}

// complete sets the defaults and checks the options.
func (o *ListenOptions) complete(m zap.Mechanism, sec ServerSecurity) (err error) {
	if o.Each == nil { // otherwise every connection has Options of its own
		if o.Options, err = o.Options.withDefaults(); err != nil {
			return err
		}
	}
	setDefault(&o.Handshakes, defaultHandshakes())
	sec.Local = o.Options.local()
	_, err = NewServer(m, sec)
	return err
}

// serve starts the accept loop.
func serve(nl net.Listener, m zap.Mechanism, sec ServerSecurity, o ListenOptions) *Listener {
	l := &Listener{
		nl: nl, holders: new(atomic.Int32), mechanism: m, security: sec, o: o,
		accepted: make(chan *Conn),
		pending:  make(map[*pendingPeer]struct{}),
	}
	l.holders.Add(1)
	l.room = sync.NewCond(&l.mu)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Go(l.acceptLoop)
	return l
}

// listen opens the socket and replaces a socket file that another process left behind.
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

// Accept returns the next connection whose handshake is complete, or after Close an error that
// wraps net.ErrClosed. The caller closes the Conn.
func (l *Listener) Accept() (*Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.ctx.Done():
		return nil, fmt.Errorf("zmtp: %s: %w", l.Endpoint(), net.ErrClosed)
	}
}

// Addr returns the transport address of the listener.
func (l *Listener) Addr() net.Addr { return l.nl.Addr() }

// Endpoint returns the endpoint of the listener, with the port that the system chose.
func (l *Listener) Endpoint() string {
	if a := l.nl.Addr(); a.Network() == "unix" {
		return "ipc://" + a.String()
	}
	return "tcp://" + l.nl.Addr().String()
}

// Close stops listening, drops handshakes in progress and connections that were not accepted
// yet, and waits for its goroutines. Accepted connections stay open. Close may be called more
// than once.
func (l *Listener) Close() error {
	l.cancel()
	l.release.Do(func() {
		last := l.holders.Add(-1) == 0
		if u, ok := l.nl.(interface{ SetUnlinkOnClose(bool) }); ok {
			u.SetUnlinkOnClose(last)
		}
	})
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
			// Out of file descriptors, or the peer has gone: both pass.
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

// begin starts the handshake on nc as soon as there is room for it.
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
	c.onWait = func(waiting bool) { l.setWaiting(peer, waiting) }
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

// makeRoom returns when there is room for one more handshake, or the listener is closed. If
// there is none it drops the peer that has been waited for longest, but not before
// crowdPatience: many good peers that come at the same time must not drop each other. Lock
// held on entry: mu.
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

// wake makes makeRoom check again. It takes the lock, because without it the signal could come
// between the check and the wait.
func (l *Listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room.Signal()
}

// slowest returns the peer that has been waited for longest, or nil if none is waited for.
// Lock held on entry: mu.
func (l *Listener) slowest() *pendingPeer {
	var slowest *pendingPeer
	for p := range l.pending {
		if !p.waiting.IsZero() && (slowest == nil || p.waiting.Before(slowest.waiting)) {
			slowest = p
		}
	}
	return slowest
}

// setWaiting records whether a handshake waits for its peer.
func (l *Listener) setWaiting(p *pendingPeer, waiting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.waiting = time.Time{}
	if waiting {
		p.waiting = time.Now()
		l.room.Signal()
	}
}

// errCrowded is why a peer was dropped for another.
var errCrowded = errors.New("zmtp: too many handshakes at the same time: the slowest peer was dropped")

// shakeHands runs the handshake with one peer and passes the result to done.
func (l *Listener) shakeHands(ctx context.Context, c *Conn, done func(*Conn, error)) {
	err := c.open(ctx, func(ctx context.Context) error { return c.server(ctx, l.mechanism, l.security) })
	c.setWaiting(false)
	c.onWait = nil
	if err == nil {
		done(c, nil)
		return
	}
	if l.ctx.Err() == nil {
		l.report(c.RemoteAddr(), err)
	}
	done(nil, err)
}

// deliver passes a connection to Accept.
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

// report calls ListenOptions.Refused.
func (l *Listener) report(peer net.Addr, err error) {
	if l.o.Refused != nil {
		l.o.Refused(peer, err)
	}
}

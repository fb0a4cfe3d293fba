package backend

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// RelayOptions says what [DialRelay] connects.
type RelayOptions struct {
	// Address is tcp://host:port or ipc://path. Required.
	Address string
	// Permit is as in [Endpoint].
	Permit func(netip.AddrPort) error
	// Mechanism is the one that the client speaks with the backend. Required.
	Mechanism zap.Mechanism
	// Minor is which ZMTP 3 the client speaks: 0 or 1.
	Minor byte
	// MaxFrame bounds a frame in either direction, in octets; what sealing adds, up to 64
	// octets, may come on top. Required.
	MaxFrame int64
	// MaxHandshake bounds a command of the handshake, in octets. Required.
	MaxHandshake int64
	// ConnectTimeout is for the backend: name resolution, connect and greeting, and all that
	// is waited for it during the handshake. Zero means [DefaultConnectTimeout].
	ConnectTimeout time.Duration
	// ClientTimeout is for the client: all that is waited for it during the handshake.
	// Required.
	ClientTimeout time.Duration
	// Event is as in [Options].
	Event func(Status)
	// Ended is called once with why the connection has ended, unless it was Close or the end
	// of DialRelay's ctx. What the Receiver was given before is still for the client. It must
	// not block or call the Relay. Required.
	Ended func(err error)
}

// sealing is how much longer than what it holds a frame may be: CURVE's MESSAGE has 33
// octets more.
const sealing = 64

// Relay is a connection to one backend that somebody else logs in on: it passes on the
// frames of both sides, the commands of their handshake included, and changes none. Every
// message that it gives and takes is one frame: the flag octet of 45/ZWS and the body.
//
// It ends with the connection: what the two have agreed on is theirs alone.
type Relay struct {
	o        RelayOptions
	conn     *zmtp.RawConn
	receiver Receiver
	stop     func() bool // following ctx
	running  sync.WaitGroup
	frame    []byte // the reader's scratch

	mu     sync.Mutex
	login  relayLogin
	clock  *time.Timer
	status Status
	over   bool // nothing is told any more
}

// DialRelay connects and exchanges greetings. When ctx ends, so does the connection, also
// later: a Send that waits comes back then. r may be called before DialRelay returns. The
// caller closes the relay. The error is an [*Error] with position 1.
func DialRelay(ctx context.Context, o RelayOptions, r Receiver) (*Relay, error) {
	setDefault(&o.ConnectTimeout, DefaultConnectTimeout)
	x := &Relay{o: o, receiver: r, status: Status{Position: 1, Address: o.Address, Since: time.Now()}}
	started := time.Now()
	conn, err := zmtp.DialRaw(ctx, o.Address, zmtp.RawOptions{
		Mechanism: o.Mechanism, Minor: o.Minor, Timeout: o.ConnectTimeout, WriteTimeout: noWriteTimeout, Permit: o.Permit,
	})
	if err != nil {
		failed := newError(1, err)
		x.change(failedState(failed), failed)
		return nil, failed
	}
	x.conn = conn
	x.login = newRelayLogin(o, started)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clock = time.AfterFunc(x.login.left(), x.late)
	x.stop = context.AfterFunc(ctx, x.leave)
	x.running.Go(x.read)
	return x, nil
}

// Minor is which ZMTP 3 the backend speaks.
func (x *Relay) Minor() byte { return x.conn.Minor() }

// Status tells of the connection: it is Connecting until the backend's READY has passed.
func (x *Relay) Status() []Status {
	x.mu.Lock()
	defer x.mu.Unlock()
	return []Status{x.status}
}

// Subscribe implements [Socket]: on a relay subscriptions are frames of the client, which
// Send takes.
func (x *Relay) Subscribe(context.Context, ...[]byte) error { return ErrCannotSubscribe }

// Unsubscribe implements [Socket] as Subscribe does.
func (x *Relay) Unsubscribe(context.Context, ...[]byte) error { return ErrCannotSubscribe }

// Send implements [Socket]. It returns when the system has taken the frames; what comes when
// the connection has ended goes nowhere, since Ended tells of that. Errors are the client's
// fault: they wrap [zmtp.ErrProtocol] or [zmtp.ErrTooLarge].
func (x *Relay) Send(_ context.Context, msgs ...zmtp.Message) error {
	frames := make([]zmtp.Frame, len(msgs))
	for i, m := range msgs {
		frames[i] = relayedFrame(m)
		if err := x.asks(frames[i]); err != nil {
			return err
		}
	}
	_ = x.conn.WriteFrames(frames...) // the reader finds out why
	return nil
}

// asks follows a frame of the client.
func (x *Relay) asks(f zmtp.Frame) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	limit := x.o.MaxFrame + sealing
	if !x.login.ready {
		if !f.Command {
			return fmt.Errorf("%w: a message where a command of the handshake is due", zmtp.ErrProtocol)
		}
		limit = x.o.MaxHandshake
	}
	if int64(len(f.Body)) > limit {
		return fmt.Errorf("frame of %d octets, at most %d are allowed: %w", len(f.Body), limit, zmtp.ErrTooLarge)
	}
	x.turn(x.login.asks)
	return nil
}

// turn has step change whose turn it is, and sets the clock. Lock held on entry.
func (x *Relay) turn(step func(now time.Time)) {
	if x.over || x.login.over() {
		return
	}
	step(time.Now())
	if x.login.over() {
		x.clock.Stop()
		return
	}
	x.clock.Reset(x.login.left())
}

// late ends a handshake whose time is over.
func (x *Relay) late() {
	x.mu.Lock()
	x.login.charge(time.Now())
	left, err := x.login.left(), x.login.late()
	if left > 0 && !x.over && !x.login.over() { // the turn has changed just now
		x.clock.Reset(left)
	}
	over := x.over || x.login.over()
	x.mu.Unlock()
	if left <= 0 && !over {
		x.end(err)
	}
}

// read passes on what comes from the backend until the connection ends.
func (x *Relay) read() {
	frames, octets := 0, 0 // since the last flush
	for {
		limit := x.o.MaxFrame + sealing
		if !x.passedReady() {
			limit = x.o.MaxHandshake
		}
		f, err := x.conn.ReadFrame(limit)
		if err != nil {
			x.receiver.Flush()
			x.lost(err)
			return
		}
		ready, err := x.answers(f)
		if ready {
			x.change(Connected, nil)
		}
		if err == nil || told(err) {
			x.give(f)
			frames++
			octets += len(f.Body)
		}
		if err != nil || ready || frames >= maxTurn || octets >= maxTurnOctets || !x.conn.Buffered() {
			x.receiver.Flush()
			frames, octets = 0, 0
		}
		if err != nil {
			x.lost(err)
			return
		}
	}
}

func (x *Relay) passedReady() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.login.ready
}

// answers follows a frame of the backend. ready tells that it is READY. The error ends the
// connection.
func (x *Relay) answers(f zmtp.Frame) (ready bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.login.ready {
		return false, nil
	}
	name, err := x.login.read(f)
	if err != nil {
		return false, err
	}
	x.turn(func(now time.Time) { x.login.answers(name, now) })
	if x.login.ready {
		x.status.Handshake = time.Since(x.login.started)
	}
	return x.login.ready, nil
}

// give gives the receiver a frame.
func (x *Relay) give(f zmtp.Frame) {
	x.frame = append(append(x.frame[:0], zwsFlag(f)), f.Body...)
	_ = x.receiver.Message(zmtp.Message{x.frame}) // a client that wants no more closes the relay
	if cap(x.frame) > maxScratch {
		x.frame = nil
	}
}

// lost ends the connection for what err says about the backend. A client whose WELCOME or
// READY is due is sent an ERROR, as everywhere, if the backend has sent none.
func (x *Relay) lost(err error) {
	x.mu.Lock()
	cause := x.login.meaning(err)
	due := !x.login.ready && !told(err) && !x.over
	x.mu.Unlock()
	if status := cause.Status(); due && status != 0 {
		x.give(zmtp.Frame{Command: true, Body: zmtp.Command{Name: "ERROR", Data: fmt.Appendf([]byte{3}, "%d", status)}.Append(nil)})
		x.receiver.Flush()
	}
	x.end(cause)
}

// end closes the connection and tells why.
func (x *Relay) end(cause error) {
	if !x.quit() {
		return
	}
	x.change(failedState(cause), cause)
	x.o.Ended(cause)
}

// quit closes the connection. It tells whether it was open until now.
func (x *Relay) quit() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	open := !x.over
	x.over = true
	x.clock.Stop()
	_ = x.conn.Close()
	return open
}

// leave ends the connection because the client has gone.
func (x *Relay) leave() {
	if x.quit() {
		x.change(Gone, nil)
	}
}

// Close implements [Socket].
func (x *Relay) Close() error {
	x.stop()
	x.leave()
	x.running.Wait()
	return nil
}

// failedState is what an endpoint is after err that is not tried again by itself.
func failedState(err error) State {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == KindRefused {
		return Refused
	}
	return Gone
}

// change notes a new state and tells it.
func (x *Relay) change(s State, err error) {
	x.mu.Lock()
	x.status.State, x.status.Since, x.status.Err = s, time.Now(), err
	status := x.status
	x.mu.Unlock()
	if x.o.Event != nil {
		x.o.Event(status)
	}
}

// The flag octets of a ZWS frame (45/ZWS, "Framing").
const (
	zwsMore    = 0x01
	zwsCommand = 0x02
)

func zwsFlag(f zmtp.Frame) byte {
	switch {
	case f.Command:
		return zwsCommand
	case f.More:
		return zwsMore
	}
	return 0
}

// relayedFrame reads a message of a client, which has one frame with its flag octet.
func relayedFrame(m zmtp.Message) zmtp.Frame {
	return zmtp.Frame{More: m[0][0] == zwsMore, Command: m[0][0] == zwsCommand, Body: m[0][1:]}
}

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

// RelayOptions configure [DialRelay].
type RelayOptions struct {
	// Address is tcp://host:port or ipc://path. Required.
	Address string
	// Permit is as in [Endpoint].
	Permit func(netip.AddrPort) error
	// Mechanism is what the client speaks with the backend. Required.
	Mechanism zap.Mechanism
	// Minor is the client's minor version of ZMTP 3: 0 or 1.
	Minor byte
	// MaxFrame limits a frame in either direction, in bytes. Sealing may add up to 64 bytes
	// to it. Required.
	MaxFrame int64
	// MaxHandshake limits a command of the handshake, in bytes. Required.
	MaxHandshake int64
	// ConnectTimeout is the backend's: for name resolution, connect, greeting, and its turns
	// in the handshake, all together. Zero means [DefaultConnectTimeout].
	ConnectTimeout time.Duration
	// ClientTimeout is the client's: for its turns in the handshake, all together. Required.
	ClientTimeout time.Duration
	// Event is as in [Options].
	Event func(Status)
	// Ended is called once with why the connection has ended, unless it was Close or the end
	// of DialRelay's ctx: an *[Error], or zmtp.ErrHandshakeTimeout if the client was too slow.
	// What the Receiver was given before is still for the client. It must not block or call
	// the Relay. Required.
	Ended func(err error)
}

// sealing is how much longer than its content a sealed frame may be. CURVE's MESSAGE adds 33
// bytes.
const sealing = 64

// Relay is a connection to one backend where the client itself logs in. It passes on the
// frames of both sides, including the commands of their handshake, and changes none. Each
// message that it gives and takes is one frame: the flag byte of 45/ZWS and the body.
//
// It ends with the connection, since only the client and the backend know its keys.
type Relay struct {
	o        RelayOptions
	conn     *zmtp.RawConn
	receiver Receiver
	stop     func() bool // ends the following of ctx
	running  sync.WaitGroup
	frame    []byte // scratch of the reader

	mu     sync.Mutex
	login  relayLogin
	clock  *time.Timer
	status Status
	over   bool // the connection has ended, or is about to
}

// DialRelay connects and exchanges greetings. When ctx ends, so does the connection, also
// after DialRelay has returned; a waiting Send returns then. The error is an [*Error] with
// position 1.
//
// receiver may be called before DialRelay returns. The caller closes the relay.
func DialRelay(ctx context.Context, o RelayOptions, receiver Receiver) (*Relay, error) {
	setDefault(&o.ConnectTimeout, DefaultConnectTimeout)
	r := &Relay{o: o, receiver: receiver, status: Status{Position: 1, Address: o.Address, Since: time.Now()}}
	started := time.Now()
	conn, err := zmtp.DialRaw(ctx, o.Address, zmtp.RawOptions{
		Mechanism: o.Mechanism, Minor: o.Minor, Timeout: o.ConnectTimeout, WriteTimeout: noWriteTimeout, Permit: o.Permit,
	})
	if err != nil {
		failed := newError(1, err)
		r.change(relayEnd(failed), failed)
		return nil, failed
	}
	r.conn = conn
	r.login = newRelayLogin(o, started)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = time.AfterFunc(r.login.left(), r.timeout)
	r.stop = context.AfterFunc(ctx, r.leave)
	r.running.Go(r.read)
	return r, nil
}

// Minor returns the backend's minor version of ZMTP 3.
func (r *Relay) Minor() byte { return r.conn.Minor() }

// Status implements [Socket]. The connection is Connecting until the backend's READY.
func (r *Relay) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []Status{r.status}
}

// Subscribe implements [Socket]: it returns [ErrCannotSubscribe], since subscriptions on a
// relay are frames of the client.
func (r *Relay) Subscribe(context.Context, ...[]byte) error { return ErrCannotSubscribe }

// Unsubscribe implements [Socket] as Subscribe does.
func (r *Relay) Unsubscribe(context.Context, ...[]byte) error { return ErrCannotSubscribe }

// Send implements [Socket]. It returns when the system has taken the frames. After the
// connection has ended, which Ended reports, frames are dropped. Errors are the client's fault
// and wrap [zmtp.ErrProtocol] or [zmtp.ErrTooLarge].
func (r *Relay) Send(_ context.Context, msgs ...zmtp.Message) error {
	frames := make([]zmtp.Frame, len(msgs))
	for i, m := range msgs {
		frames[i] = parseRelayed(m)
		if err := r.fromClient(frames[i]); err != nil {
			return err
		}
	}
	_ = r.conn.WriteFrames(frames...) // the reader finds out why it failed
	return nil
}

// fromClient checks a frame of the client and follows the handshake.
func (r *Relay) fromClient(f zmtp.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.o.MaxFrame + sealing
	if !r.login.ready {
		if !f.Command {
			return fmt.Errorf("%w: message during the handshake", zmtp.ErrProtocol)
		}
		limit = r.o.MaxHandshake
	}
	if int64(len(f.Body)) > limit {
		return fmt.Errorf("frame of %d bytes, at most %d are allowed: %w", len(f.Body), limit, zmtp.ErrTooLarge)
	}
	r.turn(r.login.clientSpoke)
	return nil
}

// turn calls step, which changes whose turn it is in the handshake, and sets the clock. Lock
// held on entry.
func (r *Relay) turn(step func(now time.Time)) {
	if r.over || r.login.over() {
		return
	}
	step(time.Now())
	if r.login.over() {
		r.clock.Stop()
		return
	}
	r.clock.Reset(r.login.left())
}

// timeout ends a handshake when the time of a side is over.
func (r *Relay) timeout() {
	r.mu.Lock()
	r.login.charge(time.Now())
	left, err := r.login.left(), r.login.timeout()
	if left > 0 && !r.over && !r.login.over() { // the turn has just changed
		r.clock.Reset(left)
	}
	over := r.over || r.login.over()
	r.mu.Unlock()
	if left <= 0 && !over {
		r.end(err)
	}
}

// read passes on the frames of the backend until the connection ends.
func (r *Relay) read() {
	frames, bytes := 0, 0 // since the last flush
	for {
		limit := r.o.MaxFrame + sealing
		if !r.passedReady() {
			limit = r.o.MaxHandshake
		}
		f, err := r.conn.ReadFrame(limit)
		if err != nil {
			r.receiver.Flush()
			r.lost(err)
			return
		}
		ready, err := r.fromBackend(f)
		if ready {
			r.change(Connected, nil)
		}
		if err == nil || isRefusal(err) {
			r.give(f)
			frames++
			bytes += len(f.Body)
		}
		if err != nil || ready || frames >= maxTurnMessages || bytes >= maxTurnBytes || !r.conn.Buffered() {
			r.receiver.Flush()
			frames, bytes = 0, 0
		}
		if err != nil {
			r.lost(err)
			return
		}
	}
}

func (r *Relay) passedReady() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.login.ready
}

// fromBackend follows the handshake with a frame of the backend. ready reports that it is
// READY. An error ends the connection.
func (r *Relay) fromBackend(f zmtp.Frame) (ready bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.login.ready {
		return false, nil
	}
	name, err := commandName(f)
	if err != nil {
		return false, err
	}
	r.turn(func(now time.Time) { r.login.backendSpoke(name, now) })
	if r.login.ready {
		r.status.Handshake = time.Since(r.login.started)
	}
	return r.login.ready, nil
}

// give gives the receiver a frame.
func (r *Relay) give(f zmtp.Frame) {
	r.frame = append(append(r.frame[:0], flagByte(f)), f.Body...)
	_ = r.receiver.Message(zmtp.Message{r.frame}) // a client that takes no more closes the relay
	if cap(r.frame) > maxScratch {
		r.frame = nil
	}
}

// lost ends the connection after err. A client that still waits for WELCOME or READY gets an
// ERROR, as from any backend that refuses, unless the backend has sent one.
func (r *Relay) lost(err error) {
	r.mu.Lock()
	cause := r.login.cause(err)
	due := !r.login.ready && !isRefusal(err) && !r.over
	r.mu.Unlock()
	if status := cause.Status(); due && status != 0 {
		r.give(zmtp.Frame{Command: true, Body: zmtp.Command{Name: "ERROR", Data: fmt.Appendf([]byte{3}, "%d", status)}.Append(nil)})
		r.receiver.Flush()
	}
	r.end(cause)
}

// end closes the connection and reports why.
func (r *Relay) end(cause error) {
	if !r.quit() {
		return
	}
	r.change(relayEnd(cause), cause)
	r.o.Ended(cause)
}

// quit closes the connection and reports whether it was open until now.
func (r *Relay) quit() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := !r.over
	r.over = true
	r.clock.Stop()
	_ = r.conn.Close()
	return open
}

// leave ends the connection because the client has gone.
func (r *Relay) leave() {
	if r.quit() {
		r.change(Gone, nil)
	}
}

// Recheck implements [Socket]: nothing waits on a relay.
func (r *Relay) Recheck() {}

// Close implements [Socket].
func (r *Relay) Close() error {
	r.stop()
	r.leave()
	r.running.Wait()
	return nil
}

// relayEnd returns the state after err, which ends a relay.
func relayEnd(err error) State {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == KindRefused {
		return Refused
	}
	return Gone
}

// change sets a new state and reports it.
func (r *Relay) change(s State, err error) {
	r.mu.Lock()
	r.status.State, r.status.Since, r.status.Err = s, time.Now(), err
	status := r.status
	r.mu.Unlock()
	if r.o.Event != nil {
		r.o.Event(status)
	}
}

// The flag byte of a relayed frame (45/ZWS, "Framing").
const (
	flagMore    = 0x01
	flagCommand = 0x02
)

func flagByte(f zmtp.Frame) byte {
	switch {
	case f.Command:
		return flagCommand
	case f.More:
		return flagMore
	}
	return 0
}

// RelayedSubscription returns the subscription in a message that the client of a relay sends,
// as far as it can be read: with CURVE it is encrypted. A frame that begins with 01 or 00 is
// one anywhere in a message, as libzmq reads it. Topic aliases m.
func RelayedSubscription(m zmtp.Message) (zmtp.Subscription, bool) {
	f := parseRelayed(m)
	if !f.Command {
		return zmtp.ParseSubscription(zmtp.Message{f.Body})
	}
	command, err := zmtp.ParseCommand(f.Body)
	if err != nil {
		return zmtp.Subscription{}, false
	}
	return command.Subscription()
}

// parseRelayed returns the frame in a message of the client, which is not empty.
func parseRelayed(m zmtp.Message) zmtp.Frame {
	return zmtp.Frame{More: m[0][0] == flagMore, Command: m[0][0] == flagCommand, Body: m[0][1:]}
}

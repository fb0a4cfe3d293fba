package zws

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Conn is one WebSocket and the login on it. PendingConn.Accept returns it; Close, the
// client or a fault ends it. All methods may be called by any goroutine, NextChannel by one
// at a time.
type Conn struct {
	dialect   *dialect
	ws        *websocket.Conn // reads; see wire
	wire      *wire
	mechanism zmtp.Mechanism // nil on dialects without one
	login     atomic.Pointer[Login]
	renewal   *renewal // nil on dialects without one
	channel   Channel
	mux       *mux // nil on dialects with one channel, and before READY

	maxMessage int64
	maxFrames  int

	// ctx ends with the session; its cause is the session's.
	ctx    context.Context
	cancel context.CancelCauseFunc

	// silent is set while a client that wants no close frame has not heard READY; see
	// wantsNoClose.
	silent atomic.Bool

	// reading holds one token while somebody reads. readEnded is the reader's: the client
	// will send no more.
	reading   chan struct{}
	readEnded bool

	// poller stands in for the reader while parked is set; watched is its name for the
	// session.
	poller  *Poller
	parked  atomic.Bool
	watched uint64

	out      writer
	liveness liveness
}

// Login is who the session belongs to, since the last renewal.
func (s *Conn) Login() *Login { return s.login.Load() }

// Channel returns the one channel of a plain ZWS connection. That of a client of ZWSMUX1.0
// stands for the connection as a whole and has no messages; see NextChannel.
func (s *Conn) Channel() *Channel { return &s.channel }

// Context ends when the session is over: no message is read or written any more. The
// connection may still be closing; Wait waits for that.
func (s *Conn) Context() context.Context { return s.ctx }

// Cause is why the session is over; nil while it is not.
func (s *Conn) Cause() *CloseError {
	if s.ctx.Err() == nil {
		return nil
	}
	return Cause(context.Cause(s.ctx))
}

// Close ends the session and tells the client the close code and reason that Cause makes
// of cause; nil is a normal end. The first cause counts, later calls do nothing. What the
// source still holds is not written. Close does not block: the close frame is written and
// the connection closed by the writer, within Options.WriteTimeout and two seconds; Wait
// waits for it.
func (s *Conn) Close(cause error) {
	s.cancel(Cause(cause)) // keeps the first
	s.liveness.stop()
	s.out.wake()
	s.resume()
}

// Wait returns when the connection is closed. Calls of ReadMessage and NextChannel that
// wait then return soon. It does not close the connection.
func (s *Conn) Wait() { <-s.out.end() }

// lost tells a client that asked for notices that n more messages were dropped for it
// (LOST). Calls before the notice is written add up. It does not block.
func (s *Conn) lost(n uint64) {
	if n == 0 || !s.notices() {
		return
	}
	s.out.mu.Lock()
	s.out.lost += n
	s.out.mu.Unlock()
	s.out.wake()
}

// Expiring tells a client that asked for notices that its login ends in d, in whole
// seconds (EXPIRING). It does not block.
func (s *Conn) Expiring(d time.Duration) {
	if !s.notices() {
		return
	}
	seconds := uint32(min(max(d/time.Second, 0), 1<<32-1))
	s.out.mu.Lock()
	s.out.expiring = &seconds
	s.out.mu.Unlock()
	s.out.wake()
}

func (s *Conn) notices() bool { return s.dialect.tells.listens(s.Login()) }

// encode and flag make a frame of traffic ready for the transport.
func (s *Conn) encode(f zmtp.Frame) (zmtp.Frame, error) {
	if s.mechanism == nil {
		return f, nil
	}
	return s.mechanism.Encode(f)
}

func (s *Conn) flag(f zmtp.Frame) byte {
	if f.Command {
		return flagCommand
	}
	return s.dialect.frames.flag(f.More)
}

// send queues a command of the handshake or of a renewal, which is never sealed.
func (s *Conn) send(c zmtp.Command) {
	body := c.Append(nil)
	s.enqueue(append(appendHeader(nil, flagCommand, len(body)), body...))
}

// enqueue queues encoded frames for the writer, before data.
func (s *Conn) enqueue(p []byte) {
	s.out.mu.Lock()
	s.out.control = append(s.out.control, p...)
	s.out.mu.Unlock()
	s.out.wake()
}

// answerPing queues a pong; only the latest ping needs one (RFC 6455, section 5.5.3).
func (s *Conn) answerPing(payload string) error {
	s.out.mu.Lock()
	s.out.pong = appendControl(nil, wsPong, []byte(payload))
	s.out.mu.Unlock()
	s.out.wake()
	return nil
}

// lingerTime is how long a client may take to close its side after our close frame.
const lingerTime = 2 * time.Second

// linger closes the connection after the close frame. Closing it while the client still
// sends would reset it, and the close frame with its reason would be lost: so our side is
// closed first, and what still comes is read and dropped for a while.
func (s *Conn) linger() {
	defer s.closeConn()
	if half, ok := s.wire.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	s.wire.expire(time.Now().Add(lingerTime)) // ends the read that may be going on
	s.reading <- struct{}{}
	defer func() { <-s.reading }()
	if !s.readEnded {
		io.Copy(io.Discard, s.wire.Conn)
	}
}

// closeConn closes the connection, which the poller then forgets.
func (s *Conn) closeConn() {
	if s.poller != nil {
		s.poller.forget(s)
	}
	s.wire.Conn.Close()
}

// writeError tells a client that does not read from a connection that broke.
func writeError(err error) error {
	if isTimeout(err) {
		return &CloseError{Code: CodeTooSlow, Reason: "the client reads too slowly", Err: err}
	}
	return &CloseError{Code: CodeAbnormal, Err: fmt.Errorf("%w: %w", ErrPeerClosed, err)}
}

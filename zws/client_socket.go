package zws

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// clientSocket is the client's side of a handshake and of the traffic that follows, over
// anything that carries frames.
type clientSocket struct {
	options   *DialOptions
	mechanism zmtp.Mechanism // nil on bare ZWS2.0
	peer      *zmtp.Peer
	relayed   bool
	minor     byte // version of ZMTP 3 that the backend of a relay uses

	// read reads a frame, whose body is valid until the next; write writes one.
	read  func(context.Context) (zmtp.Frame, error)
	write func(context.Context, zmtp.Frame) error
	// hangUp ends a read that waits, and everything else.
	hangUp func() error

	// writing holds one token during write and the encoding before it.
	writing chan struct{}

	// The message that Recv is reading. It stays when the ctx of a call ends.
	message zmtp.Message
	size    int64
	mark    mark // of that

	history *clientHistory
}

func newClientSocket(o *DialOptions) clientSocket {
	return clientSocket{options: o, writing: make(chan struct{}, 1), history: &clientHistory{}}
}

// Peer returns what the server said about itself; behind a relay, the backend.
func (s *clientSocket) Peer() *zmtp.Peer { return s.peer }

// Relayed reports whether the peer is the backend of a relay, and which minor version of
// ZMTP 3 it uses. Relays only tell clients that offer the subprotocol with "+".
func (s *clientSocket) Relayed() (minor byte, ok bool) { return s.minor, s.relayed }

func (s *clientSocket) lock(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *clientSocket) unlock() { <-s.writing }

// Send sends one message and returns when the system has taken it. Its frames are not kept.
// The end of ctx ends the wait for other calls and, behind a relay, for credit; in the
// middle of a message it also closes the socket. A write that has begun goes on, for at most
// DialOptions.WriteTimeout.
func (s *clientSocket) Send(ctx context.Context, m zmtp.Message) error {
	if len(m) == 0 {
		return errEmptyMessage
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	for i, body := range m {
		if err := s.encode(ctx, zmtp.Frame{More: i < len(m)-1, Body: body}); err != nil {
			if i > 0 && ctx.Err() != nil {
				s.hangUp() // the peer cannot understand what would follow
			}
			return err
		}
	}
	return nil
}

// Subscribe asks for the messages that begin with any of the topics. It waits as Send does.
func (s *clientSocket) Subscribe(ctx context.Context, topics ...[]byte) error {
	return s.sendSubscriptions(ctx, false, topics)
}

// Unsubscribe ends subscriptions to the same topics. It waits as Send does.
func (s *clientSocket) Unsubscribe(ctx context.Context, topics ...[]byte) error {
	return s.sendSubscriptions(ctx, true, topics)
}

// sendSubscriptions sends messages, as in 45/ZWS, or commands to the backend of a relay that
// uses ZMTP 3.1.
func (s *clientSocket) sendSubscriptions(ctx context.Context, cancel bool, topics [][]byte) error {
	for _, topic := range topics {
		f := zmtp.Subscription{Topic: topic, Cancel: cancel}.Frame(s.minor)
		if err := s.encodeLocked(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// Recv returns the next message, which the caller owns; for PUB and XPUB that can be a
// subscription, see zmtp.ParseSubscription. When the server closes, the error is a
// *CloseError.
func (s *clientSocket) Recv(ctx context.Context) (zmtp.Message, error) {
	s.history.next()
	for {
		f, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		if s.mechanism != nil {
			if f, err = s.mechanism.Decode(f); err != nil {
				return nil, err
			}
		}
		if f.Command {
			subscription, err := s.receiveCommand(ctx, f.Body)
			switch {
			case subscription != nil && len(s.message) > 0:
				return nil, fmt.Errorf("%w: a subscription inside a message", zmtp.ErrProtocol)
			case subscription != nil || err != nil:
				return subscription, err
			}
			continue
		}
		if s.size += int64(len(f.Body)); s.size > s.options.MaxMessage || len(s.message) == s.options.MaxFrames {
			return nil, tooLargeForClient(s.options)
		}
		s.message = append(s.message, append([]byte{}, f.Body...))
		if !f.More {
			m := s.message
			s.history.take(s.mark)
			s.message, s.size, s.mark = nil, 0, mark{}
			return m, nil
		}
	}
}

func tooLargeForClient(o *DialOptions) error {
	return fmt.Errorf("zws: %w: message of more than %d bytes or %d frames", zmtp.ErrTooLarge, o.MaxMessage, o.MaxFrames)
}

// receiveCommand acts on a command after READY: one of ZMTP 3.1 from the backend of a relay,
// or a notification. Others are ignored.
func (s *clientSocket) receiveCommand(ctx context.Context, body []byte) (subscription zmtp.Message, err error) {
	command, err := zmtp.ParseCommand(body)
	switch {
	case err != nil:
		return nil, err
	case s.relayed:
		return s.receiveRelayed(ctx, command)
	case s.options.history():
		if done, err := s.receiveHistory(command); done || err != nil {
			return nil, err
		}
	}
	if s.options.Notify != nil {
		if n, ok := parseNotification(command); ok {
			s.options.Notify(n)
		}
	}
	return nil, nil
}

// receiveRelayed answers PING and returns subscriptions in the form that they have in
// 45/ZWS.
func (s *clientSocket) receiveRelayed(ctx context.Context, c zmtp.Command) (zmtp.Message, error) {
	if c.Name == "PING" && len(c.Data) >= 2 { // 37/ZMTP: time-to-live, context
		return nil, s.sendCommand(ctx, zmtp.Command{Name: "PONG", Data: c.Data[2:]})
	}
	publishes := s.options.SocketType == zmtp.PUB || s.options.SocketType == zmtp.XPUB
	if subscription, ok := c.Subscription(); ok && publishes {
		return subscription.Message(), nil
	}
	return nil, nil
}

// parseNotification reads a notification from its command.
func parseNotification(c zmtp.Command) (Notification, bool) {
	switch {
	case c.Name == "LOST" && len(c.Data) == 8:
		return Notification{Lost: binary.BigEndian.Uint64(c.Data)}, true
	case c.Name == "EXPIRING" && len(c.Data) == 4:
		return Notification{Expiring: time.Duration(binary.BigEndian.Uint32(c.Data)) * time.Second}, true
	case c.Name == "UNSUBSCRIBED":
		return Notification{Unsubscribed: append([]byte{}, c.Data...)}, true
	case c.Name == "WELCOME":
		return Notification{Renewed: true}, true
	}
	return Notification{}, false
}

// sendCommand sends a command after READY.
func (s *clientSocket) sendCommand(ctx context.Context, c zmtp.Command) error {
	return s.encodeLocked(ctx, zmtp.Frame{Command: true, Body: c.Append(nil)})
}

// encodeLocked takes the lock and calls encode.
func (s *clientSocket) encodeLocked(ctx context.Context, f zmtp.Frame) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.encode(ctx, f)
}

// encode encrypts a frame, if the mechanism does, and writes it. Lock held on entry.
func (s *clientSocket) encode(ctx context.Context, f zmtp.Frame) error {
	if s.mechanism != nil {
		var err error
		if f, err = s.mechanism.Encode(f); err != nil {
			return err
		}
	}
	return s.write(ctx, f)
}

// writeLocked takes the lock and writes a frame of the handshake.
func (s *clientSocket) writeLocked(ctx context.Context, f zmtp.Frame) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.write(ctx, f)
}

// login is the client side of a mechanism's handshake.
func (s *clientSocket) login(ctx context.Context) error {
	mechanism, err := s.options.Security.NewClient(s.options.local())
	if err != nil {
		return err
	}
	if err := s.runMechanism(ctx, mechanism); err != nil {
		return s.addReason(ctx, err)
	}
	s.mechanism, s.peer = mechanism, mechanism.Peer()
	s.history.kept = s.options.history() && !s.relayed && s.peer.Metadata.Get(historyProperty) == "1"
	if theirs := s.peer.SocketType(); theirs != "" && !s.options.SocketType.Accepts(theirs) {
		return &zmtp.SocketTypeError{Ours: s.options.SocketType, Peer: theirs}
	}
	return nil
}

func (s *clientSocket) runMechanism(ctx context.Context, mechanism zmtp.Mechanism) error {
	var in *zmtp.Command
	for {
		out, err := mechanism.Next(ctx, in)
		if err != nil {
			return err
		}
		if out != nil {
			if err := s.writeLocked(ctx, zmtp.Frame{Command: true, Body: out.Append(nil)}); err != nil {
				return err
			}
		}
		if mechanism.Done() {
			return nil
		}
		command, err := s.readCommand(ctx, in == nil)
		if err != nil {
			if mechanism.Name() == zap.CURVE && in == nil {
				return closedEarly(err, zmtp.ErrClosedBeforeWelcome)
			}
			return closedEarly(err, zmtp.ErrClosedDuringLogin)
		}
		in = &command
	}
}

// readCommand reads a command of the handshake. The first one can follow a relay's GREETING.
func (s *clientSocket) readCommand(ctx context.Context, first bool) (zmtp.Command, error) {
	for {
		f, err := s.read(ctx)
		if err != nil {
			return zmtp.Command{}, err
		}
		if !f.Command {
			return zmtp.Command{}, fmt.Errorf("%w: a message instead of a command of the handshake", zmtp.ErrProtocol)
		}
		c, err := zmtp.ParseCommand(f.Body)
		if err != nil || c.Name != greetingCommand || !first || s.relayed {
			return c, err
		}
		if len(c.Data) != 1 {
			return c, fmt.Errorf("%w: GREETING with %d bytes of data, want 1", zmtp.ErrProtocol, len(c.Data))
		}
		s.relayed, s.minor = true, c.Data[0]
	}
}

// closedEarly adds to a connection that broke during the login what that means.
func closedEarly(err, meaning error) error {
	closed, ok := errors.AsType[*CloseError](err)
	if ok && (closed.Code == CodeAbnormal || closed.Code == CodeNoStatus) {
		closed.Err = meaning
	}
	return err
}

// reasonTime is how long the client waits for the close frame with the reason after an
// ERROR. libzmq sends none.
const reasonTime = time.Second

// addReason adds to a refused login the code and reason with which the server closes.
func (s *clientSocket) addReason(ctx context.Context, err error) error {
	refusal, ok := errors.AsType[*zmtp.RefusedError](err)
	if !ok {
		return err
	}
	defer time.AfterFunc(reasonTime, func() { s.hangUp() }).Stop()
	for {
		_, err := s.read(ctx)
		if err == nil {
			continue
		}
		if closed, ok := errors.AsType[*CloseError](err); ok && closed.Code != CodeAbnormal {
			closed.Status, closed.Err = refusal.Status, refusal
			return closed
		}
		return &CloseError{Code: CodeAbnormal, Status: refusal.Status, Reason: strings.ToValidUTF8(refusal.Reason, "\uFFFD"), Err: refusal}
	}
}

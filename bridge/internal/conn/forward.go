package conn

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// forwarding is the way of a stream's messages from the client to the backend. Only the
// reader uses it.
type forwarding struct {
	stamp     []byte         // frame that goes with every message; nil for none
	held      []zmtp.Message // not given to the socket yet
	heldBytes int64          // of held
}

const (
	// maxHeld and maxHeldBytes limit what is given to the socket at a time.
	maxHeld      = 256
	maxHeldBytes = 64 << 10
	// keptHeld is for how many of them the memory is kept.
	keptHeld = 8
)

// forward gives one message of the client to the backend, if that is permitted. It waits
// while the backend cannot take it. If more is set another message is at hand, and this one
// may be held to go together with it. An error has ended the stream.
func (s *stream) forward(ctx context.Context, m zmtp.Message, more bool) error {
	err := s.forwardMessage(ctx, m, more)
	if err != nil {
		err = closeCause(err)
		s.end(err)
	}
	return err
}

func (s *stream) forwardMessage(ctx context.Context, m zmtp.Message, more bool) error {
	if s.conn.expired() {
		return errExpired
	}
	if s.route.Relay() { // its frames are between client and backend
		if err := s.countRelayed(m); err != nil {
			return err
		}
	} else if done, err := s.check(ctx, m); done || err != nil {
		return err
	}
	s.route.Metrics().FromClient(m)
	if s.stamp != nil {
		m = route.Stamped(s.route.SocketType(), m, s.stamp)
	}
	s.held = append(s.held, m)
	s.heldBytes += int64(m.Memory())
	if more && len(s.held) < maxHeld && s.heldBytes < maxHeldBytes {
		return nil
	}
	return s.sendHeld(ctx)
}

// check decides on a message of the client. done means that it goes no further: a subscription,
// which is complete, or a probe that is dropped.
func (s *stream) check(ctx context.Context, m zmtp.Message) (done bool, err error) {
	socket := s.route.SocketType()
	if backend.IsProbe(m) && s.dropsProbe(ctx, socket) {
		return true, s.sendHeld(ctx)
	}
	if socket.Subscribes() {
		if sub, ok := zmtp.ParseSubscription(m); ok {
			if err := s.sendHeld(ctx); err != nil { // messages and subscriptions keep their order
				return true, err
			}
			return true, s.subscribe(ctx, sub)
		}
		if socket == zmtp.SUB {
			return false, &zws.CloseError{Code: zws.CodeProtocol, Reason: "this route takes subscriptions only"}
		}
		if n := route.HiddenSubscription(m); n > 0 && !s.route.Rules().LaterFrames {
			return false, errors.Join(hiddenSubscription(n), s.sendHeld(ctx))
		}
	}
	if r := s.rights.Load(); !r.Unlimited() {
		if err := r.Send(ctx, route.Topic(socket, m)); err != nil {
			return false, errors.Join(route.Denied(err), s.sendHeld(ctx))
		}
	}
	return false, nil
}

// dropsProbe drops and counts a probe that is for nobody, or that the client may not send: the
// client has not asked for it and must not lose its connection by it.
func (s *stream) dropsProbe(ctx context.Context, socket zmtp.SocketType) bool {
	why := backend.Unasked
	switch socket {
	case zmtp.REQ, zmtp.ROUTER:
	case zmtp.DEALER:
		if s.rights.Load().Send(ctx, nil) == nil {
			return false
		}
		why = backend.Forbidden
	default: // these clients cannot probe
		return false
	}
	s.route.Metrics().Dropped(why)
	return true
}

// hiddenSubscription refuses a message whose frame n would change the subscriptions of the
// connection to a backend, whatever the rights of the client.
func hiddenSubscription(n int) error {
	return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
		Reason: fmt.Sprintf("frame %d of a message begins with 00 or 01: backends take it for a subscription", n)}
}

func (s *stream) sendHeld(ctx context.Context) error {
	if len(s.held) == 0 {
		return nil
	}
	err := s.socket.Send(ctx, s.held...)
	clear(s.held)
	s.heldBytes = 0
	if s.held = s.held[:0]; cap(s.held) > keptHeld {
		s.held = nil
	}
	return err
}

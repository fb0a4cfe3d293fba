package zmtp

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zap"
)

// NewServer makes the server side of m, which is NULL, PLAIN, BEARER or CURVE, for one
// connection. It cannot be made without a ZAP handler and a domain, and CURVE not without
// a key pair that belongs together; the error says what is missing.
//
// The handler is asked through zap.Decide as soon as the credentials are known: at READY
// (NULL), HELLO (PLAIN, BEARER) or INITIATE (CURVE). 200 goes on. 300 ends the handshake
// with a *RefusedError and no command, as libzmq does: the peer may try again. 400 and 500
// end it with a *RefusedError and an ERROR whose reason is exactly the status.
func NewServer(m zap.Mechanism, s ServerSecurity) (Mechanism, error) {
	switch {
	case s.Handler == nil:
		return nil, fmt.Errorf("zmtp: %s server without a ZAP handler", m)
	case s.Domain == "":
		return nil, fmt.Errorf("zmtp: %s server without a ZAP domain", m)
	}
	if err := checkLocal(s.Local); err != nil {
		return nil, err
	}
	switch m {
	case zap.NULL:
		return newNullServer(s), nil
	case zap.PLAIN:
		return newPlainServer(s), nil
	case zap.BEARER:
		return newBearerServer(s), nil
	case zap.CURVE:
		return newCurveServer(s)
	}
	return nil, fmt.Errorf("zmtp: no mechanism %q; there are NULL, PLAIN, BEARER and CURVE", m)
}

// server is what the server sides share: the question to the ZAP handler and to Admit.
type server struct {
	handshake
	// security holds long-term secrets: a connection lets go of it with the handshake.
	security *ServerSecurity
	// errorName is what the ERROR command is called: cmdError or cmdLibzmqError.
	errorName string
}

func newServer(m zap.Mechanism, s ServerSecurity) server {
	return server{handshake: handshake{mechanism: m}, security: &s, errorName: cmdError}
}

// authenticate asks the ZAP handler. When err is nil the peer is let in; else out is the
// ERROR that it is told, if any.
func (s *server) authenticate(ctx context.Context, metadata zap.Metadata, credentials ...[]byte) (out *Command, err error) {
	peer := &Peer{Mechanism: s.mechanism, Metadata: metadata, Credentials: credentials}
	reply := zap.Decide(ctx, s.security.Handler, &zap.Request{
		Domain:      s.security.Domain,
		Address:     s.security.Address,
		RoutingID:   peer.RoutingID(),
		Mechanism:   s.mechanism,
		Credentials: credentials,
	})
	if reply.Status != zap.OK {
		refusal := &RefusedError{Status: reply.Status, Reason: truncate(reply.Text, 255), Err: reply.Cause}
		if reply.Status == zap.Temporary {
			return nil, refusal
		}
		return s.refuse(reply.Status), refusal
	}
	peer.Reply = reply
	s.peer = peer
	return nil, nil
}

// admit asks the caller's own hook, which holds READY back until it returns.
func (s *server) admit(ctx context.Context) (out *Command, err error) {
	if s.security.Admit == nil {
		return nil, nil
	}
	err = s.security.Admit(ctx, s.peer)
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		return s.refuse(refusal.Status), err
	}
	return nil, err
}

// refuse makes the ERROR command. Its reason is exactly three octets, because libzmq
// tells a refusal from a fault by that.
func (s *server) refuse(status zap.Status) *Command {
	if status == zap.OK || !status.Valid() {
		status = zap.Refused
	}
	return &Command{Name: s.errorName, Data: fmt.Appendf([]byte{3}, "%d", status)}
}

// ready makes the READY of a mechanism without encryption and ends the handshake.
func (s *server) ready() *Command {
	out := &Command{Name: cmdReady, Data: s.security.Local.Append(nil)}
	s.finish(cleartext{})
	return out
}

func (s *server) finish(traffic codec) {
	s.security = nil
	s.handshake.finish(traffic)
}

// truncate cuts s to at most n octets and leaves no broken character at its end.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

package zmtp

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zap"
)

// NewServer returns the server side of m, which is NULL, PLAIN, BEARER or CURVE, for one
// connection. It fails without a ZAP handler or a domain, and for CURVE if the secret key
// does not belong to the public key.
//
// The handler is asked through zap.Decide as soon as the credentials are known: at READY
// (NULL), HELLO (PLAIN, BEARER) or INITIATE (CURVE). Status 200 continues the handshake. 300
// ends it with a *RefusedError and no command, as in libzmq: the peer may try again. 400 and
// 500 end it with a *RefusedError and an ERROR command whose reason is exactly the status.
// The result is a ServerMechanism.
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
	return nil, fmt.Errorf("zmtp: unknown mechanism %q (one of NULL, PLAIN, BEARER, CURVE)", m)
}

// server is what the server sides share: authentication through ZAP, and Admit.
type server struct {
	handshake
	// security holds long-term secrets, so finish drops it.
	security *ServerSecurity
	// errorName is the name of the ERROR command: cmdError or cmdLibzmqError.
	errorName string
}

func newServer(m zap.Mechanism, s ServerSecurity) server {
	return server{handshake: handshake{mechanism: m}, security: &s, errorName: cmdError}
}

// authenticate asks the ZAP handler about the peer. If err is not nil the peer is refused and
// out is the ERROR to send, if any.
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
		refusal := &RefusedError{Status: reply.Status, Reason: truncate(reply.Text, 255), Err: reply.Cause, Authenticator: reply.Authenticator, Peer: peer}
		if reply.Status == zap.Temporary {
			return nil, refusal
		}
		return s.refuse(reply.Status), refusal
	}
	peer.Reply = reply
	s.peer = peer
	return nil, nil
}

// admit calls ServerSecurity.Admit. If err is not nil out is the ERROR to send, if any.
func (s *server) admit(ctx context.Context) (out *Command, err error) {
	if s.security.Admit == nil {
		return nil, nil
	}
	err = s.security.Admit(ctx, s.peer)
	if out := s.explain(err); out != nil {
		return out, err
	}
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		return s.refuse(refusal.Status), err
	}
	return nil, err
}

// refuse returns the ERROR command. Its reason is exactly three bytes, because libzmq takes
// any other for a protocol error; see ExplainProperty for peers that do not.
func (s *server) refuse(status zap.Status) *Command {
	if status == zap.OK || !status.Valid() {
		status = zap.Refused
	}
	return &Command{Name: s.errorName, Data: fmt.Appendf([]byte{3}, "%d", status)}
}

// ready completes the handshake of a mechanism without encryption and returns its READY.
func (s *server) ready() *Command {
	out := s.Ready(s.security.Local)
	s.finish(noCipher{})
	return out
}

// Ready implements ServerMechanism.
func (s *server) Ready(local zap.Metadata) *Command {
	return &Command{Name: cmdReady, Data: local.Append(nil)}
}

func (s *server) finish(c frameCipher) {
	s.security = nil
	s.handshake.finish(c)
}

// truncate cuts s to at most n bytes, between two characters.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

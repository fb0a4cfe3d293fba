package zws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// runMechanism is the first-message rule of 45/ZWS with a mechanism: the handshake of the
// mechanism, one command a frame, and no greeting.
//
//	handshake = 1*command
func (h *handshake) runMechanism(ctx context.Context) error {
	var refused error
	mechanism, err := zmtp.NewServer(h.chosen.dialect.mechanism, zmtp.ServerSecurity{
		Handler:     h.credentials.handler(h.options.Handler),
		Domain:      h.options.Domain,
		Address:     h.login.Address,
		Local:       h.local(),
		CurvePublic: h.options.CurvePublic,
		CurveSecret: h.options.CurveSecret,
		LibzmqError: h.libzmq,
		Admit: func(_ context.Context, peer *zmtp.Peer) error {
			refused = h.admit(peer)
			return refusal(refused)
		},
	})
	if err != nil {
		return err
	}
	var in *zmtp.Command // nil: a side that waits is started so
	for {
		out, err := mechanism.Next(ctx, in)
		if err == nil && mechanism.Done() {
			h.mechanism, h.ready = mechanism, out
			return nil
		}
		if out != nil {
			h.conn.send(*out)
		}
		if err != nil {
			h.errorSent = out != nil
			return errors.Join(refused, err)
		}
		if in, err = h.receiveCommand(); err != nil {
			return err
		}
	}
}

// sendReady ends the handshake of a mechanism.
func (h *handshake) sendReady(AcceptOptions) {
	h.conn.mechanism = h.mechanism
	h.conn.send(*h.ready)
}

// local is what we tell of ourselves in READY.
func (h *handshake) local() zap.Metadata {
	m := zap.Metadata{{Name: "Socket-Type", Value: string(h.options.Announce)}}
	if len(h.options.RoutingID) > 0 {
		m = append(m, zap.Property{Name: "Identity", Value: string(h.options.RoutingID)})
	}
	return m
}

// refusal gives a mechanism what it needs to send an ERROR in READY's place.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if cause := Cause(err); cause.Status != 0 {
		return &zmtp.RefusedError{Status: cause.Status, Reason: cause.Reason}
	}
	return err
}

// admit takes over what the mechanism has learnt about the client.
func (h *handshake) admit(peer *zmtp.Peer) error {
	l := &h.login
	l.Reply, l.Metadata = peer.Reply, peer.Metadata
	l.Credentials = h.credentials.frames
	if len(l.Credentials) == 0 {
		l.Credentials = peer.Credentials
	}
	if t := peer.SocketType(); t != "" {
		l.SocketType = t
	}
	if err := h.typeTaken(); err != nil {
		return err
	}
	l.RoutingID = peer.RoutingID()
	if len(l.RoutingID) > MaxRoutingID {
		return routingIDTooLong(len(l.RoutingID))
	}
	return nil
}

// exchangeRoutingIDs is the first-message rule of bare ZWS2.0 and of 39/ZWS: the first
// message of each side is its routing id. Ours stands for READY, and jszmq takes whatever
// comes first for it.
//
//	connection = identity *message
func (h *handshake) exchangeRoutingIDs(ctx context.Context) error {
	f, err := h.receive()
	if err != nil {
		return err
	}
	h.login.RoutingID = append([]byte{}, f.Body...)
	more := f.More
	f.free()
	switch {
	case more:
		return &CloseError{Code: CodeProtocol, Reason: "the first message, the routing id, has more than one frame"}
	case len(h.login.RoutingID) > MaxRoutingID:
		return routingIDTooLong(len(h.login.RoutingID))
	}
	return h.authenticate(ctx)
}

// sendRoutingID ends the exchange.
func (h *handshake) sendRoutingID(AcceptOptions) {
	id := h.options.RoutingID
	frame := appendHeader(nil, h.chosen.dialect.frames.last, len(id))
	h.conn.enqueue(append(frame, id...))
}

// authenticate asks the ZAP handler about the credentials of the HTTP request. By itself it
// is the first-message rule of dialects that begin with messages.
func (h *handshake) authenticate(ctx context.Context) error {
	l := &h.login
	l.Credentials = h.credentials.frames
	l.Reply = zap.Decide(ctx, h.options.Handler, &zap.Request{
		Domain:      h.options.Domain,
		Address:     l.Address,
		RoutingID:   l.RoutingID,
		Mechanism:   l.Mechanism,
		Credentials: l.Credentials,
	})
	if l.Reply.Status != zap.OK {
		return &zmtp.RefusedError{Status: l.Reply.Status, Reason: l.Reply.Text, Err: l.Reply.Cause}
	}
	return nil
}

// receive reads one frame of the handshake.
func (h *handshake) receive() (rawFrame, error) {
	defer h.waitForClient()()
	return h.conn.readFrame(h.options.MaxHandshake + 1)
}

// waitForClient gives what is read from now on the time that the client has left. The
// function that it returns ends that.
func (h *handshake) waitForClient() (done func()) {
	start := time.Now()
	h.conn.wire.SetReadDeadline(start.Add(h.left))
	return func() { h.left -= time.Since(start) }
}

// receiveCommand is receive where only a command may come.
func (h *handshake) receiveCommand() (*zmtp.Command, error) {
	f, err := h.receive()
	if err != nil {
		return nil, err
	}
	defer f.free()
	if !f.Command {
		return nil, &CloseError{Code: CodeProtocol, Reason: "a message where a command of the handshake is due"}
	}
	c, err := zmtp.ParseCommand(f.Body)
	if err != nil {
		return nil, err
	}
	if c.Name == "ERROR" { // which NULL would take for a refusal, as if it were ours
		return nil, &CloseError{Code: CodeProtocol, Reason: "ERROR from a client, whose login this is"}
	}
	c.Data = append([]byte(nil), c.Data...) // outlives the pooled buffer
	return &c, nil
}

func routingIDTooLong(n int) error {
	return &CloseError{Code: CodeProtocol, Reason: fmt.Sprintf("routing id of %d octets, allowed are %d", n, MaxRoutingID)}
}

package zws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// handshake is the state of a login from the upgrade to READY.
type handshake struct {
	conn        *Conn
	options     *Options
	chosen      offer
	credentials credentials // of the HTTP request, or of the first message
	unreadable  error       // what was wrong with those of the HTTP request
	login       Login
	libzmq      bool
	errorSent   bool          // by the mechanism
	helloDue    bool          // the client speaks first and has not yet
	left        time.Duration // of the client's time

	mechanism zmtp.Mechanism // nil on dialects without one
	ready     *zmtp.Command  // the mechanism's READY, which Accept sends
}

// runMechanism is the first-message rule of 45/ZWS with a mechanism: the handshake of the
// mechanism, one command per frame, without a greeting.
//
//	handshake = 1*command
func (h *handshake) runMechanism(ctx context.Context) error {
	var refused error
	mechanism, err := zmtp.NewServer(h.chosen.dialect.mechanism, zmtp.ServerSecurity{
		Handler:     h.conn.whileWatched(h.credentials.handler(h.options.Handler)),
		Domain:      h.options.Domain,
		Address:     h.login.Address,
		Local:       h.local(),
		CurvePublic: h.options.CurvePublic,
		CurveSecret: h.options.CurveSecret,
		LibzmqError: h.libzmq,
		Admit: func(_ context.Context, peer *zmtp.Peer) error {
			refused = h.admit(peer)
			return refusedError(refused)
		},
	})
	if err != nil {
		return err
	}
	var in *zmtp.Command // nil starts a side that waits
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
	local := h.local()
	if h.login.Notices() {
		local = append(local, zap.Property{Name: heartbeatProperty, Value: "1"})
	}
	if h.conn.channel.history.marked {
		local = append(local, zap.Property{Name: historyProperty, Value: "1"})
	}
	if len(local) > len(h.local()) {
		h.ready = h.mechanism.(zmtp.ServerMechanism).Ready(local)
	}
	if h.conn.dialect.sealed { // the others do not change frames
		h.conn.mechanism = h.mechanism
	}
	h.conn.send(*h.ready)
}

// local returns the metadata of the server's READY.
func (h *handshake) local() zap.Metadata {
	m := zap.Metadata{{Name: "Socket-Type", Value: string(h.options.Announce)}}
	if len(h.options.RoutingID) > 0 {
		m = append(m, zap.Property{Name: "Identity", Value: string(h.options.RoutingID)})
	}
	return m
}

// refusedError makes a mechanism send an ERROR instead of READY if the cause has a status.
func refusedError(err error) error {
	if err == nil {
		return nil
	}
	if cause := Cause(err); cause.Status != 0 {
		return &zmtp.RefusedError{Status: cause.Status, Reason: cause.Reason}
	}
	return err
}

// admit takes over and checks what the mechanism has learnt about the client.
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
	if err := h.checkSocketType(); err != nil {
		return err
	}
	l.RoutingID = peer.RoutingID()
	if err := checkRoutingID(l.RoutingID); err != nil {
		return err
	}
	return l.askedHistory()
}

// exchangeRoutingIDs is the first-message rule of bare ZWS2.0 and of 39/ZWS: the first
// message of each side is its routing id.
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
	if more {
		return protocolError("the first message, the routing id, must have one frame")
	}
	if err := checkRoutingID(h.login.RoutingID); err != nil {
		return err
	}
	return h.authenticate(ctx)
}

// sendRoutingID ends the exchange. It must not come earlier: to the client the server's
// routing id is READY, and jszmq takes whatever comes first for it.
func (h *handshake) sendRoutingID(AcceptOptions) {
	id := h.options.RoutingID
	frame := appendFrameHeader(nil, h.chosen.dialect.frames.last, len(id))
	h.conn.enqueue(append(frame, id...))
}

// authenticate asks the ZAP handler about the credentials of the HTTP request or of a login
// message. By itself it is the first-message rule of dialects that begin with messages.
func (h *handshake) authenticate(ctx context.Context) error {
	l := &h.login
	l.Credentials = h.credentials.frames
	l.Reply = zap.Decide(ctx, h.conn.whileWatched(h.options.Handler), &zap.Request{
		Domain:      h.options.Domain,
		Address:     l.Address,
		RoutingID:   l.RoutingID,
		Mechanism:   l.Mechanism,
		Credentials: l.Credentials,
	})
	if l.Reply.Status != zap.OK {
		return &zmtp.RefusedError{Status: l.Reply.Status, Reason: l.Reply.Text, Err: l.Reply.Cause, Authenticator: l.Reply.Authenticator}
	}
	return nil
}

// receive reads one frame of the handshake.
func (h *handshake) receive() (rawFrame, error) {
	defer h.waitForClient()()
	return h.conn.readFrame(func() int64 { return h.options.MaxHandshake + 1 })
}

// waitForClient limits the reads that follow to what is left of the client's time, until
// the returned function is called.
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
		return nil, protocolError("a message instead of a command of the handshake")
	}
	c, err := zmtp.ParseCommand(f.Body)
	if err != nil {
		return nil, err
	}
	if c.Name == "ERROR" { // NULL would take it for a refused login
		return nil, protocolError("ERROR from a client during its login")
	}
	c.Data = append([]byte(nil), c.Data...) // outlives the pooled buffer
	return &c, nil
}

func checkRoutingID(id []byte) error {
	if len(id) > MaxRoutingID {
		return protocolError(fmt.Sprintf("routing id of %d bytes: at most %d are allowed", len(id), MaxRoutingID))
	}
	return nil
}

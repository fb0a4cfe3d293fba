package zws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// ErrOrigin is returned by Accept for a page whose origin may not connect; the client was
// answered HTTP 403.
var ErrOrigin = errors.New("zws: the page's origin may not connect")

// Accept upgrades the request and has the ZAP handler judge the client's login. It returns
// a login that is pending: the client waits for READY until the caller has called Accept or
// Reject of it, one of which is required. An error means that the client was refused, has
// been told, and that the connection is closed. It is a *CloseError, except for incomplete
// Options, ErrOrigin, and a request that is not a WebSocket handshake.
//
// ctx ends the login, also while it is pending; it has no meaning for the connection once
// it is accepted. Where a server is to be shut down, use a context of the server: the
// request's own does not end after a hijack.
//
// Accept hijacks the connection, so the http.Handler can return once the login is accepted
// and should, because every goroutine costs memory.
func Accept(ctx context.Context, w http.ResponseWriter, r *http.Request, o Options) (*PendingConn, error) {
	options, err := o.withDefaults()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil, err
	}
	if !originAllowed(r, options) {
		http.Error(w, "this origin may not connect", http.StatusForbidden)
		return nil, fmt.Errorf("%w: %.200q", ErrOrigin, r.Header.Values("Origin"))
	}
	h, refusal := choose(r, options)
	if refusal != nil {
		return nil, refuse(w, r, options, refusal)
	}
	return h.accept(ctx, w, r)
}

// Refuse upgrades the request only to tell the client cause, as Cause has it: with the
// first subprotocol that it offers, an ERROR if cause has one for it, and a close frame. A
// page sees nothing but 1006 otherwise. It returns when the connection is closed, within
// Options.WriteTimeout and four seconds: two for a HELLO that the ERROR answers, two for
// the client to close. Of o it uses Origins, Secure and WriteTimeout. The error is what the
// client was told, or why it could not be.
func Refuse(w http.ResponseWriter, r *http.Request, o Options, cause error) error {
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	setDefault(&o.MaxHandshake, DefaultMaxHandshake)
	if !originAllowed(r, &o) {
		http.Error(w, "this origin may not connect", http.StatusForbidden)
		return fmt.Errorf("%w: %.200q", ErrOrigin, r.Header.Values("Origin"))
	}
	return refuse(w, r, &o, Cause(cause))
}

func refuse(w http.ResponseWriter, r *http.Request, o *Options, cause *CloseError) error {
	first := offer{dialect: unknown}
	if list := offers(r); len(list) > 0 {
		first.name = list[0].name
		if list[0].dialect != nil {
			first.dialect = list[0].dialect
		}
	}
	s, err := newConn(w, r, first, o)
	if err != nil {
		return err
	}
	h := &handshake{conn: s, options: o, libzmq: isLibzmq(r), left: helloTime, helloDue: first.dialect.hello}
	h.fail(cause)
	return cause
}

// helloTime is how long a client that is refused at the upgrade may take to say HELLO. It
// is short because a client that says nothing holds a connection that no limit counts.
const helloTime = 2 * time.Second

// awaitHello waits for what the client says first, which an ERROR or an error object
// answers: to libzmq, an ERROR that comes before it has sent HELLO is a protocol fault and
// not a refused login. What comes, if anything does, is not looked at.
func (h *handshake) awaitHello() {
	if f, err := h.receive(); err == nil {
		f.free()
	}
}

// newSession upgrades the request. If it cannot, the client has been told by an HTTP
// status.
func newConn(w http.ResponseWriter, r *http.Request, chosen offer, o *Options) (*Conn, error) {
	ws, wire, err := upgrade(w, r, chosen.name)
	if err != nil {
		return nil, err
	}
	s := &Conn{
		dialect: chosen.dialect, ws: ws, wire: wire, reading: make(chan struct{}, 1),
		maxMessage: o.MaxMessage, maxFrames: o.MaxFrames, poller: o.Poller,
	}
	if s.dialect.renewable {
		s.renewal = &renewal{options: o}
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.silent.Store(wantsNoClose(r))
	s.channel.conn = s
	s.out.open(s, wire.Conn, o.WriteTimeout)
	ws.SetPingHandler(s.answerPing)
	ws.SetPongHandler(s.liveness.pong)
	ws.SetCloseHandler(func(int, string) error { return nil }) // Close answers it
	return s, nil
}

// handshake is what a login needs beside its session, from the upgrade to READY.
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
	left        time.Duration // of the time that the client has

	mechanism zmtp.Mechanism // nil on dialects without one
	ready     *zmtp.Command  // what it has made and Accept sends
}

// choose takes the first subprotocol, in the client's order, to which the route has no
// objection; or gives the objection to the first one that is known.
func choose(r *http.Request, o *Options) (*handshake, *CloseError) {
	var refusal *CloseError
	for _, offered := range offers(r) {
		if offered.dialect == nil {
			continue
		}
		h := &handshake{options: o, chosen: offered, libzmq: isLibzmq(r), left: o.HandshakeTimeout}
		err := h.relay()
		if err == nil {
			err = h.consider(r)
		}
		if err == nil {
			return h, nil
		}
		if refusal == nil {
			refusal = Cause(err)
		}
	}
	if refusal == nil {
		refusal = Cause(notTaken("no subprotocol that is spoken here, as ZWS2.0+PLAIN, was offered"))
	}
	return nil, refusal
}

// relay puts what a relay speaks in the place of the chosen subprotocol, if this is one.
func (h *handshake) relay() error {
	d := h.chosen.dialect
	if !h.options.Relay || d.multiplexed {
		return nil
	}
	if d.relayed == nil {
		return notTaken("this is a relay: offer the mechanism of who is behind it, as ZWS2.0+CURVE")
	}
	h.chosen.dialect = d.relayed
	return relayTaken(d.relayed.inner, h.options)
}

// consider tells what speaks against the chosen subprotocol as far as the request shows.
func (h *handshake) consider(r *http.Request) error {
	o, d := h.options, h.chosen.dialect
	h.login = Login{Dialect: h.chosen.name, Mechanism: d.mechanism, Address: o.Address, SocketType: o.Untyped}
	if d.name != "" {
		h.login.Dialect = d.name
	}
	h.login.Relayed, h.login.Greets = d.inner, d.told
	if !d.sealed {
		h.login.codec = d.codec
	}
	setDefault(&h.login.Address, peerAddress(r))
	if err := endpointsQuery(r.URL.Query(), &h.login); err != nil {
		return err
	}

	h.credentials = credentials{mechanism: zap.NULL}
	var unreadable error
	if d.mechanism == "" || d.mechanism == zap.NULL {
		h.credentials, unreadable = httpCredentials(r, o)
		h.login.Mechanism = h.credentials.mechanism
	}
	if h.login.Multiplexed = d.multiplexed; d.multiplexed && !o.Multiplex {
		return notTaken("several channels on a connection are not taken here")
	}
	if d.late {
		h.unreadable = unreadable // of no interest to a client that brings its own
		return h.typeTaken()
	}
	if unreadable != nil {
		return unreadable
	}
	if err := mechanismTaken(h.login.Mechanism, o); err != nil {
		return err
	}
	if d.query != nil {
		if err := d.query(r.URL.Query(), &h.login); err != nil {
			return err
		}
	}
	return h.typeTaken()
}

// mechanismTaken tells whether the route takes a login by m.
func mechanismTaken(m zap.Mechanism, o *Options) error {
	switch {
	case m == zap.NULL && !slices.Contains(o.Mechanisms, m):
		return &CloseError{Code: CodeRefused, Status: zap.Refused, Reason: "a login is wanted here"}
	case !slices.Contains(o.Mechanisms, m):
		return notTaken(fmt.Sprintf("%s is not taken here", m))
	case m == zap.PLAIN || m == zap.BEARER:
		return plaintextTaken(m, o)
	}
	return nil
}

// plaintextTaken tells whether the connection is one for m, which hides no secret itself.
func plaintextTaken(m zap.Mechanism, o *Options) error {
	if !o.Secure && !o.PlaintextAllowed {
		return &CloseError{Code: CodeForbidden, Status: zap.Refused, Reason: fmt.Sprintf("%s is not taken without TLS", m)}
	}
	return nil
}

// typeTaken tells whether the route takes the client's socket type.
func (h *handshake) typeTaken() error {
	if slices.Contains(h.options.ClientTypes, h.login.SocketType) {
		return nil
	}
	return notTaken(fmt.Sprintf("a %.16s socket cannot be served here", h.login.SocketType))
}

// isLibzmq tells a client that may be libzmq's by what it sends: neither Origin nor
// User-Agent, and one of three offers, to the letter. It takes PLAIN's ERROR for a fault in
// the specified form. Others with these offers are told the same: they have to know both.
func isLibzmq(r *http.Request) bool {
	offered := r.Header.Values("Sec-Websocket-Protocol")
	if len(offered) != 1 || len(r.Header.Values("Origin")) > 0 || len(r.Header.Values("User-Agent")) > 0 {
		return false
	}
	switch offered[0] {
	case "ZWS2.0/NULL,ZWS2.0", "ZWS2.0/PLAIN", "ZWS2.0/CURVE":
		return true
	}
	return false
}

// wantsNoClose tells a client that a close frame before READY makes give up for good, also
// where it may try again: libzmq, which names no port in Host, whatever port it connects
// to. Others without User-Agent, as gorilla/websocket and Node's ws, name it unless it is
// the default, and want to hear why.
func wantsNoClose(r *http.Request) bool {
	_, _, err := net.SplitHostPort(r.Host)
	return err != nil && isLibzmq(r)
}

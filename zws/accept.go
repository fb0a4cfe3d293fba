package zws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// ErrOrigin is returned by Accept and Refuse for a page whose origin is not allowed; the
// client was answered HTTP 403.
var ErrOrigin = errors.New("zws: origin not allowed")

// originText answers a page with the wrong origin.
const originText = "origin not allowed"

// Accept upgrades the request and has the ZAP handler judge the client's login. It returns
// a pending login: the client waits for READY until the caller calls Accept or Reject of
// it, one of which is required. An error means that the client was refused and told why,
// and that the connection is closed. It is a *CloseError, except for incomplete Options,
// ErrOrigin, and a request that is not a WebSocket handshake.
//
// The end of ctx ends the login, also while it is pending, but not an accepted connection.
// A server that is to be shut down needs a context of its own here: the request's does not
// end after a hijack.
//
// Accept hijacks the connection, so the http.Handler can return once the login is accepted
// and should, because every goroutine costs memory.
func Accept(ctx context.Context, w http.ResponseWriter, r *http.Request, o Options) (*PendingConn, error) {
	options, err := o.withDefaults()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil, err
	}
	options.offered(r)
	if err := checkOrigin(w, r, options); err != nil {
		return nil, err
	}
	h, refusal := choose(r, options)
	if refusal != nil {
		return nil, refuse(w, r, options, refusal)
	}
	return h.accept(ctx, w, r)
}

// Refuse upgrades the request only to tell the client cause, as Cause translates it: with
// the first subprotocol that it offers, an ERROR if cause has a status, and a close frame.
// Without an upgrade a page would only see 1006. Refuse returns when the connection is
// closed, within Options.WriteTimeout and four seconds: two for a HELLO that the ERROR
// answers, two for the client to close. It uses Origins, Secure and WriteTimeout of o. The
// error is what the client was told, or why it could not be told.
func Refuse(w http.ResponseWriter, r *http.Request, o Options, cause error) error {
	o.WriteTimeout = cmp.Or(o.WriteTimeout, DefaultWriteTimeout)
	o.MaxHandshake = cmp.Or(o.MaxHandshake, DefaultMaxHandshake)
	if err := checkOrigin(w, r, &o); err != nil {
		return err
	}
	return refuse(w, r, &o, Cause(cause))
}

func checkOrigin(w http.ResponseWriter, r *http.Request, o *Options) error {
	if originAllowed(r, o) {
		return nil
	}
	http.Error(w, originText, http.StatusForbidden)
	return fmt.Errorf("%w: %.200q", ErrOrigin, r.Header.Values("Origin"))
}

func refuse(w http.ResponseWriter, r *http.Request, o *Options, cause *CloseError) error {
	first := offer{dialect: unknown}
	if list := offers(r); len(list) > 0 {
		first.name = list[0].name
		if list[0].dialect != nil {
			first.dialect = list[0].dialect
		}
	}
	c, err := newConn(w, r, first, o)
	if err != nil {
		return err
	}
	h := &handshake{conn: c, options: o, libzmq: isLibzmq(r), left: helloTime, helloDue: first.dialect.hello}
	h.fail(cause)
	return cause
}

// helloTime is how long a client that is refused at the upgrade has for its HELLO. It is
// short because a silent client holds a connection that no limit counts.
const helloTime = 2 * time.Second

// awaitHello waits for the client's first message, which an ERROR or an error object
// answers: libzmq takes an ERROR before its HELLO for a protocol fault instead of a refused
// login. The message itself does not matter.
func (h *handshake) awaitHello() {
	if f, err := h.receive(); err == nil {
		f.free()
	}
}

// choose takes the first subprotocol, in the client's order, that the route accepts, or
// returns what is wrong with the first one that is known. On a relay ZWSMUX1.0 comes last: the
// client of a relay logs in to the backend, and in the channels of that dialect to the bridge.
func choose(r *http.Request, o *Options) (*handshake, *CloseError) {
	var refusal *CloseError
	list := slices.DeleteFunc(offers(r), func(f offer) bool { return f.dialect == nil })
	if o.Relay {
		slices.SortStableFunc(list, func(a, b offer) int { return multiplexedLast(a) - multiplexedLast(b) })
	}
	for _, offered := range list {
		h := &handshake{options: o, chosen: offered, libzmq: isLibzmq(r), left: o.HandshakeTimeout}
		err := h.relay()
		if err == nil {
			err = h.consider(r)
		}
		if err == nil {
			return h, nil
		}
		if refusal == nil {
			h.attempted(nil)
			refusal = Cause(err)
		}
	}
	if refusal == nil {
		refusal = Cause(notAccepted("no known subprotocol was offered, such as ZWS2.0+PLAIN"))
	}
	return nil, refusal
}

// multiplexedLast sorts ZWSMUX1.0 behind the others.
func multiplexedLast(f offer) int {
	if f.dialect.multiplexed {
		return 1
	}
	return 0
}

// relay replaces the chosen dialect by its form for relays, if this is one.
func (h *handshake) relay() error {
	d := h.chosen.dialect
	if !h.options.Relay || d.multiplexed {
		return nil
	}
	if d.relayed == nil {
		return notAccepted("this route is a relay: offer the mechanism of its backend, such as ZWS2.0+CURVE")
	}
	h.chosen.dialect = d.relayed
	return checkRelayedMechanism(d.relayed.inner, h.options.confidential())
}

// consider checks the chosen subprotocol as far as the HTTP request shows, and fills in
// the login.
func (h *handshake) consider(r *http.Request) error {
	o, d := h.options, h.chosen.dialect
	h.login = Login{
		Dialect:     cmp.Or(d.name, h.chosen.name),
		Mechanism:   d.mechanism,
		Address:     cmp.Or(o.Address, peerAddress(r)),
		SocketType:  o.Untyped,
		Multiplexed: d.multiplexed,
		Relayed:     d.inner,
		Greets:      d.greets,
	}
	if !d.sealed {
		h.login.codecs = &d.codecs
	}
	if err := endpointsQuery(r.URL.Query(), &h.login); err != nil {
		return err
	}

	h.credentials = credentials{mechanism: zap.NULL}
	var unreadable error
	if d.mechanism == "" || d.mechanism == zap.NULL {
		h.credentials, unreadable = httpCredentials(r, o)
		h.login.Mechanism = h.credentials.mechanism
	}
	if d.multiplexed && !o.Multiplex {
		return notAccepted("ZWSMUX1.0 is not enabled on this route")
	}
	if d.loginMessage {
		h.unreadable = unreadable // does not matter to a client that brings its own
		return h.checkSocketType()
	}
	if unreadable != nil {
		return unreadable
	}
	if err := checkMechanism(h.login.Mechanism, o); err != nil {
		return err
	}
	if d.query != nil {
		if err := d.query(r.URL.Query(), &h.login); err != nil {
			return err
		}
	}
	return h.checkSocketType()
}

// checkMechanism checks that the route accepts a login by m.
func checkMechanism(m zap.Mechanism, o *Options) error {
	switch {
	case m == zap.NULL && !slices.Contains(o.Mechanisms, m):
		return &CloseError{Code: CodeRefused, Status: zap.Refused, Reason: "authentication required"}
	case !slices.Contains(o.Mechanisms, m):
		return notAccepted(fmt.Sprintf("this route does not accept %s logins", m))
	case m == zap.PLAIN || m == zap.BEARER:
		return checkPlaintext(m, o.confidential())
	}
	return nil
}

// checkPlaintext checks that m, which hides no secret itself, may be used on the
// connection.
func checkPlaintext(m zap.Mechanism, confidential bool) error {
	if !confidential {
		return &CloseError{Code: CodeForbidden, Status: zap.Refused, Reason: fmt.Sprintf("%s is not accepted without TLS", m)}
	}
	return nil
}

// checkSocketType checks that the route accepts the client's socket type.
func (h *handshake) checkSocketType() error {
	if slices.Contains(h.options.ClientTypes, h.login.SocketType) {
		return nil
	}
	return notAccepted(fmt.Sprintf("this route does not serve %.16s sockets", h.login.SocketType))
}

func notAccepted(reason string) error {
	return &CloseError{Code: CodeNotTaken, Status: zap.Refused, Reason: reason}
}

// isLibzmq recognises clients that may be libzmq by what they send: neither Origin nor
// User-Agent, and literally one of three offers. libzmq takes the ERROR of PLAIN, in its
// specified form, for a fault. Others with the same offers are answered the same, and have
// to know both forms.
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

// wantsNoClose recognises libzmq, which gives up for good on a close frame before READY,
// even if it could try again. libzmq never names a port in Host. Others without
// User-Agent, such as gorilla/websocket and Node's ws, name it unless it is the default,
// and want to know why.
func wantsNoClose(r *http.Request) bool {
	_, _, err := net.SplitHostPort(r.Host)
	return err != nil && isLibzmq(r)
}

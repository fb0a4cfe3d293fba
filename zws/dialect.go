package zws

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// dialect is all that differs between subprotocols. No other file asks which of them it has.
type dialect struct {
	// name is Login.Dialect, if that is not the subprotocol.
	name string
	// mechanism is that of the handshake; empty if there is none and the login is that of
	// the HTTP request.
	mechanism zap.Mechanism
	// login is the first-message rule up to READY: it returns when the ZAP handler has let
	// the client in. ready queues READY or what the dialect has instead; nil for nothing.
	login func(h *handshake, ctx context.Context) error
	ready func(h *handshake, o AcceptOptions)
	// codecs encode messages. Connections share what they make, unless they are sealed.
	codecs codecs
	// frames is the codec of frames, of dialects that have frames.
	frames frameCodec
	// read reads one WebSocket message and returns the message that it completes, if it
	// does; nil where only channels have messages. write appends a message to a batch, with
	// its mark, which is empty for clients that did not ask for history.
	read  func(ch *Channel) (zmtp.Message, error)
	write func(b *Batch, m zmtp.Message, k mark) error
	// notifier tells clients what is not a message.
	notifier notifier
	// loginMessage is set if the client names its mechanism in its first message.
	loginMessage bool
	// commands is set if a frame can be a command, so that the client can be sent ERROR,
	// WELCOME and notifications.
	commands bool
	// hello is set if the client speaks first. libzmq takes what comes with the answer to
	// the upgrade for a fault, and Firefox may not show it to a page.
	hello bool
	// mute is set if clients may answer no pings, as libzmq without a mechanism.
	mute bool
	// renewable is set if a login can be renewed.
	renewable bool
	// relayed replaces the dialect on a relay, where the mechanism is between client and
	// backend; nil if it cannot be relayed. There, inner is that mechanism, and greets is
	// set if the client understands GREETING.
	relayed *dialect
	inner   zap.Mechanism
	greets  bool
	// multiplexed is set if the client opens channels.
	multiplexed bool
	// sealed is set if each connection encrypts with keys of its own.
	sealed bool
	// query, if not nil, reads what the URL says about the client into l.
	query func(q url.Values, l *Login) error
	// normalise, if not nil, gives a message of the client the form that it has in other
	// dialects.
	normalise func(l *Login, m zmtp.Message)
}

// dialects are the subprotocols by the names that clients offer. A "+" replaces the "/"
// that browsers cannot offer, because it is not a token character; the bytes that follow
// are the same.
var dialects = map[string]*dialect{
	// 45/ZWS. CURVE is libzmq's addition.
	"ZWS2.0":        inFrames(zwsFrames, dialect{login: (*handshake).exchangeRoutingIDs, ready: (*handshake).sendRoutingID, mute: true}),
	"ZWS2.0/NULL":   withMechanism(zap.NULL, false),
	"ZWS2.0/PLAIN":  withMechanism(zap.PLAIN, false),
	"ZWS2.0/BEARER": withMechanism(zap.BEARER, false),
	"ZWS2.0/CURVE":  withMechanism(zap.CURVE, false),
	"ZWS2.0+NULL":   withMechanism(zap.NULL, true),
	"ZWS2.0+PLAIN":  withMechanism(zap.PLAIN, true),
	"ZWS2.0+BEARER": withMechanism(zap.BEARER, true),
	"ZWS2.0+CURVE":  withMechanism(zap.CURVE, true),
	// 39/ZWS
	"ZWS1.0": inFrames(zwsFrames, dialect{
		login: (*handshake).exchangeRoutingIDs,
		ready: (*handshake).sendRoutingID,
		query: typeQuery,
	}),
	// JSMQ and NetMQ.WebSockets: neither side introduces itself.
	"WSNetMQ": inFrames(zwsFrames, dialect{login: (*handshake).authenticate}),
	// PROTOCOL.md, "ZWSJSON1.0": objects as text.
	"ZWSJSON1.0": {
		login:        (*handshake).awaitLogin,
		ready:        func(h *handshake, _ AcceptOptions) { h.conn.sendReadyObject() },
		codecs:       codecs{jsonCodec{}, jsonCodec{marks: true}},
		read:         (*Channel).readObject,
		write:        (*Batch).object,
		notifier:     jsonNotifier{},
		loginMessage: true,
		hello:        true,
		renewable:    true,
	},
	// PROTOCOL.md, "ZWSMUX1.0": many channels.
	"ZWSMUX1.0": {
		login:        (*handshake).awaitMuxLogin,
		ready:        (*handshake).startMux,
		codecs:       codecs{muxCodec{}, muxCodec{marks: true}},
		write:        (*Batch).muxMessage,
		notifier:     muxNotifier{},
		loginMessage: true,
		hello:        true,
		renewable:    true,
		multiplexed:  true,
	},
}

// webtalk has the subprotocol of 39/ZWS and is recognised by its URL.
var webtalk = inFrames(webtalkFrames, dialect{
	name:      "webtalk",
	login:     (*handshake).authenticate,
	query:     webtalkQuery,
	normalise: webtalkSubscription,
})

// withMechanism returns the dialect with the mechanism m. Clients that offer the name with
// "+" understand GREETING, which others might take for a fault.
func withMechanism(m zap.Mechanism, plus bool) *dialect {
	return inFrames(zwsFrames, dialect{
		relayed:   relayDialect(m, plus),
		codecs:    codecs{marking: markedZWSFrames},
		mechanism: m,
		login:     (*handshake).runMechanism,
		ready:     (*handshake).sendReady,
		notifier:  commandNotifier{},
		commands:  true,
		hello:     m != zap.NULL,
		renewable: m == zap.BEARER,
		sealed:    m == zap.CURVE,
	})
}

// inFrames completes a dialect in which one WebSocket message is one ZMTP frame.
func inFrames(f frameCodec, d dialect) *dialect {
	d.frames, d.codecs.plain = f, f
	d.read, d.write = (*Channel).readFrames, (*Batch).frames
	if d.notifier == nil {
		d.notifier = noNotifications{}
	}
	return &d
}

// unknown is the dialect of a client that offers none that is known: only the close code
// can be sent.
var unknown = &dialect{notifier: noNotifications{}}

// offer is one subprotocol that a client offers.
type offer struct {
	name    string
	dialect *dialect // nil if it is unknown
}

// maxOffers limits the subprotocols of one request that are looked at.
const maxOffers = 32

// offers returns what r offers, in the client's order (RFC 6455, section 4.1).
func offers(r *http.Request) []offer {
	query := r.URL.Query()
	var list []offer
	for _, line := range r.Header.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && len(list) < maxOffers {
				list = append(list, offer{name, dialectFor(name, query)})
			}
		}
	}
	return list
}

func dialectFor(name string, query url.Values) *dialect {
	if name == "ZWS1.0" && isWebtalk(query) {
		return webtalk
	}
	return dialects[name]
}

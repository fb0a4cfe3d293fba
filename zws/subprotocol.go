package zws

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// dialect is all that differs between the protocols that are spoken here. No other file
// asks which of them it has.
type dialect struct {
	// name is what Login.Dialect says if it is not the subprotocol's name.
	name string
	// mechanism is the one that the handshake speaks; empty if it speaks none and the
	// login is what the HTTP request carries.
	mechanism zap.Mechanism
	// login is the first-message rule up to READY: it returns when the ZAP handler has let
	// the client in. ready queues READY or what the dialect has instead; nil if nothing.
	login func(h *handshake, ctx context.Context) error
	ready func(h *handshake, o AcceptOptions)
	// codec encodes messages; sessions share what it makes, unless they are sealed.
	codec Codec
	// frames is the codec of frames, of dialects that have any.
	frames zwsFrames
	// read reads one WebSocket message, and gives the client's message that it completes,
	// if it does; write appends a message to what is to be written.
	read  func(c *Channel) (zmtp.Message, error)
	write func(b *Batch, m zmtp.Message) error
	// tells is how the client is told what is no message.
	tells teller
	// late tells that the client names its mechanism in its first message.
	late bool
	// commands tells that a frame may be a command, so that the client can be told
	// ERROR, WELCOME and notices.
	commands bool
	// hello tells that the client speaks first. What comes with the upgrade is a fault to
	// libzmq, and Firefox may not show it to a page.
	hello bool
	// renewable tells that a login can be renewed by another HELLO.
	renewable bool
	// relayed is what takes its place on a relay, where the mechanism is for who is behind;
	// nil if it has none that could be. There, inner is that mechanism, and told says that
	// the client knows GREETING.
	relayed *dialect
	inner   zap.Mechanism
	told    bool
	// multiplexed tells that the client opens its channels itself.
	multiplexed bool
	// sealed tells that each session encodes with keys of its own.
	sealed bool
	// query, if not nil, reads what the URL tells of the client into l.
	query func(q url.Values, l *Login) error
	// normalise, if not nil, gives a message of the client the form that it has in the
	// other dialects.
	normalise func(l *Login, m zmtp.Message)
}

// dialects are the subprotocols by the names that clients offer. A "+" stands for the "/"
// that a browser cannot offer (it is no token character): the very same octets follow.
var dialects = map[string]*dialect{
	// 45/ZWS. CURVE is libzmq's addition.
	"ZWS2.0":        inFrames(octetFlags, dialect{login: (*handshake).exchangeRoutingIDs, ready: (*handshake).sendRoutingID}),
	"ZWS2.0/NULL":   withMechanism(zap.NULL, false),
	"ZWS2.0/PLAIN":  withMechanism(zap.PLAIN, false),
	"ZWS2.0/BEARER": withMechanism(zap.BEARER, false),
	"ZWS2.0/CURVE":  withMechanism(zap.CURVE, false),
	"ZWS2.0+NULL":   withMechanism(zap.NULL, true),
	"ZWS2.0+PLAIN":  withMechanism(zap.PLAIN, true),
	"ZWS2.0+BEARER": withMechanism(zap.BEARER, true),
	"ZWS2.0+CURVE":  withMechanism(zap.CURVE, true),
	// 39/ZWS
	"ZWS1.0": inFrames(octetFlags, dialect{login: (*handshake).exchangeRoutingIDs, ready: (*handshake).sendRoutingID, query: typeQuery}),
	// JSMQ and NetMQ.WebSockets: neither side says who it is.
	"WSNetMQ": inFrames(octetFlags, dialect{login: (*handshake).authenticate}),
	// PROTOCOL.md, "ZWSJSON1.0": objects as text.
	"ZWSJSON1.0": {
		login:     (*handshake).awaitLogin,
		ready:     func(h *handshake, _ AcceptOptions) { h.conn.ready() },
		codec:     jsonObjects{},
		read:      (*Channel).readObject,
		write:     (*Batch).object,
		tells:     jsonObjects{},
		late:      true,
		hello:     true,
		renewable: true,
	},
	// PROTOCOL.md, "ZWSMUX1.0": many channels.
	"ZWSMUX1.0": {
		login:       (*handshake).awaitMuxLogin,
		ready:       (*handshake).startMux,
		codec:       muxCodec{},
		write:       (*Batch).muxMessage,
		tells:       muxTeller{},
		late:        true,
		renewable:   true,
		multiplexed: true,
	},
}

// webtalk's dialect has the subprotocol of 39/ZWS and tells itself by its URL.
var webtalk = inFrames(asciiFlags, dialect{
	name:      "webtalk",
	login:     (*handshake).authenticate,
	query:     webtalkQuery,
	normalise: webtalkSubscription,
})

// withMechanism is a dialect with the mechanism m. Clients that offer a name with "+" know
// GREETING, which others might take for a fault.
func withMechanism(m zap.Mechanism, plus bool) *dialect {
	return inFrames(octetFlags, dialect{
		relayed:   relayedDialect(m, plus),
		mechanism: m,
		login:     (*handshake).runMechanism,
		ready:     (*handshake).sendReady,
		tells:     commands{},
		commands:  true,
		hello:     m != zap.NULL,
		renewable: m == zap.BEARER,
		sealed:    m == zap.CURVE,
	})
}

// inFrames completes a dialect in which one WebSocket message is one ZMTP frame.
func inFrames(f zwsFrames, d dialect) *dialect {
	d.frames, d.codec = f, f
	d.read, d.write = (*Channel).readFrames, (*Batch).frames
	if d.tells == nil {
		d.tells = silence{}
	}
	return &d
}

// unknown stands for a dialect that is not known here: nothing can be told in it but the
// close code.
var unknown = &dialect{tells: silence{}}

// offer is one subprotocol that a client offers.
type offer struct {
	name    string
	dialect *dialect // nil if it is not known here
}

// maxOffers is how many subprotocols of one request are looked at.
const maxOffers = 32

// offers reads what r offers, in the client's order (RFC 6455, section 4.1).
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

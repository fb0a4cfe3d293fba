package zws

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// maxQueryValues limits the endpoints and the topics in one URL; the limit of HTTP headers
// bounds their length.
const maxQueryValues = 100

// typeQuery reads the URL of 39/ZWS, where ?type= is the client's socket type and required.
func typeQuery(q url.Values, l *Login) error {
	switch types := q["type"]; len(types) {
	case 0:
		return notAccepted("ZWS1.0 needs the socket type in the URL: ?type=")
	case 1:
		l.SocketType = zmtp.SocketType(strings.ToUpper(types[0]))
	default:
		return notAccepted("the URL names more than one socket type")
	}
	if !l.SocketType.Valid() {
		return notAccepted(fmt.Sprintf("unknown socket type in the URL: type=%.16s", l.SocketType))
	}
	return nil
}

// isWebtalk distinguishes webtalk's URLs from those of 39/ZWS, which only have type=.
func isWebtalk(q url.Values) bool {
	return slices.ContainsFunc([]string{"connect", "bind", "subscribe", "identity", "policy"}, q.Has)
}

// endpointsQuery reads connect= and bind=, of which a URL can have several. They belong to
// webtalk but are not ignored in other dialects: a client that names endpoints needs them.
func endpointsQuery(q url.Values, l *Login) error {
	if max(len(q["connect"]), len(q["bind"])) > maxQueryValues {
		return notAccepted(fmt.Sprintf("the URL names more than %d endpoints", maxQueryValues))
	}
	if q.Has("connect") || q.Has("bind") {
		l.wishes = &Wishes{Connect: q["connect"], Bind: q["bind"]}
	}
	return nil
}

// webtalkQuery reads the rest of webtalk's URL: type=, identity=, and any number of
// subscribe=. Its text mode and policies are not supported.
func webtalkQuery(q url.Values, l *Login) error {
	if err := typeQuery(q, l); err != nil {
		return err
	}
	switch {
	case q.Has("text"), q.Has("policy"):
		return notAccepted("webtalk's text= and policy= are not supported")
	case len(q["identity"]) > 1 || len(q.Get("identity")) > MaxRoutingID:
		return notAccepted(fmt.Sprintf("identity= needs one value of at most %d bytes", MaxRoutingID))
	case len(q["subscribe"]) > maxQueryValues:
		return notAccepted(fmt.Sprintf("the URL names more than %d topics", maxQueryValues))
	case q.Has("subscribe") && !l.SocketType.Subscribes():
		return notAccepted(fmt.Sprintf("subscribe= is for SUB and XSUB, not for %s", l.SocketType))
	}
	l.RoutingID = []byte(q.Get("identity"))
	wishes := l.Wishes()
	for _, topic := range q["subscribe"] {
		wishes.Subscribe = append(wishes.Subscribe, []byte(topic))
	}
	l.wishes = &wishes
	return nil
}

// webtalkSubscription gives a subscription in ASCII, '1' or '0' and the topic, the form
// that it has in other dialects.
func webtalkSubscription(l *Login, m zmtp.Message) {
	if l.SocketType.Subscribes() && len(m[0]) > 0 && (m[0][0] == '0' || m[0][0] == '1') {
		m[0][0] -= '0'
	}
}

package zws

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// maxQueryValues is how many endpoints or topics one URL may name; their length is bounded
// by that of the HTTP header.
const maxQueryValues = 100

// typeQuery reads the URL of 39/ZWS: ?type= names the client's socket type and is required.
func typeQuery(q url.Values, l *Login) error {
	switch types := q["type"]; len(types) {
	case 0:
		return notTaken("ZWS1.0 wants the socket type in the URL: ?type=")
	case 1:
		l.SocketType = zmtp.SocketType(strings.ToUpper(types[0]))
	default:
		return notTaken("the URL names more than one socket type")
	}
	if !l.SocketType.Valid() {
		return notTaken(fmt.Sprintf("type=%.16s is no socket type", l.SocketType))
	}
	return nil
}

// isWebtalk tells webtalk's URLs from those of 39/ZWS, which has type= only.
func isWebtalk(q url.Values) bool {
	return slices.ContainsFunc([]string{"connect", "bind", "subscribe", "identity", "policy"}, q.Has)
}

// endpointsQuery reads connect= and bind=, of which a URL may have any number. They are
// webtalk's, but not passed over in other dialects: who names endpoints means them.
func endpointsQuery(q url.Values, l *Login) error {
	if max(len(q["connect"]), len(q["bind"])) > maxQueryValues {
		return notTaken(fmt.Sprintf("the URL names more than %d endpoints", maxQueryValues))
	}
	l.Connect, l.Bind = q["connect"], q["bind"]
	return nil
}

// webtalkQuery reads what else webtalk has in its URL: type=, identity=, and any number of
// subscribe=. Its text mode and policies are not spoken.
func webtalkQuery(q url.Values, l *Login) error {
	if err := typeQuery(q, l); err != nil {
		return err
	}
	switch {
	case q.Has("text"), q.Has("policy"):
		return notTaken("webtalk's text= and policy= are not spoken here")
	case len(q["identity"]) > 1 || len(q.Get("identity")) > MaxRoutingID:
		return notTaken(fmt.Sprintf("identity= wants one value of at most %d octets", MaxRoutingID))
	case len(q["subscribe"]) > maxQueryValues:
		return notTaken(fmt.Sprintf("the URL names more than %d topics", maxQueryValues))
	case q.Has("subscribe") && !l.SocketType.Subscribes():
		return notTaken(fmt.Sprintf("subscribe= is for SUB and XSUB, not for %s", l.SocketType))
	}
	l.RoutingID = []byte(q.Get("identity"))
	for _, topic := range q["subscribe"] {
		l.Subscribe = append(l.Subscribe, []byte(topic))
	}
	return nil
}

// webtalkSubscription gives the ASCII form of a subscription, '1' or '0' and the topic,
// the octets that it has elsewhere.
func webtalkSubscription(l *Login, m zmtp.Message) {
	if l.SocketType.Subscribes() && len(m[0]) > 0 && (m[0][0] == '0' || m[0][0] == '1') {
		m[0][0] -= '0'
	}
}

func notTaken(reason string) error {
	return &CloseError{Code: CodeNotTaken, Status: zap.Refused, Reason: reason}
}

package bridge

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// A stamp tells the backend which user a message is from. The client cannot write one: a
// frame is put in by us at a place that does not depend on what the client sends, and a
// routing id is ours to choose.

// frameStamp is the frame that goes with every message of a login; nil on routes without.
func frameStamp(r *config.Route, l *zws.Login) ([]byte, error) {
	if r.Stamp != config.StampFrame {
		return nil, nil
	}
	if l.User() == "" {
		return nil, notStamped("this route is for users with a name")
	}
	return []byte(l.User()), nil
}

// routingIDStamp is the routing id under which the backend knows a session: the user, one
// zero octet and the number of the session, which no other has, since libzmq's ROUTER
// ignores a second peer of the same id.
func routingIDStamp(l *zws.Login, session uint64) ([]byte, error) {
	id := fmt.Appendf(nil, "%s\x00%d", l.User(), session)
	switch {
	case l.User() == "":
		return nil, notStamped("this route is for users with a name")
	case bytes.Count(id, []byte{0}) > 1:
		return nil, notStamped("this route is for users with a plain name of their own")
	case len(id) > zws.MaxRoutingID:
		return nil, notStamped("this user name is too long for this route")
	}
	return id, nil
}

func notStamped(reason string) error {
	return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: reason}
}

// stamped puts the stamp into a client's message, right after what the socket itself reads
// of it: the delimiter on REQ and REP routes, the address on ROUTER routes, the topic, by
// which subscribers choose, on PUB and XPUB routes. Elsewhere it is the first frame.
func stamped(socket zmtp.SocketType, m zmtp.Message, stamp []byte) zmtp.Message {
	at := 0
	switch socket {
	case zmtp.REQ, zmtp.REP:
		at = 1 + slices.IndexFunc(m, func(frame []byte) bool { return len(frame) == 0 })
	case zmtp.ROUTER, zmtp.PUB, zmtp.XPUB:
		at = min(1, len(m))
	}
	return slices.Insert(m, at, bytes.Clone(stamp))
}

package route

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// A stamp tells the backend which user a message is from. Clients cannot forge one: the
// bridge inserts a frame at a place that does not depend on what the client sends, or chooses
// the routing id.

// Stamp returns the frame that goes with every message of a login; nil on routes without.
func (r *Route) Stamp(l *zws.Login) ([]byte, error) {
	if !r.stampFrame {
		return nil, nil
	}
	stamp := []byte(l.User())
	switch {
	case len(stamp) == 0:
		return nil, forbidden(needsName)
	case r.socket == zmtp.XSUB && IsSubscriptionFrame(stamp):
		return nil, forbidden("this route needs a user name that does not begin with a byte 00 or 01")
	}
	return stamp, nil
}

const needsName = "this route needs a user name: log in with one"

// stampedRoutingID returns the routing id under which the backend knows a stream: the user,
// one zero byte and the number of the stream, which is unique since libzmq's ROUTER ignores
// a second peer with the same id.
func stampedRoutingID(l *zws.Login, stream uint64) ([]byte, error) {
	id := fmt.Appendf(nil, "%s\x00%d", l.User(), stream)
	switch {
	case l.User() == "":
		return nil, forbidden(needsName)
	case bytes.Count(id, []byte{0}) > 1:
		return nil, forbidden("this route needs a user name without a zero byte")
	case len(id) > zws.MaxRoutingID:
		return nil, forbidden("this user name is too long for this route")
	}
	return id, nil
}

// Stamped inserts the stamp into a client's message, after the frames that sockets of this
// type read themselves: the delimiter on REQ and REP routes, the address on ROUTER routes,
// the topic on PUB and XPUB routes. Elsewhere it is the first frame.
func Stamped(socket zmtp.SocketType, m zmtp.Message, stamp []byte) zmtp.Message {
	at := 0
	switch socket {
	case zmtp.REQ, zmtp.REP:
		at = 1 + slices.IndexFunc(m, func(frame []byte) bool { return len(frame) == 0 })
	case zmtp.ROUTER, zmtp.PUB, zmtp.XPUB:
		at = min(1, len(m))
	}
	return slices.Insert(m, at, bytes.Clone(stamp))
}

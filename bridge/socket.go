package bridge

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// facing is how a route's socket shows itself to its clients: who may be at the other end
// of the WebSocket, and what we say we are, so that the two could be talking directly.
type facing struct {
	clients  []zmtp.SocketType
	announce zmtp.SocketType
	untyped  zmtp.SocketType // what a client that names no type is taken for
}

// facings has an entry for each socket type that a route can open.
var facings = map[zmtp.SocketType]facing{
	zmtp.SUB:    {[]zmtp.SocketType{zmtp.SUB, zmtp.XSUB}, zmtp.PUB, zmtp.SUB},
	zmtp.XSUB:   {[]zmtp.SocketType{zmtp.SUB, zmtp.XSUB}, zmtp.PUB, zmtp.SUB},
	zmtp.DEALER: {[]zmtp.SocketType{zmtp.DEALER, zmtp.REQ}, zmtp.ROUTER, zmtp.DEALER},
	zmtp.REQ:    {[]zmtp.SocketType{zmtp.REQ}, zmtp.REP, zmtp.REQ},
	zmtp.ROUTER: {[]zmtp.SocketType{zmtp.DEALER, zmtp.ROUTER}, zmtp.ROUTER, zmtp.DEALER},
	zmtp.REP:    {[]zmtp.SocketType{zmtp.REP}, zmtp.REQ, zmtp.REP},
	zmtp.PUSH:   {[]zmtp.SocketType{zmtp.PUSH}, zmtp.PULL, zmtp.PUSH},
	zmtp.PULL:   {[]zmtp.SocketType{zmtp.PULL}, zmtp.PUSH, zmtp.PULL},
	zmtp.PUB:    {[]zmtp.SocketType{zmtp.PUB, zmtp.XPUB}, zmtp.SUB, zmtp.PUB},
	zmtp.XPUB:   {[]zmtp.SocketType{zmtp.PUB, zmtp.XPUB}, zmtp.SUB, zmtp.PUB},
	zmtp.PAIR:   {[]zmtp.SocketType{zmtp.PAIR}, zmtp.PAIR, zmtp.PAIR},
}

// topic is the frame that rights look at: the first, and on REQ and REP routes the first
// after the delimiter. A message that has no such frame has an empty topic.
func topic(socket zmtp.SocketType, m zmtp.Message) []byte {
	if socket == zmtp.REQ || socket == zmtp.REP {
		for i, frame := range m {
			if len(frame) == 0 {
				m = m[i+1:]
				break
			}
		}
	}
	if len(m) == 0 {
		return nil
	}
	return m[0]
}

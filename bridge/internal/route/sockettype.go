package route

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// clientRole is the socket that a route presents to its clients, so that client and backend
// could be talking to each other directly.
type clientRole struct {
	clients  []zmtp.SocketType // that may connect
	announce zmtp.SocketType   // in READY
	untyped  zmtp.SocketType   // of a client that names no type
}

// clientRoles has an entry for each socket type that a route can open.
var clientRoles = map[zmtp.SocketType]clientRole{
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

// Topic returns the frame of a message that rights are about: the first, and on REQ and REP
// routes the first after the delimiter. It returns nil without such a frame.
func Topic(socket zmtp.SocketType, m zmtp.Message) []byte {
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

// sends reports whether clients of the route can send messages upstream although it has a hub.
func (r *Route) sends() bool { return r.socket == zmtp.XSUB }

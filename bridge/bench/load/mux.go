package load

import (
	"encoding/binary"
	"fmt"
	"net"
)

// The op bytes of ZWSMUX1.0 that the benchmark uses (zws/PROTOCOL.md).
const (
	muxLogin    = 0x01
	muxReady    = 0x02
	muxOpen     = 0x03
	muxOpened   = 0x04
	muxMessages = 0x05
	muxCredit   = 0x06
)

const (
	// muxChannel is the only channel of a client.
	muxChannel = 1
	// muxHeader is what precedes the messages of a frame: op and channel.
	muxHeader = 5
	// muxWindow is the credit that a client gives, of which it returns each half that it has
	// received, as zws.js does.
	muxWindow = 256 << 10
)

// A muxConn is a client of ZWSMUX1.0 with one channel.
type muxConn struct{ net.Conn }

// NetConn returns the connection below.
func (c muxConn) NetConn() net.Conn { return c.Conn }

// BridgeMux returns zwsbridge with clients that subscribe to [Topic] on the one channel of a
// connection of ZWSMUX1.0.
func BridgeMux(name, program, path string) *Peer {
	return &Peer{
		Name:    name,
		Start:   StartBridge(program),
		Connect: func(srv *Server, _ int) (net.Conn, error) { return bridgeMuxSub(srv, path) },
	}
}

func bridgeMuxSub(srv *Server, path string) (net.Conn, error) {
	c, err := Dial(srv, path, "ZWSMUX1.0")
	if err != nil {
		return nil, err
	}
	short := func(s string) string { return string(rune(len(s))) + s }
	open := binary.BigEndian.AppendUint32([]byte{muxOpen}, muxChannel)
	open = binary.BigEndian.AppendUint32(open, muxWindow)
	open = append(open, short("SUB")+short("")+"\x00\x00"...) // no routing id, the route of the WebSocket
	open = append(binary.BigEndian.AppendUint16(open, uint16(len(Topic))), Topic...)
	for _, step := range []struct {
		send   string
		answer byte
	}{
		{"\x01" + short("PLAIN") + short("alice") + short(password), muxReady},
		{string(open), muxOpened},
	} {
		if err := c.Send(OpBinary, step.send); err != nil {
			return nil, err
		}
		p, err := c.Receive()
		if err != nil {
			return nil, err
		}
		if len(p) == 0 || p[0] != step.answer {
			return nil, fmt.Errorf("answer %q to a frame of op %02x, want op %02x", p, step.send[0], step.answer)
		}
	}
	raw, err := c.Raw()
	return muxConn{raw}, err
}

// muxGrant is the frame that gives the client's channel half of its window again.
var muxGrant = func() []byte {
	p := binary.BigEndian.AppendUint32([]byte{muxCredit}, muxChannel)
	return appendFrame(nil, OpBinary, binary.BigEndian.AppendUint32(p, muxWindow/2))
}()

// grant gives the server credit for what a client of ZWSMUX1.0 has received.
func (c *client) grant() {
	if !c.mux {
		return
	}
	for c.payload-c.granted >= muxWindow/2 {
		c.granted += muxWindow / 2
		_, _ = c.conn.Write(muxGrant) // an error shows as missing messages
	}
}

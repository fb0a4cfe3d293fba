package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// A Historian is a peer that keeps messages for clients that were away.
type Historian struct {
	*Peer
	// Prepare makes what keeps the messages of [KeptTopic] for n clients, before any is
	// published; nil: nothing is needed.
	Prepare func(srv *Server, n int) error
	// Login connects client i up to the point where it asks for what it has missed.
	Login func(srv *Server, i int) (*Conn, error)
	// Ask returns what client i asks with, in a WebSocket message with Opcode, to get the
	// messages of KeptTopic after position, and then those that are published. An empty position
	// asks for all that are kept.
	Ask    func(i int, position string) string
	Opcode byte
	// Position returns the position of the first message that is kept, from what the server sent
	// to a client that asked for all of them; nil: the server knows which those are.
	Position func(received []byte) (string, error)
}

// KeptTopic is the topic of the messages that clients have missed.
var KeptTopic = TopicName(0)

// Kept is what the route of a bridge keeps.
type Kept struct {
	Store string // "memory" or "file", the latter with sync = "1s"
	Lines string // further lines of [route.history]
}

// StartBridgeWithHistory is [StartBridge] with a history on the route /sub.
func StartBridgeWithHistory(program string, kept Kept) func(*Server) error {
	return startBridge(program, settings{
		server: fmt.Sprintf("[history]\nstore = %q\ndir = \"history\"\nsync = \"1s\"\n", kept.Store),
		kept:   kept.Lines,
	})
}

const asksHistory = "\x07History\x00\x00\x00\x011"

// BridgeSubWithPositions connects a SUB client that asks for history, and returns it when it is
// live.
func BridgeSubWithPositions(srv *Server, _ int) (net.Conn, error) {
	c, err := plainLogin(srv, "/sub", "SUB", asksHistory)
	if err != nil {
		return nil, err
	}
	if err := c.Send(OpBinary, "\x00\x01"+Topic); err != nil {
		return nil, err
	}
	for {
		p, err := c.Receive()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(string(p), "\x02\x04LIVE") {
			return c.Raw()
		}
	}
}

// BridgeHistorian returns zwsbridge with a history of the messages that have been missed.
func BridgeHistorian(name, program string, kept Kept) *Historian {
	p := Bridge(name, program, "/sub")
	p.Start = StartBridgeWithHistory(program, kept)
	return &Historian{
		Peer:     p,
		Opcode:   OpBinary,
		Login:    func(srv *Server, _ int) (*Conn, error) { return plainLogin(srv, "/sub", "SUB", asksHistory) },
		Ask:      func(_ int, position string) string { return bridgeResume(position, KeptTopic) },
		Position: bridgePosition,
	}
}

// bridgeResume returns the command RESUME.
func bridgeResume(position, topic string) string {
	long := binary.BigEndian.AppendUint32(nil, uint32(len(topic)))
	return "\x02\x06RESUME" + string(rune(len(position))) + position + string(long) + topic
}

// bridgePosition returns the position of the first command AT.
func bridgePosition(received []byte) (string, error) {
	const at = "\x02\x02AT"
	i := bytes.Index(received, []byte(at))
	if i < 0 || i+len(at) >= len(received) {
		return "", fmt.Errorf("no position in %q", received)
	}
	rest := received[i+len(at):]
	if n := int(rest[0]); n < len(rest) {
		return string(rest[1 : 1+n]), nil
	}
	return "", fmt.Errorf("the position in %q is cut off", received)
}

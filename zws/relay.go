package zws

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// What a relay is told and gives (PROTOCOL.md, "Relay"): the login is that of the HTTP
// request or of ZWSMUX1.0, the mechanism that the client speaks is for who is behind. Each
// frame of it, with its flag octet, is a message of one frame here, so that all that queues
// and writes messages has no part in this.

// greetingCommand tells a client what is behind a relay: one octet, the minor version of
// ZMTP 3.
const greetingCommand = "GREETING"

// relayedDialect is what takes the place of a dialect with the mechanism m on a relay. told
// says that the client knows GREETING.
func relayedDialect(m zap.Mechanism, told bool) *dialect {
	return &dialect{
		inner:    m,
		told:     told,
		login:    (*handshake).loginByRequest,
		ready:    (*handshake).sendGreeting,
		codec:    relayed{},
		frames:   octetFlags,
		read:     (*Channel).readRelayed,
		write:    (*Batch).relayed,
		tells:    silence{}, // what follows is somebody else's traffic
		commands: true,
		hello:    m != zap.NULL,
	}
}

// relayed is the codec of a relay's frames: the flag octet is among the octets.
type relayed struct{}

// AppendMessage implements Codec.
func (relayed) AppendMessage(dst []byte, m zmtp.Message) []byte {
	for _, frame := range m {
		dst = append(appendDataHeader(dst, wsBinary, len(frame)), frame...)
	}
	return dst
}

// relayed appends a relay's frame.
func (b *Batch) relayed(m zmtp.Message) error {
	b.encoded(func(dst []byte) []byte { return relayed{}.AppendMessage(dst, m) })
	return nil
}

// loginByRequest is the first-message rule of a relay: the login has come with the HTTP
// request, and the client's first command is not for us.
func (h *handshake) loginByRequest(ctx context.Context) error {
	h.conn.maxMessage = relayLimit(h.options)
	return h.authenticate(ctx)
}

// sendGreeting tells clients that know GREETING which version the peer behind the relay
// speaks. The rest of the handshake is theirs.
func (h *handshake) sendGreeting(o AcceptOptions) {
	if h.conn.dialect.told {
		h.conn.send(zmtp.Command{Name: greetingCommand, Data: []byte{o.Minor}})
	}
}

// relayLimit is how long a frame may be whose sort, command of a handshake or not, is known
// to who follows the handshake.
func relayLimit(o *Options) int64 { return max(o.MaxMessage, o.MaxHandshake) }

// readRelayed reads one frame, which is a message.
func (c *Channel) readRelayed() (zmtp.Message, error) {
	s := c.conn
	p, err := s.readOctets(websocket.BinaryMessage, s.maxMessage+frameOverhead)
	if err != nil {
		return nil, err
	}
	defer p.free()
	if _, err := s.dialect.frames.parse(p.octets, true); err != nil {
		return nil, err
	}
	return zmtp.Message{bytes.Clone(p.octets)}, nil
}

// relayTaken tells whether a relay takes a client that speaks m with who is behind: what
// others can read along is taken from nobody.
func relayTaken(m zap.Mechanism, o *Options) error {
	switch m {
	case zap.NULL, zap.CURVE:
		return nil
	case zap.PLAIN, zap.BEARER:
		return plaintextTaken(m, o)
	}
	return notTaken(fmt.Sprintf("%.20q is no mechanism that is relayed", m))
}

// checkRelayed is checkMessages for a channel that is relayed: each message is one frame
// with its flag octet, of at most limit octets and what sealing adds.
func checkRelayed(p []byte, limit int64) error {
	err := checkMessages(p, func(size int64, frames int) error {
		switch {
		case frames > 1:
			return muxFault("a relayed message of more than one frame")
		case size > limit+frameOverhead:
			return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("frame longer than %d octets", limit)}
		}
		return nil
	})
	for ; err == nil && len(p) > 0; p = p[messageSize(p):] {
		_, err = octetFlags.parse(p[8:messageSize(p)], true)
	}
	return err
}

package zws

import (
	"context"
	"fmt"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// On a relay (PROTOCOL.md, "Relay") the login is that of the HTTP request or of ZWSMUX1.0,
// and the client runs the mechanism of its subprotocol with the backend. Each frame of
// theirs, flag byte and body, is a message of one frame here, so that queues and writers
// need no special case.

// greetingCommand tells the client of a relay which minor version of ZMTP 3 the backend
// uses, in one byte.
const greetingCommand = "GREETING"

// relayDialect replaces a dialect with the mechanism m on a relay. greets is set if the
// client understands GREETING.
func relayDialect(m zap.Mechanism, greets bool) *dialect {
	return &dialect{
		inner:    m,
		greets:   greets,
		login:    (*handshake).loginByRequest,
		ready:    (*handshake).sendGreeting,
		codecs:   codecs{plain: relayCodec{}},
		frames:   zwsFrames,
		read:     (*Channel).readRelayed,
		write:    (*Batch).relayed,
		notifier: noNotifications{}, // what follows is between client and backend
		commands: true,
		hello:    m != zap.NULL,
	}
}

// relayCodec is the codec of a relay's frames, whose flag byte is part of the body.
type relayCodec struct{}

// AppendMessage implements Codec.
func (relayCodec) AppendMessage(dst []byte, m zmtp.Message, _ []byte) []byte {
	for _, frame := range m {
		dst = append(wsframe.AppendHeader(dst, wsframe.Binary, len(frame)), frame...)
	}
	return dst
}

// relayed appends a relay's frame.
func (b *Batch) relayed(m zmtp.Message, _ mark) error {
	b.encode(func(dst []byte) []byte { return relayCodec{}.AppendMessage(dst, m, nil) })
	return nil
}

// loginByRequest is the first-message rule of a relay: the login came with the HTTP request,
// and the client's first command is for the backend.
func (h *handshake) loginByRequest(ctx context.Context) error {
	h.conn.maxMessage.Store(relayLimit(h.options.MaxMessage, h.options.MaxHandshake))
	return h.authenticate(ctx)
}

// sendGreeting tells clients that understand GREETING which version the backend uses. READY
// comes from the backend.
func (h *handshake) sendGreeting(o AcceptOptions) {
	if h.conn.dialect.greets {
		h.conn.send(zmtp.Command{Name: greetingCommand, Data: []byte{o.Minor}})
	}
}

// relayLimit is how long a relayed frame can be, in bytes: only the caller, which follows
// the handshake, knows whether a frame belongs to it.
func relayLimit(maxMessage, maxHandshake int64) int64 { return max(maxMessage, maxHandshake) }

// readRelayed reads one frame, which is a message.
func (ch *Channel) readRelayed() (zmtp.Message, error) {
	c := ch.conn
	p, err := c.readWebSocket(websocket.BinaryMessage, func() int64 { return c.maxMessage.Load() + frameOverhead })
	if err != nil {
		return nil, err
	}
	defer p.free()
	if _, err := c.dialect.frames.parse(p.data, true); err != nil {
		return nil, err
	}
	return zmtp.Message{p.keep(p.data)}, nil
}

// checkRelayedMechanism checks that a relay accepts a client that runs m with the backend.
// Secrets that others can read on the way are refused.
func checkRelayedMechanism(m zap.Mechanism, confidential bool) error {
	switch m {
	case zap.NULL, zap.CURVE:
		return nil
	case zap.PLAIN, zap.BEARER:
		return checkPlaintext(m, confidential)
	}
	return notAccepted(fmt.Sprintf("unknown mechanism %.20q", m))
}

// checkRelayed checks the messages on a relayed channel: each is one frame with its flag
// byte, of at most limit bytes and the overhead of encryption.
func checkRelayed(p []byte, limit int64) error {
	err := muxframe.CheckMessages(p, func(size int64, frames int) error {
		switch {
		case frames > 1:
			return protocolError("a relayed message of more than one frame")
		case size > limit+frameOverhead:
			return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("frame longer than %d bytes", limit)}
		}
		return nil
	})
	for ; err == nil && len(p) > 0; p = p[muxframe.Size(p):] {
		_, err = zwsFrames.parse(muxframe.Body(p), true)
	}
	return muxError(err)
}

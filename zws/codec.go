package zws

import (
	"fmt"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Codec encodes messages for clients. What a server sends is not masked, so all clients with
// the same codec can be sent the same bytes. Codecs are comparable, and equal ones encode
// alike. They hold no state and may be used by any goroutine.
type Codec interface {
	// AppendMessage appends m to dst, as WebSocket frames with their headers; in ZWSMUX1.0
	// without headers, because they contain the number of the client's channel. at is the
	// position of m in a history, for clients that asked for positions; nil if it has none.
	AppendMessage(dst []byte, m zmtp.Message, at []byte) []byte
}

// The flag byte of a ZWS frame (45/ZWS, "Framing"). A command is a single frame.
const (
	flagLast    = 0x00
	flagMore    = 0x01
	flagCommand = 0x02
)

// frameCodec is the codec of dialects in which one ZMTP frame is one binary WebSocket
// message: a flag byte, then the body.
type frameCodec struct {
	last, more byte
	marks      bool // AT goes before a message with a position
}

var (
	zwsFrames       = frameCodec{last: flagLast, more: flagMore} // 39/ZWS, 45/ZWS
	markedZWSFrames = frameCodec{last: flagLast, more: flagMore, marks: true}
	webtalkFrames   = frameCodec{last: '0', more: '1'}
)

// AppendMessage implements Codec.
func (c frameCodec) AppendMessage(dst []byte, m zmtp.Message, at []byte) []byte {
	if c.marks && at != nil {
		dst = appendFrameHeader(dst, flagCommand, len(atName)+1+len(at))
		dst = appendPosition(append(dst, atName...), at)
	}
	for i, body := range m {
		dst = appendFrameHeader(dst, c.flag(zmtp.Frame{More: i < len(m)-1}), len(body))
		dst = append(dst, body...)
	}
	return dst
}

// atName begins the command that goes before a message with a position (PROTOCOL.md, "History").
const atName = "\x02AT"

// flag returns the flag byte of f.
func (c frameCodec) flag(f zmtp.Frame) byte {
	switch {
	case f.Command:
		return flagCommand
	case f.More:
		return c.more
	}
	return c.last
}

// parse reads a WebSocket message as a frame, whose body aliases p.
func (c frameCodec) parse(p []byte, commands bool) (zmtp.Frame, error) {
	if len(p) == 0 {
		return zmtp.Frame{}, protocolError("empty WebSocket message: the flag byte is missing")
	}
	switch flag := p[0]; {
	case flag == c.last:
		return zmtp.Frame{Body: p[1:]}, nil
	case flag == c.more:
		return zmtp.Frame{More: true, Body: p[1:]}, nil
	case flag == flagCommand && commands:
		return zmtp.Frame{Command: true, Body: p[1:]}, nil
	}
	return zmtp.Frame{}, protocolError(fmt.Sprintf("unknown flag byte %02x", p[0]))
}

// appendFrameHeader appends what goes before the body of a frame: the WebSocket header and
// the flag byte.
func appendFrameHeader(dst []byte, flag byte, body int) []byte {
	return append(wsframe.AppendHeader(dst, wsframe.Binary, body+1), flag)
}

package zws

import (
	"encoding/binary"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Codec turns messages into the octets of server-side WebSocket frames, which are not
// masked, so that every client of the same codec can be sent the same octets. Codecs are
// comparable: two that are equal give equal octets. They hold no state and may be used by
// any goroutine.
type Codec interface {
	// AppendMessage appends m, WebSocket headers included, to dst; in ZWSMUX1.0 without
	// them, since a header tells the number that the client has given its channel.
	AppendMessage(dst []byte, m zmtp.Message) []byte
}

// The flag octets of a ZWS frame (45/ZWS, "Framing"). A command is a single frame.
const (
	flagLast    = 0x00
	flagMore    = 0x01
	flagCommand = 0x02
)

// zwsFrames is the codec in which one ZMTP frame is one binary WebSocket message: a flag
// octet, then the body.
type zwsFrames struct{ last, more byte }

var (
	octetFlags = zwsFrames{flagLast, flagMore} // 39/ZWS, 45/ZWS
	asciiFlags = zwsFrames{'0', '1'}           // webtalk
)

// AppendMessage implements Codec.
func (c zwsFrames) AppendMessage(dst []byte, m zmtp.Message) []byte {
	for i, body := range m {
		dst = appendHeader(dst, c.flag(i < len(m)-1), len(body))
		dst = append(dst, body...)
	}
	return dst
}

func (c zwsFrames) flag(more bool) byte {
	if more {
		return c.more
	}
	return c.last
}

// parse reads the flag octet of a WebSocket message. The body of the frame aliases p.
func (c zwsFrames) parse(p []byte, commands bool) (zmtp.Frame, error) {
	if len(p) == 0 {
		return zmtp.Frame{}, &CloseError{Code: CodeProtocol, Reason: "empty WebSocket message: the flag octet is missing"}
	}
	switch flag := p[0]; {
	case flag == c.last:
		return zmtp.Frame{Body: p[1:]}, nil
	case flag == c.more:
		return zmtp.Frame{More: true, Body: p[1:]}, nil
	case flag == flagCommand && commands:
		return zmtp.Frame{Command: true, Body: p[1:]}, nil
	}
	return zmtp.Frame{}, &CloseError{Code: CodeProtocol, Reason: fmt.Sprintf("flag octet %02x is not one of this protocol", p[0])}
}

// The first octet of a WebSocket frame: FIN and the opcode (RFC 6455, section 5.2).
const (
	wsText   = 0x80 | 0x1
	wsBinary = 0x80 | 0x2
	wsClose  = 0x80 | 0x8
	wsPing   = 0x80 | 0x9
	wsPong   = 0x80 | 0xA
)

// appendHeader appends what stands before the body of a ZWS frame: the header of an
// unmasked binary WebSocket frame and the flag octet.
func appendHeader(dst []byte, flag byte, body int) []byte {
	return append(appendDataHeader(dst, wsBinary, body+1), flag)
}

// appendDataHeader appends the header of an unmasked data frame with size octets (RFC
// 6455, section 5.2: in as few octets as will do).
func appendDataHeader(dst []byte, first byte, size int) []byte {
	switch {
	case size < 126:
		return append(dst, first, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(size))
}

// appendControl appends an unmasked control frame; payload has at most 125 octets.
func appendControl(dst []byte, first byte, payload []byte) []byte {
	dst = append(dst, first, byte(len(payload)))
	return append(dst, payload...)
}

// closeFrame makes the close frame for cause; one without a code where none may be sent.
func closeFrame(cause *CloseError) []byte {
	if cause.Code == CodeNoStatus || cause.Code == CodeAbnormal {
		return appendControl(nil, wsClose, nil)
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(cause.Code))
	return appendControl(nil, wsClose, append(payload, cutReason(cause.Reason)...))
}

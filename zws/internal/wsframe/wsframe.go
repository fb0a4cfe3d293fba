package wsframe

import (
	"encoding/binary"
	"unicode/utf8"
)

// The first byte of a frame: FIN and the opcode (RFC 6455, section 5.2). Messages that are
// built here are never fragmented.
const (
	Text   byte = final | 0x1
	Binary byte = final | 0x2
	Close  byte = final | 0x8
	Ping   byte = final | 0x9
	Pong   byte = final | 0xA
)

const (
	final  = 0x80 // first byte: the last frame of its message
	opcode = 0x0F // first byte
	masked = 0x80 // second byte
	length = 0x7F // second byte
)

const (
	// MaxHeader is the largest header that AppendHeader appends, in bytes.
	MaxHeader = 10
	// MaxMaskedHeader is the largest header that ParseHeader reads, in bytes.
	MaxMaskedHeader = MaxHeader + 4
	// MaxControl is the largest payload of a control frame, in bytes (section 5.5).
	MaxControl = 125
	// MaxReason is the longest reason of a close frame, in bytes (section 5.5.1).
	MaxReason = MaxControl - 2
)

// AppendHeader appends the header of an unmasked data frame with a payload of size bytes,
// in the shortest form (section 5.2).
func AppendHeader(dst []byte, first byte, size int) []byte {
	switch {
	case size < 126:
		return append(dst, first, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(size))
}

// AppendControl appends an unmasked control frame. The payload has at most MaxControl bytes.
func AppendControl(dst []byte, first byte, payload []byte) []byte {
	dst = append(dst, first, byte(len(payload)))
	return append(dst, payload...)
}

// AppendClose appends a close frame with a status code and a reason, which is cut by
// CutReason. Code 0 stands for a close frame without either.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	if code == 0 {
		return append(dst, Close, 0)
	}
	reason = CutReason(reason)
	dst = append(dst, Close, byte(2+len(reason)))
	return append(binary.BigEndian.AppendUint16(dst, code), reason...)
}

// CutReason returns what a close frame can hold of s: at most MaxReason bytes of valid
// UTF-8. Bytes that are not UTF-8 become U+FFFD, and no character is cut apart.
func CutReason(s string) string {
	cut := make([]byte, 0, MaxReason)
	for _, r := range s {
		if len(cut)+utf8.RuneLen(r) > MaxReason {
			break
		}
		cut = utf8.AppendRune(cut, r)
	}
	return string(cut)
}

// Header is the header of a masked frame, as clients send it.
type Header struct {
	First   byte    // FIN, the reserved bits and the opcode
	Length  int     // of the header itself, in bytes
	Payload int     // bytes that follow the header
	Key     [4]byte // the masking key
}

// ParseHeader reads the header of the frame that p begins with. It returns false if the
// header is not there whole, is not masked, or announces more than an int can hold.
func ParseHeader(p []byte) (Header, bool) {
	if len(p) < 2 || p[1]&masked == 0 {
		return Header{}, false
	}
	h := Header{First: p[0], Length: 6, Payload: int(p[1] & length)}
	switch h.Payload {
	case 126:
		h.Length = 8
	case 127:
		h.Length = 14
	}
	if len(p) < h.Length {
		return Header{}, false
	}
	switch h.Payload {
	case 126:
		h.Payload = int(binary.BigEndian.Uint16(p[2:]))
	case 127:
		h.Payload = int(binary.BigEndian.Uint64(p[2:]))
	}
	copy(h.Key[:], p[h.Length-4:])
	return h, h.Payload >= 0
}

// Is reports whether the frame is a whole message of that WebSocket opcode, without reserved bits.
func (h Header) Is(kind int) bool { return int(h.First) == final|kind }

// Whole reports whether the frame is a message by itself: neither a fragment nor the end of
// one (section 5.4).
func (h Header) Whole() bool { return h.First&final != 0 && h.First&opcode != 0 }

// Control reports whether the frame is a control frame (section 5.5).
func (h Header) Control() bool { return h.First&0x08 != 0 }

// Unmask removes the mask from a payload, in place (section 5.3). It begins with the first
// byte of the payload.
func (h Header) Unmask(payload []byte) {
	key := uint64(binary.NativeEndian.Uint32(h.Key[:]))
	key |= key << 32
	for ; len(payload) >= 8; payload = payload[8:] { // eight bytes are two keys
		binary.NativeEndian.PutUint64(payload, binary.NativeEndian.Uint64(payload)^key)
	}
	for i := range payload {
		payload[i] ^= h.Key[i%4]
	}
}

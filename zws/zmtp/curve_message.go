package zmtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The MESSAGE command of 26/CURVEZMQ, in which all traffic travels:
//
//	message       = %d7 "MESSAGE" message-nonce message-box
//	message-nonce = 8OCTET       ; prefixed by "CurveZMQMESSAGEC" or "CurveZMQMESSAGES"
//	message-box   = 17*OCTET     ; Box [payload](C'->S') or (S'->C')
//	payload       = payload-flags payload-data
//
// libzmq sends it as a message frame without flags, over TCP and over WebSocket, and puts the
// real flags into the box.

const (
	messageName     = "\x07" + cmdMessage
	messageOverhead = len(messageName) + shortNonceSize + boxOverhead + 1 // 33
)

// The payload-flags. 26/CURVEZMQ has MORE only; COMMAND is an addition of libzmq and differs
// from that of 37/ZMTP, which is 4.
const (
	payloadMore    = 0x01
	payloadCommand = 0x02
)

// keptBuffer is the largest buffer, in bytes, that is kept for the next frame, so that a
// connection that once carried a large frame does not hold that memory for good.
const keptBuffer = 64 << 10

// curveTraffic is the frameCipher of CURVE.
type curveTraffic struct {
	shared   key // of the boxes between C' and S'
	sent     curveStream
	received curveStream
}

// curveStream is one direction of the traffic. The two share nothing that changes, so each can
// have a goroutine of its own.
type curveStream struct {
	prefix string
	nonce  uint64 // of the last command
	buffer []byte // holds the last result
}

// Encode puts f into a MESSAGE. It allocates nothing for frames below half of keptBuffer.
func (t *curveTraffic) Encode(f Frame) (Frame, error) {
	if t.sent.nonce == math.MaxUint64 {
		return Frame{}, errors.New("zmtp: CURVE: all nonces of the connection are used")
	}
	t.sent.nonce++
	var nonce [shortNonceSize]byte
	binary.BigEndian.PutUint64(nonce[:], t.sent.nonce)

	// The buffer holds the payload and, after it, the command: a box cannot be made in
	// place.
	size := 1 + len(f.Body)
	payload := append(t.sent.take(size+messageOverhead+len(f.Body)), payloadFlags(f))
	payload = append(payload, f.Body...)
	body := append(payload[size:], messageName...)
	return Frame{Body: seal(body, payload, t.sent.prefix, nonce[:], &t.shared)}, nil
}

// Decode opens a MESSAGE. Peers of ZMTP 3.1 may send it as a command frame.
func (t *curveTraffic) Decode(f Frame) (Frame, error) {
	if f.More || len(f.Body) < messageOverhead || string(f.Body[:len(messageName)]) != messageName {
		return Frame{}, fmt.Errorf("%w: CURVE: frame of %d bytes that is not a MESSAGE", ErrProtocol, len(f.Body))
	}
	sealed := f.Body[len(messageName):]
	nonce := binary.BigEndian.Uint64(sealed)
	if nonce <= t.received.nonce {
		return Frame{}, fmt.Errorf("%w: CURVE: MESSAGE nonce %d is not above %d: replayed or out of order", ErrProtocol, nonce, t.received.nonce)
	}
	payload, ok := unseal(t.received.take(len(sealed)), sealed, t.received.prefix, &t.shared)
	if !ok {
		return Frame{}, errBox
	}
	t.received.nonce = nonce
	return payloadFrame(payload)
}

var errBox = fmt.Errorf("%w: CURVE: MESSAGE box that does not open", ErrProtocol)

// payloadFrame returns the frame in a payload.
func payloadFrame(payload []byte) (Frame, error) {
	switch payload[0] {
	case 0, payloadMore, payloadCommand:
		return Frame{More: payload[0] == payloadMore, Command: payload[0] == payloadCommand, Body: payload[1:]}, nil
	}
	return Frame{}, fmt.Errorf("%w: CURVE: MESSAGE with payload flags %02x", ErrProtocol, payload[0])
}

func payloadFlags(f Frame) byte {
	var flags byte
	if f.More {
		flags |= payloadMore
	}
	if f.Command {
		flags |= payloadCommand
	}
	return flags
}

// take returns an empty buffer with room for n bytes.
func (s *curveStream) take(n int) []byte {
	if n > keptBuffer {
		return make([]byte, 0, n)
	}
	if cap(s.buffer) < n {
		s.buffer = make([]byte, 0, min(max(n, 2*cap(s.buffer)), keptBuffer))
	}
	return s.buffer
}

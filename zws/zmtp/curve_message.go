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
// libzmq sends it as a message frame with no flags, over TCP as over WebSocket, and puts
// the real flags into the box.

const (
	messageName     = "\x07" + cmdMessage
	messageOverhead = len(messageName) + shortNonceSize + boxOverhead + 1 // 33
)

// payload-flags. 26/CURVEZMQ knows MORE only; COMMAND is libzmq's, and is not 4.
const (
	payloadMore    = 0x01
	payloadCommand = 0x02
)

// keptBuffer is how large a buffer may be and still be kept for the next frame. A
// connection that once carried a large frame would else hold its room for good.
const keptBuffer = 64 << 10

// curveTraffic is what is left of CURVE once the handshake is done.
type curveTraffic struct {
	shared   key // of the boxes between C' and S'
	sent     curveStream
	received curveStream
}

// curveStream is one direction of the traffic, so that two goroutines may use one each.
type curveStream struct {
	prefix string
	nonce  uint64 // of the last command
	buffer []byte // holds the last result
}

// Encode puts f into a MESSAGE. It allocates nothing while frames stay under half of
// keptBuffer.
func (t *curveTraffic) Encode(f Frame) (Frame, error) {
	if t.sent.nonce == math.MaxUint64 {
		return Frame{}, errors.New("zmtp: CURVE: all nonces of this connection are used up")
	}
	t.sent.nonce++
	var nonce [shortNonceSize]byte
	binary.BigEndian.PutUint64(nonce[:], t.sent.nonce)

	// The buffer holds the payload first and the command behind it: a box cannot be
	// made in place.
	size := 1 + len(f.Body)
	payload := append(t.sent.take(size+messageOverhead+len(f.Body)), payloadFlags(f))
	payload = append(payload, f.Body...)
	body := append(payload[size:], messageName...)
	return Frame{Body: seal(body, payload, t.sent.prefix, nonce[:], &t.shared)}, nil
}

// Decode takes f out of its MESSAGE. 3.1 peers may send that as a command frame.
func (t *curveTraffic) Decode(f Frame) (Frame, error) {
	if f.More || len(f.Body) < messageOverhead || string(f.Body[:len(messageName)]) != messageName {
		return Frame{}, fmt.Errorf("%w: CURVE: frame of %d octets that is not a MESSAGE", ErrProtocol, len(f.Body))
	}
	sealed := f.Body[len(messageName):]
	nonce := binary.BigEndian.Uint64(sealed)
	if nonce <= t.received.nonce {
		return Frame{}, fmt.Errorf("%w: CURVE: MESSAGE nonce %d after %d: replayed or out of order", ErrProtocol, nonce, t.received.nonce)
	}
	payload, ok := unseal(t.received.take(len(sealed)), sealed, t.received.prefix, &t.shared)
	if !ok {
		return Frame{}, fmt.Errorf("%w: CURVE: MESSAGE box that does not open", ErrProtocol)
	}
	t.received.nonce = nonce
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

// take returns an empty buffer with room for n octets.
func (s *curveStream) take(n int) []byte {
	if n > keptBuffer {
		return make([]byte, 0, n)
	}
	if cap(s.buffer) < n {
		s.buffer = make([]byte, 0, min(max(n, 2*cap(s.buffer)), keptBuffer))
	}
	return s.buffer
}

package zmtp

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/poly1305" //lint:ignore SA1019 a box is a Poly1305 of XSalsa20, and nacl/secretbox opens only whole ones
	"golang.org/x/crypto/salsa20"
)

// curveSkipper verifies a MESSAGE that is not kept, while it arrives. Only the flags and the
// beginning of the payload are decrypted.
type curveSkipper struct {
	traffic *curveTraffic
	head    []byte // the first headSize bytes of the command
	mac     *poly1305.MAC
	tag     []byte
	nonce   uint64
	payload []byte // the beginning: flags and up to maxFirst bytes of data
	err     error
}

// Of the head of a MESSAGE, in bytes.
const (
	boxAt      = len(messageName) + shortNonceSize
	payloadAt  = boxAt + boxOverhead
	headSize   = payloadAt + 1 + maxFirst
	macKeySize = 32 // at the start of the key stream of a secretbox
)

// skipper returns one for the next MESSAGE of a connection.
func (h *handshake) skipper() *curveSkipper {
	traffic, _ := h.cipher.(*curveTraffic)
	return &curveSkipper{traffic: traffic, head: make([]byte, 0, headSize)}
}

// write takes the next bytes of the command.
func (s *curveSkipper) write(p []byte) {
	if s.mac == nil && s.err == nil {
		n := min(len(p), headSize-len(s.head))
		s.head = append(s.head, p[:n]...)
		if p = p[n:]; len(s.head) == headSize {
			s.err = s.open()
		}
	}
	if s.err == nil && len(p) > 0 {
		_, _ = s.mac.Write(p) // always succeeds
	}
}

// open begins the verification, with the head.
func (s *curveSkipper) open() error {
	if len(s.head) < messageOverhead || string(s.head[:len(messageName)]) != messageName {
		return fmt.Errorf("%w: CURVE: frame that is not a MESSAGE", ErrProtocol)
	}
	received := &s.traffic.received
	nonce := s.head[len(messageName):boxAt]
	if s.nonce = binary.BigEndian.Uint64(nonce); s.nonce <= received.nonce {
		return fmt.Errorf("%w: CURVE: MESSAGE nonce %d is not above %d: replayed or out of order", ErrProtocol, s.nonce, received.nonce)
	}
	full := fullNonce(received.prefix, nonce)
	stream := make([]byte, macKeySize+len(s.head)-payloadAt)
	copy(stream[macKeySize:], s.head[payloadAt:])
	salsa20.XORKeyStream(stream, stream, full[:], &s.traffic.shared)
	s.mac = poly1305.New((*key)(stream))
	s.tag, s.payload = s.head[boxAt:payloadAt], stream[macKeySize:]
	_, _ = s.mac.Write(s.head[payloadAt:])
	return nil
}

// close returns the frame with the beginning of its body, or why it is not one of the peer's.
func (s *curveSkipper) close() (Frame, error) {
	if s.mac == nil && s.err == nil {
		s.err = s.open()
	}
	if s.err != nil {
		return Frame{}, s.err
	}
	if !s.mac.Verify(s.tag) {
		return Frame{}, errBox
	}
	s.traffic.received.nonce = s.nonce
	return payloadFrame(s.payload)
}

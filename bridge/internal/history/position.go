package history

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Position is a place between two records of a log: a client at a position has seen everything
// before Sequence. The position after a message is therefore that of the next one. Positions of one log
// increase; a restart begins a new generation, but continues the sequence.
type Position struct {
	// Generation identifies the run of the log that gave the position. It is random.
	Generation uint64
	// Sequence is the number of the next record. The first record of a log has number 1.
	Sequence uint64
}

// PositionSize is the size of a position in bytes in its binary form.
const PositionSize = 16

var errPosition = errors.New("not a position of the history")

// IsZero reports whether p is the zero value: the client has no position and has seen nothing.
func (p Position) IsZero() bool { return p == Position{} }

// AppendBinary appends the binary form of p, PositionSize bytes. The error is always nil.
func (p Position) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, p.Generation)
	return binary.BigEndian.AppendUint64(dst, p.Sequence), nil
}

// UnmarshalBinary sets p to the position that AppendBinary has written.
func (p *Position) UnmarshalBinary(b []byte) error {
	if len(b) != PositionSize {
		return errPosition
	}
	p.Generation, p.Sequence = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return nil
}

var positionEncoding = base64.RawURLEncoding.Strict()

// AppendText appends p as the opaque string that clients see: 22 characters that need no escaping
// in JSON or URLs. The error is always nil.
func (p Position) AppendText(dst []byte) ([]byte, error) {
	var b [PositionSize]byte
	p.AppendBinary(b[:0])
	return positionEncoding.AppendEncode(dst, b[:]), nil
}

// String returns the form of AppendText.
func (p Position) String() string {
	text, _ := p.AppendText(nil)
	return string(text)
}

// UnmarshalText sets p to the position that AppendText has written.
func (p *Position) UnmarshalText(text []byte) error {
	var b [PositionSize + 2]byte
	if len(text) != positionEncoding.EncodedLen(PositionSize) {
		return errPosition
	}
	n, err := positionEncoding.Decode(b[:], text)
	if err != nil {
		return errPosition
	}
	return p.UnmarshalBinary(b[:n])
}

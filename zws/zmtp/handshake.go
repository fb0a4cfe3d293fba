package zmtp

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// handshake is what all state machines share: which step is due, and how it ended.
type handshake struct {
	mechanism zap.Mechanism
	// open makes the first command of a side that speaks first; nil once it is sent, and
	// on a side that waits.
	open func() (*Command, error)
	// step takes the peer's next command; nil when no further one is due.
	step func(ctx context.Context, in *Command) (*Command, error)
	peer *Peer
	// traffic is the codec of what follows the handshake; nil until it is complete.
	traffic codec
	err     error // why it failed; kept, so that a failed handshake stays failed
}

// codec is the part of a [Mechanism] that is left once the handshake is complete.
type codec interface {
	Encode(f Frame) (Frame, error)
	Decode(f Frame) (Frame, error)
}

// cleartext is the traffic of NULL, PLAIN and BEARER: frames as they are.
type cleartext struct{}

func (cleartext) Encode(f Frame) (Frame, error) { return f, nil }
func (cleartext) Decode(f Frame) (Frame, error) { return f, nil }

// errEarly is a fault of the caller.
var errEarly = errors.New("zmtp: traffic before the handshake is complete")

func (h *handshake) Name() zap.Mechanism { return h.mechanism }
func (h *handshake) Done() bool          { return h.traffic != nil }
func (h *handshake) Peer() *Peer         { return h.peer }

func (h *handshake) Encode(f Frame) (Frame, error) {
	if h.traffic == nil {
		return Frame{}, errEarly
	}
	return h.traffic.Encode(f)
}

func (h *handshake) Decode(f Frame) (Frame, error) {
	if h.traffic == nil {
		return Frame{}, errEarly
	}
	return h.traffic.Decode(f)
}

func (h *handshake) Next(ctx context.Context, in *Command) (*Command, error) {
	if h.err != nil {
		return nil, h.err
	}
	out, err := h.advance(ctx, in)
	if err != nil {
		h.err, h.open, h.step = err, nil, nil
	}
	return out, err
}

func (h *handshake) advance(ctx context.Context, in *Command) (*Command, error) {
	switch {
	case in == nil && h.open != nil:
		open := h.open
		h.open = nil
		return open()
	case in == nil:
		return nil, nil
	case h.open != nil || h.step == nil:
		return nil, fmt.Errorf("%w: %s: no command is due, got %.32q", ErrProtocol, h.mechanism, in.Name)
	}
	return h.step(ctx, in)
}

// finish ends the handshake with success.
func (h *handshake) finish(traffic codec) {
	h.step, h.traffic = nil, traffic
}

// expect tells whether in is the command that is due.
func (h *handshake) expect(in *Command, name string) error {
	if in.Name != name {
		return fmt.Errorf("%w: %s: want %s, got %.32q", ErrProtocol, h.mechanism, name, in.Name)
	}
	return nil
}

// expectOrError is expect where the peer may refuse us instead.
func (h *handshake) expectOrError(in *Command, name string) error {
	if in.Name == cmdError {
		return parseError(in.Data)
	}
	return h.expect(in, name)
}

// malformed is the error for a command whose data is not what its grammar says.
func (h *handshake) malformed(name, what string) error {
	return fmt.Errorf("%w: %s: malformed %s: %s", ErrProtocol, h.mechanism, name, what)
}

// missized is malformed for a command of another size than 26/CURVEZMQ gives it, which
// counts its name.
func (h *handshake) missized(in *Command, want string) error {
	return h.malformed(in.Name, fmt.Sprintf("%d octets, want %s", 1+len(in.Name)+len(in.Data), want))
}

// parsePeer reads the metadata of the peer's READY or INITIATE.
func (h *handshake) parsePeer(name string, data []byte) (zap.Metadata, error) {
	m, err := zap.ParseMetadata(data)
	if err != nil {
		return nil, h.malformed(name, "metadata that does not parse")
	}
	return m, nil
}

// parseError reads the data of an ERROR: error-reason = OCTET 0*255VCHAR (23/ZMTP). It
// always returns an error: a *RefusedError, or one that wraps ErrProtocol.
func parseError(data []byte) error {
	if len(data) == 0 || len(data) != 1+int(data[0]) {
		return fmt.Errorf("%w: malformed ERROR: its reason is not of the length it gives", ErrProtocol)
	}
	switch reason := string(data[1:]); reason {
	case "300":
		return &RefusedError{Status: zap.Temporary}
	case "400":
		return &RefusedError{Status: zap.Refused}
	case "500":
		return &RefusedError{Status: zap.Internal}
	default:
		return &RefusedError{Reason: reason}
	}
}

// checkLocal tells whether m can be written as our metadata.
func checkLocal(m zap.Metadata) error {
	if len(m) > zap.MaxProperties {
		return fmt.Errorf("zmtp: %d metadata properties, at most %d can be sent", len(m), zap.MaxProperties)
	}
	for _, p := range m {
		if len(p.Name) == 0 || len(p.Name) > 255 {
			return fmt.Errorf("zmtp: metadata name %.32q of %d octets, allowed are 1 to 255", p.Name, len(p.Name))
		}
		if len(p.Value) > maxPropertyValue {
			return fmt.Errorf("zmtp: metadata %.32q has a value of %d octets, allowed are %d", p.Name, len(p.Value), maxPropertyValue)
		}
	}
	return nil
}

// maxPropertyValue is 23/ZMTP's limit of a property's value: 2^31-1 octets.
const maxPropertyValue = 1<<31 - 1

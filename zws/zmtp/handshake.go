package zmtp

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// handshake is what the state machines of all mechanisms share: it runs a list of steps.
type handshake struct {
	mechanism zap.Mechanism
	steps     []step // those that are left
	// refusable: the peer may send ERROR instead of the command that a step expects.
	refusable bool
	peer      *Peer
	cipher    frameCipher // of the traffic; nil until the handshake is complete
	err       error       // why the handshake failed; every later Next returns it
}

// step is one exchange of a handshake.
type step struct {
	// receive is the name of the peer's command, or start.
	receive string
	// run handles that command, nil at the start, and returns the one to send.
	run func(ctx context.Context, in *Command) (out *Command, err error)
}

// start is the receive of the first step of a side that speaks first.
const start = ""

// frameCipher encodes and decodes the traffic after a handshake, see [Mechanism].
type frameCipher interface {
	Encode(f Frame) (Frame, error)
	Decode(f Frame) (Frame, error)
}

// noCipher is that of NULL, PLAIN and BEARER: frames travel as they are.
type noCipher struct{}

func (noCipher) Encode(f Frame) (Frame, error) { return f, nil }
func (noCipher) Decode(f Frame) (Frame, error) { return f, nil }

// errEarly is returned for a mistake of the caller.
var errEarly = errors.New("zmtp: traffic before the handshake is complete")

func (h *handshake) Name() zap.Mechanism { return h.mechanism }
func (h *handshake) Done() bool          { return h.cipher != nil }
func (h *handshake) Peer() *Peer         { return h.peer }

func (h *handshake) Encode(f Frame) (Frame, error) {
	if h.cipher == nil {
		return Frame{}, errEarly
	}
	return h.cipher.Encode(f)
}

func (h *handshake) Decode(f Frame) (Frame, error) {
	if h.cipher == nil {
		return Frame{}, errEarly
	}
	return h.cipher.Decode(f)
}

func (h *handshake) Next(ctx context.Context, in *Command) (*Command, error) {
	if h.err != nil {
		return nil, h.err
	}
	out, err := h.advance(ctx, in)
	if err != nil {
		h.err, h.steps = err, nil
	}
	return out, err
}

// advance runs the next step if in is the command that it expects.
func (h *handshake) advance(ctx context.Context, in *Command) (*Command, error) {
	starts := len(h.steps) > 0 && h.steps[0].receive == start
	switch {
	case in == nil && !starts:
		return nil, nil // the peer's turn
	case in != nil && (starts || len(h.steps) == 0):
		return nil, fmt.Errorf("%w: %s: unexpected command %.32q", ErrProtocol, h.mechanism, in.Name)
	}
	next := h.steps[0]
	h.steps = h.steps[1:]
	switch {
	case in == nil || in.Name == next.receive:
		return next.run(ctx, in)
	case in.Name == cmdError && h.refusable:
		return nil, parseError(in.Data)
	}
	return nil, fmt.Errorf("%w: %s: want %s, got %.32q", ErrProtocol, h.mechanism, next.receive, in.Name)
}

// finish completes the handshake. The last step calls it.
func (h *handshake) finish(c frameCipher) {
	h.steps, h.cipher = nil, c
}

// malformed returns the error for a command whose data breaks its grammar.
func (h *handshake) malformed(name, problem string) error {
	return fmt.Errorf("%w: %s: malformed %s: %s", ErrProtocol, h.mechanism, name, problem)
}

// wrongSize returns the error for a command whose size is not that of 26/CURVEZMQ, which
// counts the name.
func (h *handshake) wrongSize(in *Command, want string) error {
	return h.malformed(in.Name, fmt.Sprintf("%d bytes, want %s", 1+len(in.Name)+len(in.Data), want))
}

// parsePeer parses the metadata of the peer's READY or INITIATE.
func (h *handshake) parsePeer(name string, data []byte) (zap.Metadata, error) {
	m, err := zap.ParseMetadata(data)
	if err != nil {
		return nil, h.malformed(name, "invalid metadata")
	}
	return m, nil
}

package zmtp

import (
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// maxFirst is how much of the first frame of a discarded message is kept, in bytes.
const maxFirst = 1 << 10

// DiscardedError means that a message beyond a limit was read and discarded
// ([Limits].Discard). The connection goes on: the next frame is the first of another message.
type DiscardedError struct {
	// First is the beginning of the message's first frame, at most 1 KiB, if that frame is
	// itself too large; otherwise ReadFrame has returned it before.
	First []byte
	// Err wraps [ErrTooLarge] and says which limit.
	Err error
}

func (e *DiscardedError) Error() string { return "message discarded: " + e.Err.Error() }

// Unwrap returns Err.
func (e *DiscardedError) Unwrap() error { return e.Err }

// discarding is the message that is being discarded; err is nil while none is.
type discarding struct {
	err   error
	size  int64 // of its frames and their headers, in bytes
	first []byte
}

// discards reports whether the frame of h is discarded, because of tooLarge, which can be nil,
// or because it belongs to a message that is.
func (c *Conn) discards(h header, tooLarge error) bool {
	return c.limits.Load().Discard > 0 && !c.isCommand(h) && (tooLarge != nil || c.incoming.discard.err != nil)
}

// sealed reports whether frames are in boxes, which hide their flags.
func (c *Conn) sealed() bool { return c.mechanism.Name() == zap.CURVE }

// isCommand reports whether the header says that the frame is a command.
func (c *Conn) isCommand(h header) bool { return h.command && !c.sealed() }

// discardFrame reads a frame without keeping its body, so that no memory is allocated for it.
func (c *Conn) discardFrame(h header, tooLarge error) (Frame, error) {
	d, first := &c.incoming.discard, c.incoming.frames == 0
	before := *d
	if d.err == nil {
		*d = discarding{err: tooLarge, size: c.incoming.size}
	}
	length := int64(h.length)
	if most := c.limits.Load().Discard; h.size > most-d.size-length { // a sum could overflow
		return Frame{}, fmt.Errorf("%w; more than %d are not even discarded", d.err, most)
	}
	d.size += length + h.size
	keep := func(p []byte) {
		if first {
			d.first = append(d.first, p[:min(len(p), maxFirst-len(d.first))]...)
		}
	}
	if !c.sealed() {
		return Frame{More: h.more}, c.in.skip(h, keep)
	}
	f, err := c.openDiscarded(h)
	switch {
	case err != nil:
		return Frame{}, err
	case !f.Command:
		keep(f.Body)
		return Frame{More: f.More}, nil
	case h.size > maxSealedCommand, int64(len(f.Body)) > c.limits.Load().Frame:
		return Frame{}, d.err
	}
	*d = before
	return f, nil
}

// maxSealedCommand is the size of sealed frames, in bytes, that are opened while their message is
// discarded, because they may be commands.
const maxSealedCommand = 4 << 10

// openDiscarded reads a frame of CURVE, of a large one only the beginning. The box is verified
// all the same: otherwise anybody on the way could move the boundaries of messages.
func (c *Conn) openDiscarded(h header) (Frame, error) {
	if h.size <= maxSealedCommand {
		body, err := c.in.body(h)
		if err != nil {
			return Frame{}, err
		}
		return c.mechanism.Decode(Frame{More: h.more, Command: h.command, Body: body})
	}
	s := c.mechanism.(interface{ skipper() *curveSkipper }).skipper()
	if err := c.in.skip(h, s.write); err != nil {
		return Frame{}, err
	}
	return s.close()
}

// discarded ends one frame of a message that is discarded; the last with a *DiscardedError.
func (c *Conn) discarded(f Frame) error {
	in := &c.incoming
	if in.frames++; f.More {
		return nil
	}
	err := &DiscardedError{First: in.discard.first, Err: in.discard.err}
	in.frames, in.size, in.discard = 0, 0, discarding{}
	return err
}

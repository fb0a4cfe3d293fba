package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// incoming is the state of the reading goroutine between two frames.
type incoming struct {
	frames int   // how many frames of the current message have been read
	size   int64 // of these, in bytes
	err    error // final
	// read: Buffered has already read the next frame, or discarded the next message.
	read    bool
	next    Frame
	nextErr *DiscardedError
	discard discarding
}

// ReadFrame returns the next frame of a message. Its body is valid until the next call of
// ReadFrame, ReadMessage, Await or Buffered, and the caller may overwrite it. ReadFrame never returns
// commands: it answers PING, ignores unknown commands, and on a PUB or XPUB returns SUBSCRIBE
// and CANCEL in the message form of a [Subscription].
//
// Errors are final and close the connection. io.EOF means that the peer closed it between
// two messages, net.ErrClosed that this side did. Errors about what the peer sent wrap
// [ErrTooLarge] or [ErrProtocol], or are a [*RefusedError] for an ERROR command. [ErrSilent]
// is wrapped if the heartbeat failed. Only a [*DiscardedError], which [Limits].Discard permits,
// is not final: the message whose frames ReadFrame has returned last, if it has not returned
// all of them, ends with it.
func (c *Conn) ReadFrame() (Frame, error) {
	in := &c.incoming
	if in.read {
		in.read = false
		if err := in.nextErr; err != nil {
			in.nextErr = nil
			return Frame{}, err
		}
		return in.next, nil
	}
	for {
		f, ok, err := c.readNext()
		if err != nil {
			return Frame{}, err
		}
		if ok {
			return f, nil
		}
	}
}

// ReadMessage returns the next message, which belongs to the caller. Errors are those of
// ReadFrame.
func (c *Conn) ReadMessage() (Message, error) {
	var m Message
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return nil, err
		}
		m = append(m, bytes.Clone(f.Body))
		if !f.More {
			return m, nil
		}
	}
}

// Buffered reports whether the next ReadFrame will return without waiting for the network. It
// handles commands that arrived before the next frame.
func (c *Conn) Buffered() bool {
	in := &c.incoming
	for !in.read && in.err == nil && c.in.buffered() {
		f, ok, err := c.readNext()
		if err != nil {
			if discarded, skipped := errors.AsType[*DiscardedError](err); skipped {
				in.read, in.nextErr = true, discarded
			}
			return true
		}
		in.next, in.read = f, ok
	}
	return in.read || in.err != nil
}

// Await waits until something has arrived, or the connection has ended, as ReadFrame then reports. ReadFrame
// waits as well, but with a deeper stack: that of a goroutine that waits here is small enough for the
// runtime to halve it. The goroutine that calls ReadFrame may call it.
func (c *Conn) Await() {
	in := &c.incoming
	if in.read || in.err != nil || len(c.in.peek()) > 0 {
		return
	}
	if err := c.in.fill(); err != nil {
		in.err = c.lost(err)
	}
}

// readNext reads one frame; ok is false if it was a command, which has been handled.
func (c *Conn) readNext() (f Frame, ok bool, err error) {
	in := &c.incoming
	if in.err != nil {
		return Frame{}, false, in.err
	}
	f, err = c.readTraffic()
	switch {
	case err != nil:
	case f.Command && c.older != nil:
		err = errOlderCommand
	case f.Command:
		f, ok, err = c.receiveCommand(f)
	case in.discard.err != nil:
		err = c.discarded(f)
	default:
		ok, err = c.count(f)
	}
	if err == nil {
		return f, ok, nil
	}
	if _, skipped := errors.AsType[*DiscardedError](err); !skipped {
		err = c.lost(err)
		in.err = err
	}
	return Frame{}, false, err
}

// readTraffic reads one frame and decodes it with the mechanism.
func (c *Conn) readTraffic() (Frame, error) {
	h, err := c.in.header()
	if err != nil {
		return Frame{}, err
	}
	if err := c.checkSize(h); c.discards(h, err) {
		return c.discardFrame(h, err)
	} else if err != nil {
		return Frame{}, err
	}
	body, err := c.in.body(h)
	if err != nil {
		return Frame{}, err
	}
	return c.mechanism.Decode(Frame{More: h.more, Command: h.command, Body: body})
}

// checkSize checks the size in a header against the limits, before memory is allocated for
// the body.
func (c *Conn) checkSize(h header) error {
	limits, size := c.limits.Load(), h.size
	if c.sealed() {
		size = max(0, size-int64(messageOverhead))
	}
	if size > limits.Frame {
		return fmt.Errorf("frame of %d bytes, at most %d are allowed: %w", size, limits.Frame, ErrTooLarge)
	}
	if !c.isCommand(h) && size > limits.Message-c.incoming.size {
		return fmt.Errorf("message of at least %d bytes, at most %d are allowed: %w", c.incoming.size+size, limits.Message, ErrTooLarge)
	}
	return nil
}

// count adds f to the current message and checks the number of frames; ok is false if the
// message is discarded for it.
func (c *Conn) count(f Frame) (ok bool, err error) {
	in := &c.incoming
	in.size += int64(len(f.Body))
	if in.frames >= c.limits.Load().Frames {
		err := fmt.Errorf("message of more than %d frames: %w", c.limits.Load().Frames, ErrTooLarge)
		if c.limits.Load().Discard <= 0 {
			return false, err
		}
		in.discard = discarding{err: err, size: in.size}
		return false, c.discarded(f)
	}
	if in.frames++; !f.More {
		in.frames, in.size = 0, 0
	}
	return true, nil
}

// receiveCommand handles a command; ok is true if it is a subscription, which the application
// receives as a message.
func (c *Conn) receiveCommand(f Frame) (message Frame, ok bool, err error) {
	command, err := ParseCommand(f.Body)
	if err != nil {
		return Frame{}, false, err
	}
	switch command.Name {
	case cmdPing:
		return Frame{}, false, c.answerPing(command.Data)
	case cmdError:
		return Frame{}, false, parseError(command.Data)
	}
	s, ok := command.Subscription()
	switch {
	case !ok || !c.o.SocketType.Publishes():
		return Frame{}, false, nil
	case c.incoming.frames > 0:
		return Frame{}, false, fmt.Errorf("%w: %s inside a message", ErrProtocol, command.Name)
	}
	return messageForm(f, s), true, nil
}

// lost closes the connection and returns the error that ReadFrame reports for err.
func (c *Conn) lost(err error) error {
	if transport, ok := errors.AsType[*transportError](err); ok {
		switch err = transport.err; {
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = fmt.Errorf("%w: nothing received for %v", ErrSilent, c.in.patience)
		case err == io.EOF && c.incoming.frames > 0:
			err = io.ErrUnexpectedEOF
		}
	}
	c.shut(err)
	return *c.cause.Load()
}

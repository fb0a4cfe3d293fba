package history

import (
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Entry is one message of a reader or a snapshot. Its bytes are not changed by the log and stay
// valid; whoever holds an entry holds the block of the log that it is in.
type Entry struct {
	After Position // the position after the message
	Time  time.Time
	raw   []byte
}

// Frames appends the frames of the message to dst. They must not be changed.
func (e Entry) Frames(dst zmtp.Message) zmtp.Message { return dst }

// Size returns the number of bytes that the message takes in the log.
func (e Entry) Size() int { return len(e.raw) }

// Reader reads a log from a position on. One goroutine at a time uses it; it needs no Close.
type Reader struct{}

// Next appends the next entries to dst, until they have about max bytes or enough work is done for
// one step. It never blocks. more reports that there is more to read up to the cut, or without one
// up to the end of the log.
func (r *Reader) Next(dst []Entry, max int) (entries []Entry, more bool) { return dst, false }

// Cut ends the reader at cut: what follows comes live.
func (r *Reader) Cut(cut Position) {}

// Position returns how far the reader has read.
func (r *Reader) Position() Position { return Position{} }

// Behind returns how many records, of any topic, the reader has still to look at.
func (r *Reader) Behind() uint64 { return 0 }

// Lost reports whether the log has dropped messages before the reader has read them, since the
// last call.
func (r *Reader) Lost() bool { return false }

// Snapshot reads last values, in the order of their topics. One goroutine at a time uses it.
type Snapshot struct{}

// Next appends the next last values to dst, as Reader.Next does.
func (s *Snapshot) Next(dst []Entry, max int) (entries []Entry, more bool) { return dst, false }

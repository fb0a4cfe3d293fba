package zws

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Source holds what is to be written to a channel. Only the connection's writer calls it,
// one call at a time.
type Source interface {
	// Next appends to b until b is full or nothing is queued. What it appends counts as
	// written and must stay unchanged until Next is called again: the writer calls it after
	// every write until it appends nothing, also with a batch that is full already, where a
	// channel has no credit left. When more is queued later, call Channel.Wake.
	Next(b *Batch)
}

const (
	// batchSize is how many bytes fill a batch: enough to make good use of a system call or
	// of four TLS records, few enough to be fair to other connections.
	batchSize = 64 << 10
	// batchPieces is how many pieces fill a batch. The runtime keeps 16 bytes per piece with
	// the connection for good.
	batchPieces = 64
	// copyBelow is the size in bytes below which copying costs less than another piece.
	copyBelow = 1 << 10
	// keptBatch is the largest buffer that is kept for the next batch, in bytes.
	keptBatch = 2 * batchSize
)

// Batch collects what is written at once. It is valid during a call of Source.Next.
type Batch struct {
	conn *Conn
	// own holds what was encoded or copied here; own[piece:] is not yet in pieces.
	own    []byte
	array  []byte // objects for a client that gets arrays, each with a comma before it
	bundle muxframe.Bundler
	piece  int
	pieces net.Buffers
	// vectored is set if the connection takes several pieces in one system call. If it is
	// not, everything is copied to own.
	vectored bool
	size     int
	last     bool // the connection ends with it
	hurried  bool // Flush writes it, and must not wait
	left     bool // because of that, a channel was not asked
	err      error
	channel  *muxChannel // whose turn it is, on a connection with many
}

var batches = sync.Pool{New: func() any { return new(Batch) }}

func newBatch(c *Conn, vectored bool) *Batch {
	b := batches.Get().(*Batch)
	b.conn, b.vectored = c, vectored
	return b
}

func (b *Batch) free() {
	b.reset()
	b.conn, b.err, b.hurried = nil, nil, false
	if cap(b.own) > keptBatch {
		b.own = nil
	}
	if cap(b.array) > keptBatch {
		b.array = nil
	}
	batches.Put(b)
}

func (b *Batch) reset() {
	clear(b.pieces) // keeps no shared bytes alive
	b.own, b.array, b.pieces, b.piece, b.size = b.own[:0], b.array[:0], b.pieces[:0], 0, 0
	b.last, b.left = false, false
	b.bundle.Reset()
}

// Full reports whether no more should be appended. What is appended nevertheless is
// written.
func (b *Batch) Full() bool {
	return b.size >= batchSize || len(b.pieces) >= batchPieces || b.err != nil ||
		b.channel != nil && b.channel.budget <= 0
}

// Message encodes and appends m. at is its position in a history, for a client that asked for
// positions; nil if it has none. Its frames must not be changed until the batch is written,
// so a Source gives m away. After an error the connection is closed when Next returns.
func (b *Batch) Message(m zmtp.Message, at []byte) error {
	return b.message(m, mark{at: at})
}

// Replayed is Message for a message that was published at t and is repeated from a history, or
// is a last value: a client that asked for positions learns the time as well.
func (b *Batch) Replayed(m zmtp.Message, at []byte, t time.Time) error {
	return b.message(m, replayed(at, t))
}

func (b *Batch) message(m zmtp.Message, k mark) error {
	if !b.history().marked {
		k = mark{}
	}
	return b.failed(b.conn.dialect.write(b, m, k))
}

// failed notes err, which ends the connection, if it is not nil.
func (b *Batch) failed(err error) error {
	if err != nil {
		b.err = err
	}
	return err
}

// history returns that of the channel whose turn it is.
func (b *Batch) history() *historyState {
	if b.channel != nil {
		return &b.channel.history
	}
	return &b.conn.channel.history
}

// Encoded appends whole messages that the Codec of the channel has encoded. p must not
// change until the batch is written; several connections may share it.
func (b *Batch) Encoded(p []byte) {
	switch {
	case b.channel != nil:
		b.channel.deliver(b, p)
	case b.conn.arrays.Load():
		b.array = append(b.array, p...)
		b.size += len(p)
	default:
		b.bytes(p)
	}
}

// Unsubscribed appends the notification that the client's subscription to topic has ended,
// if the client gets notifications: what a Source appends afterwards must not be there
// because of that subscription. Unlike Channel.Lost it has a place between messages, so a
// Source calls it, on a batch that is not full. Errors are those of Message.
func (b *Batch) Unsubscribed(topic []byte) error {
	if !b.conn.notifies() {
		return nil
	}
	return b.failed(b.conn.dialect.notifier.unsubscribed(b, topic))
}

// Resumed appends the answer to a HistoryResume, or to the name of a queue: messages from at on
// follow, and then Live. recovered reports that nothing is missing since the client's position,
// gap that the upstream was interrupted meanwhile. It has its place between messages like
// Unsubscribed, and does nothing for a client that did not ask for history.
func (b *Batch) Resumed(at []byte, recovered, gap bool) error {
	if !b.history().asked {
		return nil
	}
	return b.failed(b.conn.dialect.notifier.resumed(b, at, recovered, gap))
}

// Live appends the notification that the client has everything up to at: what follows is live.
// It has its place between messages like Unsubscribed, and does nothing for a client that did
// not ask for history.
func (b *Batch) Live(at []byte) error {
	if !b.history().asked {
		return nil
	}
	return b.failed(b.conn.dialect.notifier.live(b, at))
}

// encode appends what f appends to the bytes that it is given.
func (b *Batch) encode(f func(dst []byte) []byte) {
	start := len(b.own)
	b.own = f(b.own)
	b.size += len(b.own) - start
}

// endShared ends the WebSocket message to which more could be added.
func (b *Batch) endShared() {
	b.endArray()
	b.own = b.bundle.AppendWebSocket(b.own)
}

func (b *Batch) bytes(p []byte) {
	b.endShared()
	b.size += len(p)
	if !b.vectored || len(p) < copyBelow {
		b.own = append(b.own, p...)
		return
	}
	b.cut()
	b.pieces = append(b.pieces, p)
}

// frames appends m frame by frame, after an AT if it has a position.
func (b *Batch) frames(m zmtp.Message, k mark) error {
	if k.at != nil {
		if err := b.command("AT", k.appendAt(nil)); err != nil {
			return err
		}
	}
	for i, body := range m {
		if err := b.frame(zmtp.Frame{More: i < len(m)-1, Body: body}); err != nil {
			return err
		}
	}
	return nil
}

// frame appends one frame of traffic, encrypted if the connection encrypts.
func (b *Batch) frame(f zmtp.Frame) error {
	f, err := b.conn.encode(f)
	if err != nil {
		return err
	}
	d := b.conn.dialect
	start := len(b.own)
	b.own = appendFrameHeader(b.own, d.frames.flag(f), len(f.Body))
	b.size += len(b.own) - start
	if d.sealed { // the body is only valid until the next frame
		b.own = append(b.own, f.Body...)
		b.size += len(f.Body)
		return nil
	}
	b.bytes(f.Body)
	return nil
}

// cut ends the piece that own is collecting. Pieces stay valid when own grows, because they
// refer to the array that they were cut from.
func (b *Batch) cut() {
	if len(b.own) > b.piece {
		b.pieces = append(b.pieces, b.own[b.piece:len(b.own):len(b.own)])
		b.piece = len(b.own)
	}
}

// writeTo writes the batch in one call, and in one system call if the connection can.
func (b *Batch) writeTo(conn net.Conn) error {
	b.endShared()
	b.cut()
	if len(b.pieces) == 1 {
		_, err := conn.Write(b.pieces[0])
		return err
	}
	pieces := b.pieces // WriteTo consumes it
	_, err := pieces.WriteTo(conn)
	return err
}

// maxVector is how many pieces one system call takes (IOV_MAX).
const maxVector = 1024

// tryWrite writes what s takes at once and reports whether that is everything. What is left, also
// after an error, is for writeTo.
func (b *Batch) tryWrite(s syscall.RawConn) (all bool) {
	b.endShared()
	b.cut()
	var n int
	if len(b.pieces) == 1 {
		n, _ = nonblock.Write(s, b.pieces[0])
	} else {
		n, _ = nonblock.Writev(s, b.pieces[:min(len(b.pieces), maxVector)])
	}
	left := 0
	for left < len(b.pieces) && n >= len(b.pieces[left]) {
		n -= len(b.pieces[left])
		left++
	}
	if left == len(b.pieces) {
		return true
	}
	kept := copy(b.pieces, b.pieces[left:])
	clear(b.pieces[kept:])
	b.pieces = b.pieces[:kept]
	b.pieces[0] = b.pieces[0][n:]
	return false
}

package zws

import (
	"net"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Source holds what is to be written to a channel. Only the session's writer calls it,
// one call at a time.
type Source interface {
	// Next appends to b until b is full or nothing is queued. What it took is counted
	// as written, and has to stay untouched until Next is called again: the writer does so
	// after every write, until nothing is appended. After more was queued, Channel.Wake is
	// to be called.
	Next(b *Batch)
}

const (
	// batchSize is how many octets of a batch make it full: enough for a system call or
	// four TLS records to be well used, little enough to be fair to other connections.
	batchSize = 64 << 10
	// batchPieces is how many pieces make it full. The runtime keeps 16 octets a piece with
	// the connection for good.
	batchPieces = 64
	// copyBelow is up to how many octets a copy is cheaper than a piece of its own.
	copyBelow = 1 << 10
	// keptBatch is how large a batch's buffer may have grown to be kept for the next.
	keptBatch = 2 * batchSize
)

// Batch collects what goes into one write. It is valid during the call of Source.Next.
type Batch struct {
	conn *Conn
	// own holds octets that were encoded or copied here; own[piece:] is not yet in
	// pieces.
	own    []byte
	piece  int
	pieces net.Buffers
	// vectored tells that the connection takes several pieces in one system call; if it
	// does not, all octets go into own.
	vectored bool
	size     int
	err      error
	channel  *muxChannel // whose turn it is, on a session with many
}

var batches = sync.Pool{New: func() any { return new(Batch) }}

func newBatch(s *Conn, vectored bool) *Batch {
	b := batches.Get().(*Batch)
	b.conn, b.vectored = s, vectored
	return b
}

func (b *Batch) free() {
	b.reset()
	b.conn, b.err = nil, nil
	if cap(b.own) > keptBatch {
		b.own = nil
	}
	batches.Put(b)
}

func (b *Batch) reset() {
	clear(b.pieces) // keep nothing alive that was shared with us
	b.own, b.pieces, b.piece, b.size = b.own[:0], b.pieces[:0], 0, 0
}

// Full tells that no more should be appended; what is appended all the same is written.
func (b *Batch) Full() bool {
	return b.size >= batchSize || len(b.pieces) >= batchPieces || b.err != nil ||
		b.channel != nil && b.channel.budget <= 0
}

// Message appends m in the codec of the session. Its frames must not be changed until
// the batch is written, so a Source gives m away. An error means that the session cannot
// go on: it is closed after Next has returned.
func (b *Batch) Message(m zmtp.Message) error {
	err := b.conn.dialect.write(b, m)
	if err != nil {
		b.err = err
	}
	return err
}

// Unsubscribed appends the notice that the client's subscription to topic is gone, if the
// client listens to notices: nothing that a Source appends afterwards may be there for that
// subscription's sake. Unlike Channel.Lost it is a Source's to call, and on a batch that is
// not full, since the notice has its place between messages. Errors are as of Message.
func (b *Batch) Unsubscribed(topic []byte) error {
	if !b.conn.notices() {
		return nil
	}
	err := b.conn.dialect.tells.unsubscribed(b, topic)
	if err != nil {
		b.err = err
	}
	return err
}

// frames appends m frame by frame.
func (b *Batch) frames(m zmtp.Message) error {
	for i, body := range m {
		if err := b.frame(zmtp.Frame{More: i < len(m)-1, Body: body}); err != nil {
			return err
		}
	}
	return nil
}

// encoded appends what encode appends to the octets that it is given.
func (b *Batch) encoded(encode func(dst []byte) []byte) {
	start := len(b.own)
	b.own = encode(b.own)
	b.size += len(b.own) - start
}

// Octets appends whole messages that are already encoded, by the Codec of this channel.
// p is not changed and must not change until the batch is written: several sessions may
// share it.
func (b *Batch) Octets(p []byte) {
	if b.channel != nil {
		b.channel.deliver(b, p)
		return
	}
	b.octets(p)
}

func (b *Batch) octets(p []byte) {
	b.size += len(p)
	if !b.vectored || len(p) < copyBelow {
		b.own = append(b.own, p...)
		return
	}
	b.cut()
	b.pieces = append(b.pieces, p)
}

// frame appends one frame of traffic, sealed if the session seals.
func (b *Batch) frame(f zmtp.Frame) error {
	f, err := b.conn.encode(f)
	if err != nil {
		return err
	}
	start := len(b.own)
	b.own = appendHeader(b.own, b.conn.flag(f), len(f.Body))
	b.size += len(b.own) - start
	if b.conn.dialect.sealed { // the body is valid until the next frame only
		b.own = append(b.own, f.Body...)
		b.size += len(f.Body)
		return nil
	}
	b.Octets(f.Body)
	return nil
}

// cut ends the piece that own is collecting. Pieces stay right when own grows: they keep
// the array that they were cut from.
func (b *Batch) cut() {
	if len(b.own) > b.piece {
		b.pieces = append(b.pieces, b.own[b.piece:len(b.own):len(b.own)])
		b.piece = len(b.own)
	}
}

// writeTo writes the batch in one call, a system call where the connection can.
func (b *Batch) writeTo(conn net.Conn) error {
	b.cut()
	if len(b.pieces) == 1 {
		_, err := conn.Write(b.pieces[0])
		return err
	}
	pieces := b.pieces // WriteTo consumes it
	_, err := pieces.WriteTo(conn)
	return err
}

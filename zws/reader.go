package zws

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// reader is the WebSocket library with its buffers, as long as it reads one connection. An
// idle connection has none: readers are used again. After the upgrade the library
// only reads through it. What it would write by itself, the close frames of a protocol
// error and of the read limit, is kept as its verdict and sent by the one writer.
type reader struct {
	*wire  // that is read
	conn   *Conn
	ws     *websocket.Conn
	socket nonblock.Reader // of wire

	upgraded bool
	ended    bool // the library has returned an error, which is final
	verdict  *CloseError
	frames   wsframe.Tracker // of what was passed to the library

	// What readAhead has read: a message, or why there is none.
	next   zmtp.Message
	failed error

	peeked *bufio.Reader // the library's own buffer
	ahead  *[]byte       // pooled; nil if rest is empty
	pool   *sync.Pool    // where ahead came from
	rest   []byte        // what was read ahead of the library; between messages, what comes next
	until  time.Time     // the deadline that await has set, if any
}

// readers are those that no connection has at present.
var readers sync.Pool

// newReader returns a reader without a connection.
func newReader() *reader {
	r, err := upgrade(offline{}, &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"MDEyMzQ1Njc4OWFiY2RlZg=="},
	}}, "")
	if err != nil {
		panic(err) // the request is always the same
	}
	return r
}

// offline is the request of a reader that is made without a connection: the library only makes
// one by an upgrade.
type offline struct{ http.ResponseWriter }

func (offline) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	here, there := net.Pipe()
	there.Close() // what is written is lost
	return discard{here}, bufio.NewReadWriter(bufio.NewReaderSize(here, 16), bufio.NewWriterSize(here, 16)), nil
}

// discard is a connection whose writes go nowhere.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// attach gives the connection a reader, if it has none. The caller holds the token of reading.
func (c *Conn) attach() *reader {
	if c.reader == nil {
		r, ok := readers.Get().(*reader)
		if !ok {
			r = newReader()
		}
		c.use(r)
	}
	return c.reader
}

// use makes r the reader of the connection.
func (c *Conn) use(r *reader) {
	r.conn, r.wire = c, &c.wire
	r.socket.Reset(c.wire.Conn)
	c.reader = r
}

// detach takes the reader from a connection that is idle. The caller holds the token of reading.
func (c *Conn) detach() {
	r := c.reader
	if r == nil || r.hasRead() || len(r.rest) > 0 || !r.between() {
		return
	}
	c.reader = nil
	r.conn, r.wire, r.until = nil, nil, time.Time{}
	r.socket.Reset(nil)
	readers.Put(r)
	releaseTLS(c.wire.Conn)
}

// libraryBuffer is the size of the buffer that each connection keeps: the smallest that the
// library accepts from a hijacked connection.
const libraryBuffer = 257

// The buffers of connections in use: large ones for those that are busy.
const (
	smallRead = 512
	largeRead = 16 << 10
)

var (
	smallReads = sync.Pool{New: func() any { b := make([]byte, smallRead); return &b }}
	largeReads = sync.Pool{New: func() any { b := make([]byte, largeRead); return &b }}
)

// attention is how long a reader waits for a client before the client counts as idle.
// Tests shorten it.
var attention = time.Second / 10

// await waits until something can be read, if only an error, and reports whether it can; if
// not, at least half of attention has passed. It reads ahead into a pooled buffer, which
// an idle connection does not keep. The reader calls it between messages.
func (r *reader) await() bool {
	if len(r.rest) > 0 {
		return true
	}
	if now := time.Now(); r.until.Sub(now) < attention/2 { // a new deadline per message would cost more
		r.until = now.Add(attention)
		r.SetReadDeadline(r.until)
	}
	n, err := r.fill()
	return n > 0 || !isTimeout(err) // the library will get any other error itself
}

// fill reads ahead.
func (r *reader) fill() (int, error) {
	pool := &smallReads
	if r.busy {
		pool = &largeReads
	}
	buffer := pool.Get().(*[]byte)
	n, err := r.socket.Read(*buffer)
	r.busy = n >= smallRead
	if n == 0 {
		pool.Put(buffer)
		return 0, err
	}
	r.ahead, r.pool, r.rest = buffer, pool, (*buffer)[:n]
	return n, nil // an error comes again with the next read
}

// errFrame stands for a verdict about a frame that the library would accept.
var errFrame = errors.New("zws: invalid WebSocket frame")

// Read is called by the library.
func (r *reader) Read(p []byte) (int, error) {
	if r.verdict != nil {
		return 0, errFrame
	}
	if !r.upgraded { // the library only wants to know how large its buffer is
		return r.Conn.Read(p)
	}
	n, err := r.read(p)
	if n > 0 {
		err = nil // comes again with the next read; the library's buffer would keep it, also for another connection
	}
	r.wire.received.Add(int64(n))
	good, reason := r.frames.Track(p[:n])
	if reason == "" {
		return n, err
	}
	r.verdict = protocolError(reason)
	if good == 0 {
		return 0, errFrame
	}
	return good, nil
}

// read reads at most up to the end of a frame. What follows stays in rest, so that the library has
// buffered nothing when it has read a message.
func (r *reader) read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if !r.until.IsZero() {
			r.until = time.Time{}
			r.SetReadDeadline(r.until) // await's deadline does not apply within a frame
		}
		if !r.busy || len(p) > libraryBuffer {
			n, err := r.socket.Read(p)
			r.busy = r.busy || n == libraryBuffer && n == len(p)
			return r.keepRest(p[:n]), err
		}
		if n, err := r.fill(); n == 0 {
			return 0, err
		}
	}
	n := copy(p, r.rest[:r.frames.Reach(r.rest)])
	r.drop(n)
	return n, nil
}

// keepRest returns how much of p belongs to one frame, and keeps what follows as rest, which is empty.
func (r *reader) keepRest(p []byte) int {
	n := r.frames.Reach(p)
	if n < len(p) {
		r.pool = &smallReads
		r.ahead = r.pool.Get().(*[]byte)
		r.rest = append((*r.ahead)[:0], p[n:]...)
	}
	return n
}

// between reports whether a message begins with what comes next.
func (r *reader) between() bool { return !r.ended && r.verdict == nil && r.frames.Between() }

// announced returns how much of the frame that the library reads has not been passed to it, in
// bytes: 0 if r is nil, or the library has bytes that it has not read.
func (r *reader) announced() int64 {
	if r == nil || r.peeked.Buffered() > 0 {
		return 0
	}
	left, _ := r.frames.Left()
	return int64(left)
}

// drop removes n bytes from what was read ahead.
func (r *reader) drop(n int) {
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.pool.Put(r.ahead)
		r.ahead, r.pool, r.rest = nil, nil, nil
	}
}

// whole reports whether all WebSocket frames of a message have been read ahead: up to one
// whose flag byte is not that of more, and whether the last one has the flag byte of a message. It
// returns false for fragmented messages, which it does not look into.
func (r *reader) whole(f frameCodec) (whole, message bool) {
	if !r.between() {
		return false, false
	}
	for rest := r.rest; ; {
		h, ok := wsframe.ParseHeader(rest)
		if !ok || !h.Whole() || h.Payload > len(rest)-h.Length {
			return false, false
		}
		body := rest[h.Length:]
		rest = body[h.Payload:]
		if h.Control() {
			continue
		}
		if h.Payload == 0 {
			return true, false
		}
		if flag := body[0] ^ h.Key[0]; flag != f.more {
			return true, flag == f.last
		}
	}
}

// Write passes the answer to the upgrade. What the library writes later can only be a close
// frame, because the connection answers pings itself.
func (r *reader) Write(p []byte) (int, error) {
	if !r.upgraded {
		return r.Conn.Write(p)
	}
	if len(p) >= 4 && p[0] == wsframe.Close {
		r.verdict = &CloseError{Code: Code(binary.BigEndian.Uint16(p[2:])), Reason: string(p[4:])}
	}
	return len(p), nil
}

// SetWriteDeadline keeps the library from changing the writer's deadline.
func (r *reader) SetWriteDeadline(t time.Time) error {
	if !r.upgraded {
		return r.Conn.SetWriteDeadline(t)
	}
	return nil
}

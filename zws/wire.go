package zws

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// wire is the connection as the WebSocket library sees it. After the upgrade the library
// only reads through it. What it would write by itself, the close frames of a protocol
// error and of the read limit, is kept as its verdict and sent by the one writer.
type wire struct {
	net.Conn
	upgraded bool
	verdict  *CloseError
	frames   wsframe.Tracker // of what was passed to the library
	received atomic.Int64    // bytes that were passed to the library

	peeked *bufio.Reader // the library's own buffer
	ahead  *[]byte       // pooled; nil if rest is empty
	pool   *sync.Pool    // where ahead came from
	rest   []byte        // what was read ahead of the library
	busy   bool          // the last read filled a small buffer
	until  time.Time     // the deadline that await has set, if any

	mu    sync.Mutex
	final bool // the read deadline no longer changes
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
var attention = time.Second

// await waits until something can be read, if only an error, and reports whether it can; if
// not, at least half of attention has passed. It reads ahead into a pooled buffer, which
// an idle connection does not keep. The reader calls it between messages.
func (w *wire) await() bool {
	if len(w.buffered()) > 0 {
		return true
	}
	if now := time.Now(); w.until.Sub(now) < attention/2 { // a new deadline per message would cost more
		w.until = now.Add(attention)
		w.SetReadDeadline(w.until)
	}
	n, err := w.fill()
	return n > 0 || !isTimeout(err) // the library will get any other error itself
}

// fill reads ahead.
func (w *wire) fill() (int, error) {
	pool := &smallReads
	if w.busy {
		pool = &largeReads
	}
	buffer := pool.Get().(*[]byte)
	n, err := w.Conn.Read(*buffer)
	w.busy = n >= smallRead
	if n == 0 {
		pool.Put(buffer)
		return 0, err
	}
	w.ahead, w.pool, w.rest = buffer, pool, (*buffer)[:n]
	return n, nil // an error comes again with the next read
}

// errFrame stands for a verdict about a frame that the library would accept.
var errFrame = errors.New("zws: invalid WebSocket frame")

// Read is called by the library.
func (w *wire) Read(p []byte) (int, error) {
	if w.verdict != nil {
		return 0, errFrame
	}
	n, err := w.read(p)
	if !w.upgraded { // the library only wants to know how large its buffer is
		return n, err
	}
	w.received.Add(int64(n))
	good, reason := w.frames.Track(p[:n])
	if reason == "" {
		return n, err
	}
	w.verdict = protocolError(reason)
	if good == 0 {
		return 0, errFrame
	}
	return good, nil
}

func (w *wire) read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		if !w.until.IsZero() {
			w.until = time.Time{}
			w.SetReadDeadline(w.until) // await's deadline does not apply within a frame
		}
		if !w.busy || len(p) > libraryBuffer {
			n, err := w.Conn.Read(p)
			w.busy = w.busy || n == libraryBuffer && n == len(p)
			return n, err
		}
		if n, err := w.fill(); n == 0 {
			return 0, err
		}
	}
	n := copy(p, w.rest)
	w.drop(n)
	return n, nil
}

// buffered returns what comes next, as far as it lies in one buffer.
func (w *wire) buffered() []byte {
	if n := w.peeked.Buffered(); n > 0 {
		p, _ := w.peeked.Peek(n)
		return p
	}
	return w.rest
}

// announced returns how much of the frame that the library reads has not been passed to it, in
// bytes: 0 if w is nil, or the library has bytes that it has not read.
func (w *wire) announced() int64 {
	if w == nil || w.peeked.Buffered() > 0 {
		return 0
	}
	left, _ := w.frames.Left()
	return int64(left)
}

// discard drops the first n bytes of buffered.
func (w *wire) discard(n int) {
	if w.peeked.Buffered() > 0 {
		w.peeked.Discard(n)
	} else {
		w.drop(n)
	}
}

// drop removes n bytes from what was read ahead.
func (w *wire) drop(n int) {
	if w.rest = w.rest[n:]; len(w.rest) == 0 {
		w.pool.Put(w.ahead)
		w.ahead, w.pool, w.rest = nil, nil, nil
	}
}

// whole reports whether all WebSocket frames of a message have been read ahead: up to one
// whose flag byte is not more. It returns false for fragmented messages, which it does not
// look into.
func (w *wire) whole(more byte) bool {
	ahead := ahead{rest: w.rest}
	ahead.peeked, _ = w.peeked.Peek(w.peeked.Buffered())
	for at := 0; ; {
		h, ok := ahead.header(at)
		body := at + h.Length
		if !ok || !h.Whole() || h.Payload > ahead.len()-body {
			return false
		}
		at = body + h.Payload
		if h.Control() {
			continue
		}
		if h.Payload == 0 || ahead.byte(body)^h.Key[0] != more {
			return true
		}
	}
}

// ahead is what was read ahead, in the order of arrival.
type ahead struct{ peeked, rest []byte }

func (a ahead) len() int { return len(a.peeked) + len(a.rest) }

func (a ahead) byte(i int) byte {
	if i < len(a.peeked) {
		return a.peeked[i]
	}
	return a.rest[i-len(a.peeked)]
}

// header reads the header of the frame that begins at i.
func (a ahead) header(i int) (wsframe.Header, bool) {
	var raw [wsframe.MaxMaskedHeader]byte
	n := min(len(raw), a.len()-i)
	for j := range n {
		raw[j] = a.byte(i + j)
	}
	return wsframe.ParseHeader(raw[:n])
}

// SetReadDeadline does nothing after expire.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.final {
		return nil
	}
	return w.Conn.SetReadDeadline(t)
}

// expire sets the last read deadline, for a connection that is closing.
func (w *wire) expire(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.final = true
	w.Conn.SetReadDeadline(t)
}

// Write passes the answer to the upgrade. What the library writes later can only be a close
// frame, because the connection answers pings itself.
func (w *wire) Write(p []byte) (int, error) {
	if !w.upgraded {
		return w.Conn.Write(p)
	}
	if len(p) >= 4 && p[0] == wsframe.Close {
		w.verdict = &CloseError{Code: Code(binary.BigEndian.Uint16(p[2:])), Reason: string(p[4:])}
	}
	return len(p), nil
}

// SetWriteDeadline keeps the library from changing the writer's deadline.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if !w.upgraded {
		return w.Conn.SetWriteDeadline(t)
	}
	return nil
}

// hijacker hijacks the connection of a request as a wire.
type hijacker struct {
	http.ResponseWriter
	wire    *wire
	refused bool // the client was answered
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if rw.Reader.Buffered() > 0 {
		h.refused = true
		return nil, nil, refuseEarly(conn, rw)
	}
	h.wire.Conn = conn
	h.wire.peeked = bufio.NewReaderSize(h.wire, libraryBuffer)
	return h.wire, bufio.NewReadWriter(h.wire.peeked, rw.Writer), nil
}

// noBuffers keeps the library from allocating a write buffer before it needs one, which it
// never does.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// upgrade answers the request with 101 and the subprotocol, if there is one. If it fails,
// the client was answered with another HTTP status.
func upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) (*websocket.Conn, *wire, error) {
	if err := checkHandshake(w, r); err != nil {
		return nil, nil, err
	}
	u := websocket.Upgrader{
		WriteBufferPool: noBuffers{},
		CheckOrigin:     func(*http.Request) bool { return true }, // checked before
	}
	if subprotocol != "" {
		u.Subprotocols = []string{subprotocol} // only the one that was chosen
	}
	h := &hijacker{ResponseWriter: w, wire: &wire{}}
	u.Error = func(_ http.ResponseWriter, _ *http.Request, status int, _ error) {
		if !h.refused {
			http.Error(w, http.StatusText(status), status)
		}
	}
	ws, err := u.Upgrade(h, r, nil)
	if err != nil {
		return nil, nil, err
	}
	h.wire.upgraded = true
	limitUnsent(h.wire.Conn)
	return ws, h.wire, nil
}

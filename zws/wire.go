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
)

// wire is the connection as the WebSocket library sees it. After the upgrade the library
// reads through it and no longer writes: what it would send by itself, the close frames
// of a protocol error and of the read limit, is kept as its verdict and goes out by the
// one writer.
type wire struct {
	net.Conn
	upgraded bool
	verdict  *CloseError

	peeked *bufio.Reader // the library's own buffer
	ahead  *[]byte       // pooled; nil unless rest holds something
	pool   *sync.Pool    // where ahead came from
	rest   []byte        // what was read ahead of the library
	busy   bool          // the last read brought as much as a small buffer takes
	until  time.Time     // the deadline that await has set, if any

	mu    sync.Mutex
	final bool // the deadline that is set stays
}

// libraryBuffer is small because every connection keeps one; it is the least that the
// library takes from a hijacked connection.
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

// attention is how long a reader waits for a client before it takes it for idle. Shorter
// in tests.
var attention = time.Second

// await waits until something can be read, and tells whether it can, if only an error; if
// not, half of attention has passed at least. It reads ahead into a pooled buffer, which
// an idle connection does not keep. It is for the reader between two messages.
func (w *wire) await() bool {
	if len(w.buffered()) > 0 {
		return true
	}
	if now := time.Now(); w.until.Sub(now) < attention/2 { // a deadline a message would cost more
		w.until = now.Add(attention)
		w.SetReadDeadline(w.until)
	}
	n, err := w.fill()
	return n > 0 || !isTimeout(err) // the library will meet any other error itself
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

// Read is for the library.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		if !w.until.IsZero() {
			w.until = time.Time{}
			w.SetReadDeadline(w.until) // await's deadline is not for the rest of a frame
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

// buffered is what comes next, as far as it has been read in one piece.
func (w *wire) buffered() []byte {
	if n := w.peeked.Buffered(); n > 0 {
		p, _ := w.peeked.Peek(n)
		return p
	}
	return w.rest
}

// discard drops the first n octets of what is buffered.
func (w *wire) discard(n int) {
	if w.peeked.Buffered() > 0 {
		w.peeked.Discard(n)
	} else {
		w.drop(n)
	}
}

// drop takes n octets off what was read ahead.
func (w *wire) drop(n int) {
	if w.rest = w.rest[n:]; len(w.rest) == 0 {
		w.pool.Put(w.ahead)
		w.ahead, w.pool, w.rest = nil, nil, nil
	}
}

// SetReadDeadline does nothing once expire was called.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.final {
		return nil
	}
	return w.Conn.SetReadDeadline(t)
}

// expire sets a read deadline that stays, for a connection that is closing.
func (w *wire) expire(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.final = true
	w.Conn.SetReadDeadline(t)
}

// Write passes the answer to the upgrade. What follows can only be a close frame, since
// the session answers pings itself.
func (w *wire) Write(p []byte) (int, error) {
	if !w.upgraded {
		return w.Conn.Write(p)
	}
	if len(p) >= 4 && p[0] == wsClose {
		w.verdict = &CloseError{Code: Code(binary.BigEndian.Uint16(p[2:])), Reason: string(p[4:])}
	}
	return len(p), nil
}

// SetWriteDeadline keeps the library from setting one beside the writer's.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if !w.upgraded {
		return w.Conn.SetWriteDeadline(t)
	}
	return nil
}

// hijacker hands the connection of a request out as a wire.
type hijacker struct {
	http.ResponseWriter
	wire *wire
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if rw.Reader.Buffered() > 0 {
		conn.Close()
		return nil, nil, errors.New("zws: the client sent data before the answer to its upgrade")
	}
	h.wire.Conn = conn
	h.wire.peeked = bufio.NewReaderSize(h.wire, libraryBuffer)
	return h.wire, bufio.NewReadWriter(h.wire.peeked, rw.Writer), nil
}

// noBuffers gives the library a write buffer only if it ever asks for one; it never does.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// upgrade answers the request with 101 and the subprotocol, if it is not empty. If it
// cannot, the client has been told by an HTTP status.
func upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) (*websocket.Conn, *wire, error) {
	u := websocket.Upgrader{
		WriteBufferPool: noBuffers{},
		CheckOrigin:     func(*http.Request) bool { return true }, // checked before
	}
	if subprotocol != "" {
		u.Subprotocols = []string{subprotocol} // a list of one: the choice is ours
	}
	h := &hijacker{ResponseWriter: w, wire: &wire{}}
	ws, err := u.Upgrade(h, r, nil)
	if err != nil {
		return nil, nil, err
	}
	h.wire.upgraded = true
	limitUnsent(h.wire.Conn)
	return ws, h.wire, nil
}

package zws

import (
	"bufio"
	"encoding/binary"
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
	// busy: the last read filled the library's buffer, so more is likely to wait.
	busy  bool
	ahead *[]byte // pooled; nil unless rest holds something
	rest  []byte  // what was read ahead
}

// readBuffer is the library's buffer. It is small because every connection keeps one.
const readBuffer = 256

// aheads are the buffers of busy connections.
var aheads = sync.Pool{New: func() any {
	b := make([]byte, 16<<10)
	return &b
}}

// Read reads ahead where more waits than the library's buffer takes, so that a busy
// connection needs few system calls while an idle one keeps no large buffer.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		if !w.busy || len(p) > readBuffer {
			n, err := w.Conn.Read(p)
			w.busy = n == len(p) && n <= readBuffer
			return n, err
		}
		if err := w.readAhead(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.rest)
	if w.rest = w.rest[n:]; len(w.rest) == 0 {
		aheads.Put(w.ahead)
		w.ahead, w.rest = nil, nil
	}
	return n, nil
}

func (w *wire) readAhead() error {
	buffer := aheads.Get().(*[]byte)
	n, err := w.Conn.Read(*buffer)
	w.busy = n == len(*buffer)
	if n == 0 {
		aheads.Put(buffer)
		return err
	}
	w.ahead, w.rest = buffer, (*buffer)[:n] // an error comes again with the next read
	return nil
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
	h.wire.Conn = conn
	return h.wire, rw, nil
}

// noBuffers gives the library a write buffer only if it ever asks for one; it never does.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// upgrade answers the request with 101 and the subprotocol, if it is not empty. If it
// cannot, the client has been told by an HTTP status.
func upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) (*websocket.Conn, *wire, error) {
	u := websocket.Upgrader{
		ReadBufferSize:  readBuffer,
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
	return ws, h.wire, nil
}

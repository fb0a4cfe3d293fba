package zws

import (
	"bufio"
	"encoding/binary"
	"net"
	"net/http"
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

// readBuffer is small because every connection keeps one. Larger reads bypass it.
const readBuffer = 256

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

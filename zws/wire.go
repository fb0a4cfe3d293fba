package zws

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// wire is the transport of a connection, below the WebSocket library.
type wire struct {
	net.Conn
	received atomic.Int64 // bytes that were taken as frames, by the library or by takeWhole
	busy     bool         // the last read filled a small buffer; only the reader uses it

	mu    sync.Mutex
	final bool // the read deadline no longer changes
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

// hijacker hijacks the connection of a request for a reader.
type hijacker struct {
	http.ResponseWriter
	reader  *reader
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
	r := h.reader
	r.wire = &wire{Conn: conn}
	r.peeked = bufio.NewReaderSize(r, libraryBuffer)
	return r, bufio.NewReadWriter(r.peeked, rw.Writer), nil
}

// noBuffers keeps the library from allocating a write buffer before it needs one, which it
// never does.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// upgrade answers the request with 101 and the subprotocol, if there is one. If it fails,
// the client was answered with another HTTP status. The reader has a wire with the connection.
func upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) (*reader, error) {
	if err := checkHandshake(w, r); err != nil {
		return nil, err
	}
	u := websocket.Upgrader{
		WriteBufferPool: noBuffers{},
		CheckOrigin:     func(*http.Request) bool { return true }, // checked before
	}
	if subprotocol != "" {
		u.Subprotocols = []string{subprotocol} // only the one that was chosen
	}
	h := &hijacker{ResponseWriter: w, reader: new(reader)}
	u.Error = func(_ http.ResponseWriter, _ *http.Request, status int, _ error) {
		if !h.refused {
			http.Error(w, http.StatusText(status), status)
		}
	}
	ws, err := u.Upgrade(h, r, nil)
	if err != nil {
		return nil, err
	}
	made := h.reader
	made.ws, made.upgraded = ws, true
	ws.SetPingHandler(func(payload string) error { return made.conn.answerPing(payload) })
	ws.SetPongHandler(func(payload string) error { return made.conn.pong(payload) })
	ws.SetCloseHandler(func(int, string) error { return nil }) // Conn.Close answers it
	return made, nil
}

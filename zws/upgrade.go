package zws

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// errNotHandshake is wrapped by errors about requests that RFC 6455, section 4.2.1, does not
// let a server accept.
var errNotHandshake = errors.New("zws: not a WebSocket handshake")

// checkHandshake refuses what the WebSocket library would accept: with 400, because the client
// speaks HTTP.
func checkHandshake(w http.ResponseWriter, r *http.Request) error {
	text := handshakeFault(r)
	if text == "" {
		return nil
	}
	w.Header().Set("Sec-Websocket-Version", "13") // section 4.4
	http.Error(w, text, http.StatusBadRequest)
	return fmt.Errorf("%w: %s", errNotHandshake, text)
}

// handshakeFault returns what is wrong with a request; empty if nothing.
func handshakeFault(r *http.Request) string {
	version, keys := r.Header.Values("Sec-Websocket-Version"), r.Header.Values("Sec-Websocket-Key")
	switch {
	case !r.ProtoAtLeast(1, 1):
		return "a WebSocket handshake needs HTTP/1.1 or later"
	case len(version) != 1 || version[0] != "13":
		return "Sec-WebSocket-Version must be there once and be 13"
	case len(keys) != 1:
		return "Sec-WebSocket-Key must be there once"
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "a WebSocket handshake has no body"
	}
	return ""
}

const earlyText = "data was sent before the answer to the WebSocket handshake\n"

// refuseEarly answers a client that has sent data together with its request, and closes the
// connection. It waits for the client to close first, or the answer could be lost.
func refuseEarly(conn net.Conn, rw *bufio.ReadWriter) error {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lingerTime))
	fmt.Fprintf(rw, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(earlyText), earlyText)
	if rw.Flush() == nil {
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
		io.Copy(io.Discard, conn)
	}
	return fmt.Errorf("%w: the client sent data before the answer", errNotHandshake)
}

package bridge

import "net/http"

// serveFile answers a request that is not a WebSocket handshake. On a route it is not 426,
// which needs the header Upgrade: nginx passes that on by HTTP/2, where it is a protocol error.
func serveFile(w http.ResponseWriter, r *http.Request, static http.Handler, isRoute bool) {
	switch {
	case isRoute:
		text := "this is a ZeroMQ route: connect by WebSocket"
		if r.Header.Get("Sec-Websocket-Key") != "" {
			text += " (a proxy on the way has removed the header Upgrade or Connection)"
		}
		http.Error(w, text, http.StatusBadRequest)
	case static == nil:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "want GET or HEAD", http.StatusMethodNotAllowed)
	default:
		static.ServeHTTP(w, r)
	}
}

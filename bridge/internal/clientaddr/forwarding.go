package clientaddr

import (
	"fmt"
	"net/http"
	"strings"
)

// way is what forwarding headers say: the clients of each proxy on the way, nearest last,
// and the protocols by which they were reached.
type way struct {
	header  string // that names the clients, for errors
	clients []string
	protos  []string
}

// forwarding reads the forwarding headers of a trusted proxy. Those with X- count before
// Forwarded, which such a proxy would have to remove itself.
func forwarding(h http.Header) (way, error) {
	if h.Get("X-Forwarded-For") != "" || h.Get("X-Forwarded-Proto") != "" || h.Get("Forwarded") == "" {
		return way{"X-Forwarded-For", list(h, "X-Forwarded-For"), list(h, "X-Forwarded-Proto")}, nil
	}
	w := way{header: "Forwarded"}
	for _, element := range list(h, "Forwarded") {
		if err := w.add(element); err != nil {
			return way{}, err
		}
	}
	return w, nil
}

// add reads one element of Forwarded (RFC 7239, section 4). An element without proto means
// that the protocol is not known.
func (w *way) add(element string) error {
	proto := ""
	for pair := range strings.SplitSeq(element, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			return fmt.Errorf("element %.64q of Forwarded: want NAME=VALUE pairs", element)
		}
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "for":
			w.clients = append(w.clients, value)
		case "proto":
			proto = value
		}
	}
	w.protos = append(w.protos, proto)
	return nil
}

// secure reports whether every proxy on the way was reached by TLS: Traefik says wss for
// WebSockets, and chains of proxies list one protocol each.
func (w *way) secure() bool {
	for _, p := range w.protos {
		if !strings.EqualFold(p, "https") && !strings.EqualFold(p, "wss") {
			return false
		}
	}
	return len(w.protos) > 0
}

// list returns the entries of a header that is a comma-separated list. An empty header is an
// empty list, and empty entries in it are left out.
func list(h http.Header, name string) []string {
	var entries []string
	for _, value := range h.Values(name) {
		for entry := range strings.SplitSeq(value, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

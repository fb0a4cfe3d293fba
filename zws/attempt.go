package zws

import (
	"errors"
	"net/http"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Attempt is what a client claims about itself, as far as it has come, before its login is judged
// and if it is refused. Nothing of it is verified.
type Attempt struct {
	// Dialect is the subprotocol that was chosen, or else the first known one that was offered.
	// It is empty where only unknown ones were: a page may have put its token there.
	Dialect string
	// Mechanism and Credentials are as in Login, and the credentials are as secret. Mechanism is
	// empty if the client has not come so far.
	Mechanism   zap.Mechanism
	Credentials [][]byte
}

// offered fills in Attempt for a client that may not come as far as the choice of a dialect.
func (o *Options) offered(r *http.Request) {
	if o.Attempt == nil {
		return
	}
	*o.Attempt = Attempt{Dialect: Offered(r)}
}

// Offered returns the first known subprotocol that a request offers, empty if there is none.
func Offered(r *http.Request) string {
	for _, f := range offers(r) {
		if f.dialect != nil {
			return f.name
		}
	}
	return ""
}

// attempted fills in Options.Attempt. err is why the client was refused, or nil.
func (h *handshake) attempted(err error) {
	a := h.options.Attempt
	if a == nil {
		return
	}
	*a = Attempt{Dialect: h.chosen.name, Mechanism: h.login.Mechanism, Credentials: h.credentials.frames}
	if refused, ok := errors.AsType[*zmtp.RefusedError](err); ok && refused.Peer != nil && len(a.Credentials) == 0 {
		a.Credentials = refused.Peer.Credentials
	}
	if len(a.Credentials) == 0 { // the mechanism has them
		a.Credentials = h.login.Credentials
	}
}

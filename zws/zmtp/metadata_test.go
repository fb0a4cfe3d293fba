package zmtp

import (
	"context"
	"errors"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestProperties checks that metadata from Options.Properties reaches the peer, and its errors.
func TestProperties(t *testing.T) {
	deferred := func(m zap.Metadata, err error) Options {
		return Options{Properties: func(context.Context) (zap.Metadata, error) { return m, err }}
	}
	dealer := zap.Metadata{{Name: "Socket-Type", Value: "DEALER"}, {Name: "Identity", Value: "panel"}}
	router := zap.Metadata{{Name: "Socket-Type", Value: "ROUTER"}}
	broken, anyError := errors.New("unknown socket"), errors.New("any")
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			c, s, err := overPipe(t, l, deferred(dealer, nil), deferred(router, nil))
			if err != nil {
				t.Fatal(err)
			}
			if p := s.Peer(); p.SocketType() != DEALER || string(p.RoutingID()) != "panel" || c.Peer().SocketType() != ROUTER {
				t.Errorf("the server sees %v, the client %v", p.Metadata, c.Peer().Metadata)
			}
			exchange(t, c, s, []Message{{[]byte("a"), []byte("b")}})

			for name, test := range map[string]struct {
				client, server Options
				want           error
			}{
				"error of the client":                        {deferred(nil, broken), deferred(router, nil), broken},
				"error of the server":                        {deferred(dealer, nil), deferred(nil, broken), broken},
				"client without a type":                      {deferred(nil, nil), deferred(router, nil), anyError},
				"metadata that cannot be sent":               {deferred(zap.Metadata{{Name: ""}}, nil), deferred(router, nil), anyError},
				"types that do not go together":              {deferred(router, nil), deferred(zap.Metadata{{Name: "Socket-Type", Value: "PUB"}}, nil), aSocketTypeError},
				"types that do not go together, server only": {Options{SocketType: SUB}, deferred(router, nil), aSocketTypeError},
			} {
				_, _, err := overPipe(t, l, test.client, test.server)
				if err == nil || test.want != anyError && !wants(err, test.want) {
					t.Errorf("%s: %v, want %v", name, err, test.want)
				}
			}
		})
	}
}

package zmtp

import (
	"context"
	"errors"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestProperties: what is known late arrives as what is known from the start.
func TestProperties(t *testing.T) {
	late := func(m zap.Metadata, err error) Options {
		return Options{Properties: func(context.Context) (zap.Metadata, error) { return m, err }}
	}
	dealer := zap.Metadata{{Name: "Socket-Type", Value: "DEALER"}, {Name: "Identity", Value: "panel"}}
	router := zap.Metadata{{Name: "Socket-Type", Value: "ROUTER"}}
	broken, anyError := errors.New("no idea what I am"), errors.New("any")
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			c, s, err := overPipe(t, l, late(dealer, nil), late(router, nil))
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
				"client cannot tell":          {late(nil, broken), late(router, nil), broken},
				"server cannot tell":          {late(dealer, nil), late(nil, broken), broken},
				"client of no type":           {late(nil, nil), late(router, nil), anyError},
				"metadata that are not sent":  {late(zap.Metadata{{Name: ""}}, nil), late(router, nil), anyError},
				"types that do not fit":       {late(router, nil), late(zap.Metadata{{Name: "Socket-Type", Value: "PUB"}}, nil), aSocketTypeError},
				"types that do not fit, both": {Options{SocketType: SUB}, late(router, nil), aSocketTypeError},
			} {
				_, _, err := overPipe(t, l, test.client, test.server)
				if err == nil || test.want != anyError && !wants(err, test.want) {
					t.Errorf("%s: %v, want %v", name, err, test.want)
				}
			}
		})
	}
}

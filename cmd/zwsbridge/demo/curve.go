package demo

import (
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
	"github.com/zwsbridge/zwsbridge/zws/zmtp/zmq4transport"
)

// NewHouse opens the sockets of a resident's house on free ports of 127.0.0.1. They are
// CURVE servers that accept only the bridge's key. The caller calls [House.Run], which
// closes them. A house can be created once per process, because zmq4 cannot unregister the
// transport that has its key.
func (h *Home) NewHouse(ctx context.Context, name string) (*House, error) {
	cert := h.Houses[name]
	scheme := fmt.Sprintf("curve-%x", cert.Public[:8])
	err := zmq4transport.Register(scheme, zmq4transport.Options{
		Mechanism: zap.CURVE,
		Server: zmtp.ServerSecurity{
			Handler:     allowKey(h.Bridge.Public),
			Domain:      "house",
			CurvePublic: cert.Public,
			CurveSecret: cert.Secret,
		},
	})
	if err != nil {
		return nil, err
	}
	return newHouse(ctx, name, scheme+"://127.0.0.1:0")
}

// allowKey returns a handler that accepts clients with this CURVE key (27/ZAP).
func allowKey(key [certs.KeySize]byte) zap.Handler {
	return zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
		if req.Mechanism == zap.CURVE && len(req.Credentials) == 1 && string(req.Credentials[0]) == string(key[:]) {
			return &zap.Reply{Status: zap.OK, UserID: "bridge"}, nil
		}
		return &zap.Reply{Status: zap.Refused, Text: "not the bridge's key"}, nil
	})
}

package anonymous

import (
	"errors"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

func TestAuthenticate(t *testing.T) {
	a := New()
	reply, err := a.Authenticate(t.Context(), &zap.Request{Mechanism: zap.NULL})
	if err != nil || reply.Status != zap.OK || reply.UserID != "" {
		t.Errorf("NULL: reply %v, error %v", reply, err)
	}
	for _, m := range []zap.Mechanism{zap.PLAIN, zap.CURVE, zap.BEARER, zap.TLS, "", "null"} {
		if reply, err := a.Authenticate(t.Context(), &zap.Request{Mechanism: m}); !errors.Is(err, zap.ErrPass) {
			t.Errorf("%q: reply %v, error %v, want a pass", m, reply, err)
		}
	}
}

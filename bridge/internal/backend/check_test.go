package backend

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string // a part of the text
	}{
		{newError(1, fmt.Errorf("%w: %w", zmtp.ErrUnreachable, syscall.ECONNREFUSED)), "bound to this port"},
		{newError(1, zmtp.ErrUnreachable), "firewalls"},
		{newError(1, zmtp.ErrClosedBeforeWelcome), "server_key"},
		{newError(1, &zmtp.RefusedError{Status: zap.Refused}), "credentials"},
		{newError(1, &zmtp.MechanismError{Want: zap.CURVE, Got: zap.NULL}), "mechanism of the route"},
		{newError(1, zmtp.ErrHandshakeTimeout), "not be a ZeroMQ socket"},
	} {
		if got := Check(tt.err); !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q, want %q in it", tt.err, got, tt.want)
		}
	}
	if got := Check(zmtp.ErrSilent); got != "" {
		t.Errorf("of a backend that is silent: %q", got)
	}
}

package conn

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCloseCause covers each kind of backend error, and what closeCause leaves alone.
func TestCloseCause(t *testing.T) {
	failed := func(kind backend.Kind, err error) error {
		return fmt.Errorf("wrapped: %w", &backend.Error{Position: 2, Kind: kind, Err: err})
	}
	own := &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "not here", Err: failed(backend.KindRefused, io.EOF)}
	tooMany := &zws.CloseError{Code: zws.CodeTooMany, Reason: "too many attempts"}
	for _, tt := range []struct {
		err    error
		code   zws.Code
		status zap.Status
		reason string
	}{
		{failed(backend.KindUnreachable, zmtp.ErrUnreachable), 4503, 0, "backend 2 cannot be reached"},
		{failed(backend.KindUnreachable, zmtp.ErrClosedBeforeGreeting), 4503, 0, "backend 2 cannot be reached: " + zmtp.ErrClosedBeforeGreeting.Error()},
		{failed(backend.KindUnreachable, zmtp.ErrClosedDuringLogin), 4503, 0, "backend 2 cannot be reached: " + zmtp.ErrClosedDuringLogin.Error()},
		{&backend.Error{Kind: backend.KindUnreachable, Err: zmtp.ErrUnreachable}, 4503, 0, "no backend is connected"},
		{failed(backend.KindLost, io.EOF), 4503, 0, "backend 2 was lost: log in there again"},
		{failed(backend.KindTimeout, zmtp.ErrHandshakeTimeout), 4504, 0, "backend 2 did not answer the login in time"},
		{failed(backend.KindCanceled, io.EOF), 1001, 0, "shutting down"},
		{failed(backend.KindRefused, &zmtp.RefusedError{Status: 400}), 4502, 400, "backend 2 refused the login (400)"},
		{failed(backend.KindRefused, &zmtp.RefusedError{Status: 500}), 4502, 500, "backend 2 refused the login (500)"},
		{failed(backend.KindRefused, &zmtp.RefusedError{Reason: "a secret"}), 4502, 400, "backend 2 refused the login (400)"},
		{failed(backend.KindRefused, &zmtp.MechanismError{Want: zap.CURVE, Got: zap.NULL}), 4502, 400, "backend 2: want CURVE, peer speaks NULL"},
		{failed(backend.KindRefused, &zmtp.SocketTypeError{Ours: "SUB", Peer: "REP"}), 4502, 400, "backend 2: a SUB socket cannot talk to a REP peer"},
		{failed(backend.KindRefused, &zmtp.SocketTypeError{Ours: "SUB", Peer: "\x1b[31mPUB"}), 4502, 400, `backend 2: a SUB socket cannot talk to a peer of unknown type "\x1b[31mPUB"`},
		{failed(backend.KindRefused, zmtp.ErrNotZMTP), 4502, 400, "backend 2: the peer does not speak ZMTP"},
		{failed(backend.KindRefused, zmtp.ErrVersion), 4502, 400, "backend 2: " + zmtp.ErrVersion.Error()},
		{failed(backend.KindRefused, zmtp.ErrClosedDuringLogin), 4502, 400, "backend 2: " + zmtp.ErrClosedDuringLogin.Error()},
		{failed(backend.KindRefused, fmt.Errorf("10.0.0.7: %w", zmtp.ErrClosedBeforeWelcome)), 4502, 400, "backend 2: " + zmtp.ErrClosedBeforeWelcome.Error()},
		{failed(backend.KindRefused, zmtp.ErrClosedAfterWelcome), 4502, 400, "backend 2: closed after WELCOME, without ERROR"},
		{failed(backend.KindRefused, errors.New("10.0.0.7")), 4502, 400, "backend 2 did not accept the login"},
		{own, 4403, 400, "not here"},
		{failed(backend.KindRefused, tooMany), 4429, 0, "too many attempts"},
		{zmtp.ErrHandshakeTimeout, 4408, 0, "the handshake was not completed in time"},
		{backend.ErrLockStep, 1002, 0, backend.ErrLockStep.Error()},
	} {
		err := closeCause(tt.err)
		if cause := zws.Cause(err); cause.Code != tt.code || cause.Status != tt.status || cause.Reason != tt.reason {
			t.Errorf("%v: %d, status %d, %q; want %d, %d, %q", tt.err, cause.Code, cause.Status, cause.Reason, tt.code, tt.status, tt.reason)
		}
	}
	if closeCause(nil) != nil {
		t.Error("nil becomes an error")
	}
}

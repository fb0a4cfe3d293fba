package backend

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestKind checks how failed attempts to connect are classified.
func TestKind(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{&zmtp.RefusedError{Status: 300}, KindRefused},
		{&zmtp.MechanismError{}, KindRefused},
		{&zmtp.SocketTypeError{}, KindRefused},
		{zmtp.ErrNotZMTP, KindRefused},
		{zmtp.ErrVersion, KindRefused},
		{zmtp.ErrProtocol, KindRefused},
		{zmtp.ErrClosedBeforeWelcome, KindRefused},
		{zmtp.ErrClosedAfterWelcome, KindRefused},
		{zmtp.ErrClosedBeforeGreeting, KindUnreachable},
		{zmtp.ErrClosedDuringLogin, KindUnreachable},
		{zmtp.ErrUnreachable, KindUnreachable},
		{zmtp.ErrHandshakeTimeout, KindTimeout},
		{context.DeadlineExceeded, KindTimeout},
		{context.Canceled, KindCanceled},
		{errors.New("PLAIN password of 300 bytes"), KindRefused},
	} {
		if got := newError(2, fmt.Errorf("10.0.0.7: %w", tt.err)); got.Kind != tt.want || got.Position != 2 {
			t.Errorf("%v: kind %d at %d, want %d at 2", tt.err, got.Kind, got.Position, tt.want)
		}
	}
}

package route

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// TestFailingLevels: a backend that cannot be reached is one warning, however often it is tried, and a
// note when it is back.
func TestFailingLevels(t *testing.T) {
	const debug, info, warn = slog.LevelDebug, slog.LevelInfo, slog.LevelWarn
	var f failing
	down := errors.New("connection refused")
	for i, step := range []struct {
		state      backend.State
		reconnects int
		err        error
		want       slog.Level
	}{
		{backend.Connecting, 0, nil, debug},
		{backend.Waiting, 0, down, warn},
		{backend.Connecting, 0, down, debug},
		{backend.Waiting, 0, errors.New("connection refused: from another port"), debug},
		{backend.Connecting, 0, down, debug},
		{backend.Refused, 0, down, warn},
		{backend.Refused, 0, down, debug},
		{backend.Connected, 0, nil, info},
		{backend.Connected, 0, nil, debug},
		{backend.Waiting, 0, nil, debug}, // either side just closed it
		{backend.Connected, 1, nil, info},
		{backend.Waiting, 1, down, warn},
		{backend.Gone, 1, nil, debug},
		{backend.Waiting, 0, down, warn},
	} {
		if got := f.level(backend.Status{Address: "a", State: step.state, Reconnects: step.reconnects, Err: step.err}); got != step.want {
			t.Errorf("step %d, %v: %v, want %v", i, step.state, got, step.want)
		}
	}
	for n := range 2 * maxFailing {
		f.level(backend.Status{Address: fmt.Sprint(n), State: backend.Waiting, Err: down})
	}
	if len(f.states) != maxFailing {
		t.Errorf("%d endpoints are known, want %d", len(f.states), maxFailing)
	}
}

package accept

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/bridge/internal/repeat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record keeps what a gate counts and logs.
type record struct {
	mu      sync.Mutex
	refused []string
	failed  int
	stalls  chan struct{}
	log     strings.Builder
	repeats repeat.Limiter
}

func (r *record) Refused(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, reason)
}

func (r *record) AcceptFailed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
}

func (r *record) Stalled() { r.stalls <- struct{}{} }

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

// lines returns the lines of the log so far.
func (r *record) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Split(strings.TrimSuffix(r.log.String(), "\n"), "\n")
}

// newGate returns a gate and what it records.
func newGate(l Limits) (*Gate, *record) {
	r := &record{stalls: make(chan struct{}, 1000)}
	g := New(Options{
		Name: "test", Log: slog.New(r.repeats.Handler(slog.NewTextHandler(r, nil))), Metrics: r,
		Refused: func(netip.Addr, Reason) {},
	})
	g.SetLimits(l)
	return g, r
}

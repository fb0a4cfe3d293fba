package zws

import (
	"fmt"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

// Poller waits for what idle clients send, so that none of them needs a goroutine. All
// connections of a server share one. It is safe for concurrent use. Close ends it; all connections
// that use it must be closed before.
type Poller = poll.Poller

// NewPoller returns a Poller, which the caller closes. On systems without epoll the error
// wraps errors.ErrUnsupported; connections can do without.
func NewPoller() (*Poller, error) {
	p, err := poll.New()
	if err != nil {
		return nil, fmt.Errorf("zws: %w", err)
	}
	return p, nil
}

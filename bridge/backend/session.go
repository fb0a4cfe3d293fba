package backend

import (
	"context"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// session is one client's side of a socket; it is the Socket that Attach returns.
type session struct {
	core   *core
	number string // its envelope on shared DEALER and REQ sockets

	// turn is held while the receiver runs: one peer at a time has its turn.
	turn     sync.Mutex
	receiver Receiver
	deaf     bool // guarded by turn: receives nothing any more

	// Guarded by core.mu.
	closed bool
	asking bool  // REQ: the reply is due
	asked  *peer // REQ: from whom, once the request was given to one
	topics map[string]struct{}
	mark   uint64
}

// message gives m to the receiver. It takes the turn and must be called without core.mu.
func (x *session) message(m zmtp.Message) {
	x.turn.Lock()
	defer x.turn.Unlock()
	x.receive(m)
}

// receive is message for a caller that holds the turn.
func (x *session) receive(m zmtp.Message) {
	if !x.deaf && x.receiver.Message(m) != nil {
		x.deaf = true
	}
}

// flush tells the receiver that nothing more is at hand.
func (x *session) flush() {
	x.turn.Lock()
	defer x.turn.Unlock()
	if !x.deaf {
		x.receiver.Flush()
	}
}

// Send implements [Socket].
func (x *session) Send(ctx context.Context, msgs ...zmtp.Message) error {
	return x.core.send(ctx, x, msgs)
}

// Close implements [Socket]: it leaves the shared socket, which stays open. What the
// session has sent is still written.
func (x *session) Close() error {
	x.core.detach(x)
	return nil
}

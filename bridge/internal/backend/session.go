package backend

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// session is one client's side of a socket; it is the Socket that Attach returns.
type session struct {
	core     *core
	envelope []byte // its number, on shared sockets

	// turn is taken by sending to it and held over calls of the receiver. Channels serve
	// those who wait in the order in which they came, which makes the queue fair.
	turn     chan struct{}
	receiver Receiver
	deaf     bool // guarded by turn: receives nothing any more

	// Guarded by core.mu.
	closed bool
	asking bool  // REQ: the reply is due
	asked  *peer // REQ: from whom, once the request was given to one
	// PUB: the peers' subscriptions that it has not received yet, by topic, and whether a
	// goroutine delivers them.
	news      map[string]news
	informing bool
}

func newSession(c *core, r Receiver, envelope []byte) *session {
	return &session{core: c, receiver: r, envelope: envelope, turn: make(chan struct{}, 1)}
}

// receive gives m to the receiver, unless that takes nothing any more: turn held.
func (x *session) receive(m zmtp.Message) (taken bool) {
	if !x.deaf && x.receiver.Message(m) != nil {
		x.deaf = true
	}
	return !x.deaf
}

// flush tells the receiver that nothing more is at hand: turn held.
func (x *session) flush() {
	if !x.deaf {
		x.receiver.Flush()
	}
}

// Subscribe implements [Socket].
func (x *session) Subscribe(_ context.Context, topics ...[]byte) error {
	return x.core.subscribe(x, topics, false)
}

// Unsubscribe implements [Socket].
func (x *session) Unsubscribe(_ context.Context, topics ...[]byte) error {
	return x.core.subscribe(x, topics, true)
}

// Status implements [Socket]: the connections are those of the shared socket.
func (x *session) Status() []Status { return nil }

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

package backend

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// stream is one client's side of a socket. It is the Socket that Attach returns.
type stream struct {
	core *core
	o    AttachOptions

	// turn is taken by sending to it, and held during calls of the receiver. Goroutines that
	// wait for a channel are served in the order in which they came, which makes receiving
	// fair.
	turn     chan struct{}
	receiver Receiver
	deaf     bool // receives nothing any more; guarded by turn

	// Guarded by core.mu.
	closed    bool
	number    uint64 // a new one with each Recheck
	envelopes map[*peer][]byte
	question  question // REQ
	// PUB: the peers' subscriptions that it has not received yet, by topic, and whether a
	// goroutine delivers them.
	news      map[string]news
	informing bool
}

func newStream(c *core, r Receiver, o AttachOptions) *stream {
	return &stream{core: c, o: o, receiver: r, turn: make(chan struct{}, 1)}
}

// receive gives m to the receiver and reports whether it was taken. Turn held on entry.
func (st *stream) receive(m zmtp.Message) (taken bool) {
	if !st.deaf && st.receiver.Message(m) != nil {
		st.deaf = true
	}
	return !st.deaf
}

// flush calls the receiver's Flush. Turn held on entry.
func (st *stream) flush() {
	if !st.deaf {
		st.receiver.Flush()
	}
}

// Subscribe implements [Socket].
func (st *stream) Subscribe(_ context.Context, topics ...[]byte) error {
	return st.core.subscribe(st, topics, false)
}

// Unsubscribe implements [Socket].
func (st *stream) Unsubscribe(_ context.Context, topics ...[]byte) error {
	return st.core.subscribe(st, topics, true)
}

// Send implements [Socket].
func (st *stream) Send(ctx context.Context, msgs ...zmtp.Message) error {
	return st.core.send(ctx, st, msgs)
}

// Status implements [Socket]: the connections belong to the shared socket.
func (st *stream) Status() []Status { return nil }

// Recheck implements [Socket].
func (st *stream) Recheck() { st.core.recheck(st) }

// Close implements [Socket]: the stream leaves the shared socket, which stays open. What it
// has sent is still written.
func (st *stream) Close() error {
	st.core.detach(st)
	return nil
}

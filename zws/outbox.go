package zws

import (
	"context"
	"errors"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// outboxSize is how many bytes may wait in an outbox before Send does.
const outboxSize = 64 << 10

// outbox is the Source of a channel whose caller uses Send.
type outbox struct {
	mu       sync.Mutex
	messages []zmtp.Message
	size     int64
	room     chan struct{} // closed when there is room again; nil if nobody waits
}

var errEmptyMessage = errors.New("zws: a message needs at least one frame")

// Send queues m for the client. It is for callers that have no Source of their own and must
// not be used together with Attach. It waits while 64 KiB or more are queued, until ctx or
// the channel ends; the error is then that of ctx, or the channel's cause, a *CloseError.
// A nil error does not mean that the client has received m. The frames of m must not be
// changed afterwards. Any number of goroutines may call it.
func (ch *Channel) Send(ctx context.Context, m zmtp.Message) error {
	if len(m) == 0 {
		return errEmptyMessage
	}
	o := ch.outbox.Load()
	if o == nil {
		if o = new(outbox); ch.outbox.CompareAndSwap(nil, o) {
			ch.Attach(o)
		} else {
			o = ch.outbox.Load()
		}
	}
	for {
		room := o.put(m)
		if room == nil {
			ch.Wake()
			if cause := ch.Cause(); cause != nil {
				return cause
			}
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ch.Context().Done():
			return ch.Cause()
		}
	}
}

// put queues m, or returns a channel that is closed when there is room.
func (o *outbox) put(m zmtp.Message) (room <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size >= outboxSize {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		return o.room
	}
	o.messages = append(o.messages, m)
	o.size += int64(m.Size())
	return nil
}

// Next implements Source.
func (o *outbox) Next(b *Batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.messages) && !b.Full() {
		o.size -= int64(o.messages[n].Size())
		_ = b.Message(o.messages[n], nil) // an error ends the connection
		n++
	}
	clear(o.messages[:n])
	if o.messages = o.messages[n:]; len(o.messages) == 0 {
		o.messages = nil // an idle channel keeps no buffer
	}
	if o.room != nil && o.size < outboxSize {
		close(o.room)
		o.room = nil
	}
}

package backend

import (
	"github.com/zwsbridge/zwsbridge/internal/poll"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file is about connections that a poller reads: an idle one has neither a goroutine nor a
// buffer, and one of the poller's goroutines passes on what has arrived for many, without waiting.

// Roomy is a Receiver that can say beforehand whether it will wait. A poller's goroutine calls only
// those.
type Roomy interface {
	Receiver
	// Room reports whether Message and Flush will not wait for so many messages of so many bytes
	// together.
	Room(messages int, bytes int64) bool
}

// maxPolledMessages limits a turn in a poller's goroutine, maxPolledBytes is how long it is at most,
// beside what was collected before: it ends with what is Buffered.
const (
	maxReads          = 4 // after which a peer that sends without pause has a goroutine to itself
	maxPolledMessages = 64
	maxPolledBytes    = zmtp.DefaultReadBuffer
)

// watch has the poller read p. It returns false if it cannot. ended is called in the end, in a
// goroutine of its own, with what read would have returned.
func (p *peer) watch(poller *poll.Poller, ended func(error)) bool {
	socket := p.conn.Socket()
	if socket == nil {
		return false
	}
	_, err := poller.Watch(socket, func(w *poll.Watch) (more bool) {
		if !p.polled {
			p.polled = true
			p.conn.Polled(w.Wake, w.Yield)
		}
		err := p.arrived(w)
		if err != nil {
			go ended(err)
		}
		return err == nil
	})
	return err == nil
}

// arrived handles what has arrived. An error is final.
func (p *peer) arrived(w *poll.Watch) error {
	more := true
	for reads := 0; ; reads++ {
		if reads > maxReads {
			w.Yield()
		}
		for p.conn.Buffered() {
			if err := p.readPolled(w); err != nil {
				return err
			}
		}
		if p.conn.Partial() {
			w.Detach()
			if err := p.readPolled(w); err != nil {
				return err
			}
			continue
		}
		if !more {
			p.conn.Idle()
			return nil
		}
		var err error
		if more, err = p.conn.Poll(); err != nil {
			return err
		}
	}
}

// readPolled reads one frame.
func (p *peer) readPolled(w *poll.Watch) error {
	if p.current == nil && !p.seated() {
		w.Yield()
	}
	if err := p.readFrame(); err != nil {
		p.core.received.Add(uint64(p.messages))
		return err
	}
	if p.messages >= maxPolledMessages || !p.conn.Buffered() {
		p.endTurn()
	}
	return nil
}

// seated takes p's turn at the stream, and reports whether it has it and nothing will wait in it.
func (p *peer) seated() bool {
	switch p.core.o.SocketType {
	case zmtp.DEALER, zmtp.REQ, zmtp.PAIR, zmtp.PULL, zmtp.SUB:
	default:
		return false
	}
	st := p.core.only.Load()
	if st == nil {
		return false
	}
	r, ok := st.receiver.(Roomy)
	if !ok {
		return false
	}
	select {
	case st.turn <- struct{}{}:
		p.current = st
	default:
		return false
	}
	return r.Room(maxPolledMessages, maxPolledBytes+int64(len(p.body)))
}

// start begins serve, and reports whether p is to be read; otherwise it is closed.
func (c *core) start(p *peer, joined func()) bool {
	if !c.join(p) {
		_ = p.conn.Close()
		return false
	}
	joined()
	return true
}

// finish ends serve after p was read to the end.
func (c *core) finish(p *peer) {
	p.flush()
	_ = p.conn.Close()
	c.leave(p)
}

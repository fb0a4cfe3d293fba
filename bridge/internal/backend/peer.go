package backend

import (
	"errors"
	"runtime"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// How much one write takes at most.
const (
	maxBatch       = 4096
	maxBatchOctets = 64 << 10
)

// How much a peer's turn brings at most before the session is flushed, however much more
// is at hand.
const (
	maxTurn       = 1000
	maxTurnOctets = 64 << 10
)

// maxScratch is how much memory for messages of several frames a peer keeps, in octets.
const maxScratch = 64 << 10

// item is one message or subscription that waits to be written.
type item struct {
	m    zmtp.Message // of a subscription: its topic
	x    *session     // that sent it; nil for subscriptions
	kind itemKind
}

// itemKind is what an item is.
type itemKind uint8

const (
	messageItem itemKind = iota
	subscribeItem
	unsubscribeItem
)

// peer is one connection that is logged in, with what waits to be written to it.
type peer struct {
	core *core
	conn *zmtp.Conn

	// Guarded by core.mu.
	status  Status
	queue   []item // waits
	batch   []item // is being written
	octets  int64  // of both
	writing bool   // a writer runs
	broken  bool   // a write failed: nothing is to be queued any more
	id      string // its routing id (ROUTER)
	last    *session
	topics  map[string]struct{} // its subscriptions (PUB)
	mark    uint64

	// The writer's alone.
	out []zmtp.Message

	// The reader's alone.
	body    []byte // the frames of an incomplete message
	ends    []int
	frames  zmtp.Message
	prefix  zmtp.Message
	targets []*session
	touched *session // whose turn it holds
}

// full tells that nothing more may be queued: lock held.
func (p *peer) full() bool {
	n := len(p.queue) + len(p.batch)
	o := &p.core.o
	return p.broken || n > 0 && (n >= o.HighWaterMark || p.octets >= o.HighWaterBytes)
}

// push queues a message and starts the writer if none runs: lock held.
func (p *peer) push(it item) {
	p.queue = append(p.queue, it)
	p.octets += int64(it.m.Size())
	if p.writing || p.broken {
		return
	}
	p.writing = true
	if p.core.inline {
		p.core.writer = p
		return
	}
	p.core.running.Go(func() {
		runtime.Gosched() // sessions that are about to send do so first: one write for all
		p.write()
	})
}

// write writes what is queued until nothing is left. At most one goroutine does so.
func (p *peer) write() {
	c := p.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(p.queue) > 0 && !p.broken {
		p.take()
		c.mu.Unlock()
		n, err := c.pattern.write(p)
		clear(p.out)
		c.mu.Lock()
		p.settle(n, err)
	}
	p.writing = false
	c.changed.Broadcast()
}

// take moves what one write takes from queue to batch and out: lock held.
func (p *peer) take() {
	n, octets := 0, 0
	p.out = p.out[:0]
	for n < len(p.queue) && n < maxBatch && octets < maxBatchOctets {
		m := p.queue[n].m
		p.out = append(p.out, m)
		octets += m.Size()
		n++
	}
	if n == len(p.queue) {
		p.queue, p.batch = p.batch[:0], p.queue
		return
	}
	p.batch = append(p.batch[:0], p.queue[:n]...)
	rest := copy(p.queue, p.queue[n:])
	clear(p.queue[rest:])
	p.queue = p.queue[:rest]
}

// settle notes what of the batch was written, n messages. The rest of a failed write goes
// back to the front of the queue, from where the socket gives it to another peer: lock
// held.
func (p *peer) settle(n int, err error) {
	c := p.core
	for _, it := range p.batch[:n] {
		p.octets -= int64(it.m.Size())
	}
	c.stats.Sent += uint64(n)
	if err != nil {
		p.broken = true
		p.queue = append(append([]item(nil), p.batch[n:]...), p.queue...)
		_ = p.conn.Close() // the reader notices and takes the peer out
	}
	clear(p.batch)
	p.batch = p.batch[:0]
	if err == nil {
		c.pattern.roomy(p)
		c.wakeSenders()
	}
}

// read hands every message to the pattern until the connection fails.
func (p *peer) read() error {
	messages, octets := 0, 0 // since the last flush
	defer func() { p.core.received.Add(uint64(messages)) }()
	for {
		f, err := p.conn.ReadFrame()
		if err != nil {
			return err
		}
		if m := p.message(f); m != nil {
			if err := p.core.pattern.receive(p, m); err != nil {
				return err
			}
			messages++
			octets += m.Size()
		}
		if messages >= maxTurn || octets >= maxTurnOctets || !p.conn.Buffered() {
			p.flush()
			p.core.received.Add(uint64(messages))
			messages, octets = 0, 0
		}
	}
}

// message collects frames and returns the message once it is whole, valid until the next
// call. Only a message of several frames is copied.
func (p *peer) message(f zmtp.Frame) zmtp.Message {
	if !f.More && len(p.ends) == 0 {
		p.frames = append(p.frames[:0], f.Body)
		return p.frames
	}
	if len(p.ends) == 0 && cap(p.body) > maxScratch {
		p.body = nil
	}
	if len(p.ends) == 0 {
		p.body = p.body[:0]
	}
	p.body = append(p.body, f.Body...)
	p.ends = append(p.ends, len(p.body))
	if f.More {
		return nil
	}
	p.frames = p.frames[:0]
	start := 0
	for _, end := range p.ends {
		p.frames = append(p.frames, p.body[start:end:end])
		start = end
	}
	p.ends = p.ends[:0]
	return p.frames
}

// deliver hands m to a session, in p's turn there, which lasts until p is flushed. Only
// the reader calls it, without a lock.
func (p *peer) deliver(x *session, m zmtp.Message) {
	p.turn(x)
	x.receive(m)
}

// turn waits for p's turn at x.
func (p *peer) turn(x *session) {
	if p.touched == x {
		return
	}
	p.flush()
	x.turn <- struct{}{}
	p.touched = x
}

// flush tells the session that got messages last that no more are at hand, and lets the
// next peer have its turn there. The reader does so before it waits for anything.
func (p *peer) flush() {
	if x := p.touched; x != nil {
		x.flush()
		p.touched = nil
		<-x.turn
	}
}

// writeAll writes messages and tells how many were written whole.
func writeAll(conn *zmtp.Conn, msgs []zmtp.Message) (int, error) {
	err := conn.Write(msgs...)
	if err == nil {
		return len(msgs), nil
	}
	if cut, ok := errors.AsType[*zmtp.WriteError](err); ok {
		return cut.Written, err
	}
	return 0, err
}

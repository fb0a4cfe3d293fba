package backend

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The limits of one write.
const (
	maxBatchMessages = 4096
	maxBatchBytes    = 64 << 10
)

// The limits of a peer's turn, after which the stream is flushed even if more is available.
const (
	maxTurnMessages = 1000
	maxTurnBytes    = 64 << 10
)

// maxScratch limits the memory that a peer keeps for messages of several frames, in bytes.
const maxScratch = 64 << 10

// item is one message or subscription that waits to be written.
type item struct {
	m      zmtp.Message // of a subscription: its topic
	st     *stream      // that sent it; nil for subscriptions
	kind   itemKind
	number uint32 // of a request of a REQ
}

// replaced reports that the item is a request that its stream has replaced by a newer one.
func (it *item) replaced() bool { return it.number > 0 && it.number != it.st.question.number }

// itemKind is what an item is.
type itemKind uint8

const (
	messageItem itemKind = iota
	subscribeItem
	unsubscribeItem
)

// peer is one connection after its handshake, with what waits to be written to it.
type peer struct {
	core *core
	conn *zmtp.Conn
	// endpoint is whose connection it is if it is left to a poller while it is idle; nil otherwise.
	endpoint *endpoint

	draining   atomic.Bool  // is to be closed soon: nothing new may be sent to it
	unanswered atomic.Int64 // messages that were given to it and not answered

	// Of inbound peers.
	rights PeerRights // nil permits everything
	owner  owner
	via    *listening // guarded by core.mu

	// Guarded by core.mu.
	status     Status
	queue      []item              // waits
	batch      []item              // is being written
	bytes      int64               // of both
	writing    bool                // a writer runs
	broken     bool                // a write has failed: nothing may be queued any more
	gone       bool                // has left
	askers     map[string]*stream  // by the envelope that it knows them by
	held       held                // it sent them and no stream can take them yet
	id         string              // ROUTER: its routing id, constant once it has joined
	turns      *turns              // ROUTER without envelopes: of the streams that ask it
	jobs       int                 // PULL: of its jobs that no stream has taken
	topics     map[*topic]struct{} // PUB: its subscriptions
	mostTopics int                 // the largest size of topics since it was made
	mark       uint64              // PUB: the last topics.match that found it

	// Owned by the writer.
	out []zmtp.Message // the messages of batch

	// Owned by the reader.
	body     []byte // the frames of an incomplete message
	ends     []int  // of each frame in body
	frames   zmtp.Message
	prefixed zmtp.Message // ROUTER: a message with the routing id
	heard    bool         // has sent a message
	audience audience
	seat
}

// full reports that nothing more may be queued. Lock held on entry.
func (p *peer) full() bool { return p.core.overBudget() || p.crowded() }

// crowded reports that nothing more may be queued, not even what the budget counts already. Lock
// held on entry.
func (p *peer) crowded() bool {
	n := len(p.queue) + len(p.batch)
	o := &p.core.o
	return p.broken || n > 0 && (n >= o.HighWaterMark || p.bytes >= o.HighWaterBytes)
}

// add counts n more bytes that wait. Lock held on entry.
func (p *peer) add(n int64) {
	p.bytes += n
	p.core.book(n)
}

// push queues it and starts the writer if none runs. Lock held on entry.
func (p *peer) push(it item) {
	p.queue = append(p.queue, it)
	p.add(int64(it.m.Memory()))
	if p.writing || p.broken {
		return
	}
	p.writing = true
	if p.core.inline {
		p.core.writer = p
		return
	}
	p.core.running.Go(func() {
		runtime.Gosched() // lets streams that are about to send do so first: one write for all
		p.write()
	})
}

// write writes what is queued until nothing is left. One goroutine at a time calls it.
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

// take moves what one write takes from queue to batch and out. Lock held on entry.
func (p *peer) take() {
	n, bytes := 0, 0
	p.out = p.out[:0]
	for n < len(p.queue) && n < maxBatchMessages && bytes < maxBatchBytes {
		m := p.queue[n].m
		p.out = append(p.out, m)
		bytes += m.Size()
		n++
	}
	p.unanswered.Add(int64(n))
	if n == len(p.queue) {
		p.queue, p.batch = p.batch[:0], p.queue
		return
	}
	p.batch = append(p.batch[:0], p.queue[:n]...)
	rest := copy(p.queue, p.queue[n:])
	clear(p.queue[rest:])
	p.queue = p.queue[:rest]
}

// settle ends the write of batch, of which n messages were written. The rest of a failed write
// goes back to the front of the queue, so that another peer can get it. Lock held on entry.
func (p *peer) settle(n int, err error) {
	c := p.core
	for _, it := range p.batch[:n] {
		p.add(-int64(it.m.Memory()))
	}
	c.stats.Sent += uint64(n)
	if err != nil {
		p.broken = true
		p.queue = append(append([]item(nil), p.batch[n:]...), p.queue...)
		_ = p.conn.Close() // the reader notices and removes the peer
	}
	clear(p.batch)
	p.batch = p.batch[:0]
	if err == nil {
		c.pattern.roomy(p)
		c.wakeSenders()
	}
}

// errParked reports that a peer was left to a poller, and that another goroutine can be reading it.
var errParked = errors.New("backend: the connection is idle")

// idleAfter is how long a peer sends nothing until it is left to a poller. Tests shorten it.
var idleAfter = time.Second / 10

// read is core.serve for a peer that has joined.
func (c *core) read(p *peer) error {
	err := p.read()
	if err == errParked {
		return err
	}
	p.flush()
	_ = p.conn.Close()
	c.leave(p)
	return err
}

// read gives each message to the pattern until the connection fails, or is left to a poller. It waits with
// a small stack, see [zmtp.Conn.Await].
func (p *peer) read() error {
	var t turnSize
	for {
		if p.endpoint == nil {
			p.conn.Await()
		} else if p.conn.Idle(idleAfter) { // t is zero
			if p.park() {
				return errParked
			}
			p.endpoint = nil // it cannot be watched
			continue
		}
		if err := p.readFrame(&t); err != nil {
			p.core.received.Add(uint64(t.messages))
			return err
		}
	}
}

// park leaves p to the poller, and reports whether it did. p then belongs to the goroutine that Ready starts.
func (p *peer) park() bool {
	p.body, p.ends, p.frames, p.prefixed = nil, nil, nil, nil
	return p.conn.Park(p.core.o.Poller, p)
}

// Ready implements [poll.Watched].
func (p *peer) Ready() { go p.endpoint.resume(p) }

// turnSize is what a peer has brought since the last flush.
type turnSize struct{ messages, bytes int }

// readFrame reads one frame and gives the message that it completes, if it does, to the pattern.
func (p *peer) readFrame(t *turnSize) error {
	f, err := p.conn.ReadFrame()
	if err != nil {
		d, ok := asDiscarded(err)
		if !ok {
			return err
		}
		if err := p.tooLarge(d); err != nil {
			return err
		}
	} else if m := p.message(f); m != nil {
		if err := p.core.pattern.receive(p, m); err != nil {
			return err
		}
		t.messages++
		t.bytes += m.Size()
	}
	p.heard = p.heard || !f.More
	if t.messages >= maxTurnMessages || t.bytes >= maxTurnBytes || !p.conn.Buffered() {
		p.flush()
		p.core.received.Add(uint64(t.messages))
		p.answered(t.messages)
		*t = turnSize{}
	}
	return nil
}

// message collects frames and returns the message once it is complete; nil before. It is valid
// until the next call. Only a message of several frames is copied.
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
	return p.complete()
}

// complete returns the frames that were collected.
func (p *peer) complete() zmtp.Message {
	p.frames = p.frames[:0]
	start := 0
	for _, end := range p.ends {
		p.frames = append(p.frames, p.body[start:end:end])
		start = end
	}
	p.ends = p.ends[:0]
	return p.frames
}

// deliver gives m to a stream in p's turn, which lasts until p is flushed, and reports whether
// it was taken. Only the reader calls it, without a lock.
func (p *peer) deliver(st *stream, m zmtp.Message) (taken bool) {
	p.turn(st)
	return st.receive(m)
}

// writeAll writes messages and returns how many were written whole.
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

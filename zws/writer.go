package zws

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
)

// writer is the one goroutine that writes a connection: data, commands and control frames.
// It runs only while there is something to write, so that an idle connection has neither
// its stack nor a buffer. A goroutine that calls Channel.Flush is the writer as long as it does
// not have to wait.
type writer struct {
	conn     *Conn
	direct   syscall.RawConn // for writes that do not wait; nil if the transport has none
	timeout  time.Duration
	deadline time.Time    // of writes; only the writing goroutine uses it
	state    atomic.Int32 // idle, writing, again or ended
	vectored bool

	mu     sync.Mutex
	pings  pings
	first  *before // data; nil if nothing is
	source Source
	// closed is made when somebody waits for the end, and then closed at the end.
	closed chan struct{}
}

// before is what is written before data, which an idle connection has nothing of.
type before struct {
	control []byte // commands, encoded, in order
	pong    []byte // the answer to the latest ping
	// Notifications. They are encrypted, if at all, when they are written.
	lost      uint64
	heartbeat []byte // context of the latest PING that is unanswered; nil if there is none
	expiring  *uint32
}

const (
	idle    = iota // no goroutine
	writing        // a goroutine, which ends if there is nothing more
	again          // a goroutine, which will look again
	ended          // the connection is closed
)

func (w *writer) open(c *Conn, timeout time.Duration) {
	w.conn, w.timeout = c, timeout
	transport := c.wire.Conn
	// A TCP or Unix connection, or a type that embeds one; others, such as TLS, would make one
	// write of each piece.
	_, w.vectored = transport.(syscall.Conn)
	w.direct = nonblock.Socket(transport)
}

// wake makes sure that what was queued before the call is written. Any goroutine may call
// it; it does not block.
func (w *writer) wake() {
	for {
		switch w.state.Load() {
		case idle:
			if w.state.CompareAndSwap(idle, writing) {
				go w.run(true)
				return
			}
		case writing:
			if w.state.CompareAndSwap(writing, again) {
				return
			}
		default:
			return
		}
	}
}

// flush is wake, except that the caller writes as much as the system takes at once. Only the rest
// is left to another goroutine.
func (w *writer) flush() {
	switch {
	case w.direct == nil || !w.state.CompareAndSwap(idle, writing):
		w.wake()
	default:
		w.run(false)
	}
}

// run writes until nothing is left or the connection has ended. If it may not wait, another
// goroutine continues where it would have to.
func (w *writer) run(wait bool) {
	b := newBatch(w.conn, w.vectored)
	b.hurried = !wait
	for batches := 0; ; {
		w.state.Store(writing)
		switch w.write(b, wait, &batches) {
		case closed:
			b.free()
			w.end()
			return
		case waits:
			go w.finish(b)
			return
		}
		if w.state.CompareAndSwap(writing, idle) {
			b.free()
			return
		}
	}
}

// finish writes what is left of b and then what is queued.
func (w *writer) finish(b *Batch) {
	ok := w.send(b, b.last)
	b.free()
	if ok {
		w.run(true)
	} else {
		w.end()
	}
}

// end reports that the connection is closed.
func (w *writer) end() {
	w.state.Store(ended)
	close(w.done())
}

// result is how write has ended.
type result int

const (
	written result = iota // everything
	waits                 // there is more, and b is not written yet
	closed                // the connection is
)

// maxFlushed is how many batches flush writes: a source that has much, or a client that sends ping after
// ping, would keep the caller, which can be the reader of the client's pongs, or write to other clients.
const maxFlushed = 16

// write writes what is queued, by b, and adds to the number of batches. If it may not wait it leaves in b
// what the system does not take at once, and stops after maxFlushed.
func (w *writer) write(b *Batch, wait bool, batches *int) result {
	for {
		left := b.left
		b.reset()
		if *batches++; !wait && (left || *batches > maxFlushed) {
			return waits
		}
		source, last := w.collect(b)
		if source != nil && b.err == nil {
			source.Next(b)
		}
		if b.err != nil {
			w.conn.Close(b.err)
			continue // collect appends the close frame now
		}
		if b.size == 0 && !last {
			if b.left {
				return waits
			}
			return written
		}
		if b.last = last; !wait && (last || !b.tryWrite(w.direct)) {
			return waits // for the client to close its side, or to read
		}
		if wait && !w.send(b, last) {
			return closed
		}
	}
}

// send writes b. It returns false when the connection is closed, as it is after the last batch.
func (w *writer) send(b *Batch, last bool) (open bool) {
	w.extendDeadline()
	if err := b.writeTo(w.conn.wire.Conn); err != nil {
		w.conn.Close(writeError(err))
		w.conn.closeTransport()
		return false
	}
	if last {
		w.conn.linger()
	}
	return !last
}

// extendDeadline gives a write at least timeout, and at most an eighth more: setting a
// deadline costs a tenth of a small write, so it is not done for each.
func (w *writer) extendDeadline() {
	if now := time.Now(); w.deadline.Sub(now) < w.timeout {
		w.deadline = now.Add(w.timeout + w.timeout/8)
		w.conn.wire.SetWriteDeadline(w.deadline)
	}
}

// collect appends what goes before data: commands, notifications and control frames. At the
// end of the connection it appends the close frame, after which nothing may come; libzmq
// gets none before READY if it may try again.
func (w *writer) collect(b *Batch) (source Source, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notifier := w.conn.dialect.notifier
	var first before
	if w.first != nil {
		first, w.first = *w.first, nil
	}
	b.bytes(first.control)
	b.bytes(first.pong)
	b.pings(&w.pings)
	if cause := w.conn.Cause(); cause != nil {
		b.err = nil
		notifier.closing(b, cause)
		if cause.Code.Final() || !w.conn.silent.Load() {
			b.bytes(closeFrame(cause))
		}
		return nil, true
	}
	if first.heartbeat != nil {
		b.err = notifier.pong(b, first.heartbeat)
	}
	if first.expiring != nil && b.err == nil {
		b.err = notifier.expiring(b, *first.expiring)
	}
	if first.lost > 0 && b.err == nil {
		b.err = notifier.lost(b, first.lost)
	}
	return w.source, false
}

// put changes what is written before data and starts the writer. It does not block.
func (w *writer) put(change func(*before)) {
	w.mu.Lock()
	if w.first == nil {
		w.first = new(before)
	}
	change(w.first)
	w.mu.Unlock()
	w.wake()
}

// answers returns how many bytes of commands wait.
func (w *writer) answers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		return 0
	}
	return len(w.first.control)
}

// done returns a channel that is closed when the connection is.
func (w *writer) done() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = make(chan struct{})
	}
	return w.closed
}

package zws

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the one goroutine that writes a connection: data, commands and control
// frames. It runs only while something is to be written, so that an idle session has
// neither its stack nor a buffer.
type writer struct {
	conn      *Conn
	transport net.Conn
	vectored  bool
	timeout   time.Duration
	deadline  time.Time    // of writes; the writing goroutine's
	state     atomic.Int32 // idle, writing, again or ended

	mu      sync.Mutex
	control []byte // commands and pings, encoded, in order
	pong    []byte // the answer to the latest ping
	source  Source
	// What notices are to tell; sealed, if at all, in the order of writing.
	lost     uint64
	expiring *uint32
	// closed is made when somebody waits for the end, and closed then.
	closed chan struct{}
}

const (
	idle    = iota // no goroutine
	writing        // a goroutine that may find nothing more
	again          // a goroutine that will look again
	ended          // the connection is closed
)

func (w *writer) open(s *Conn, transport net.Conn, timeout time.Duration) {
	w.conn, w.transport, w.timeout = s, transport, timeout
	switch transport.(type) {
	case *net.TCPConn, *net.UnixConn:
		w.vectored = true // others, TLS above all, would make one write of each piece
	}
}

// wake makes sure that what was queued before the call is written. Any goroutine may call
// it; it does not block.
func (w *writer) wake() {
	for {
		switch w.state.Load() {
		case idle:
			if w.state.CompareAndSwap(idle, writing) {
				go w.run()
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

// run writes until nothing is left or the connection has ended.
func (w *writer) run() {
	for {
		w.state.Store(writing)
		if !w.flush() {
			w.state.Store(ended)
			close(w.end())
			return
		}
		if w.state.CompareAndSwap(writing, idle) {
			return
		}
	}
}

// flush writes what is queued. False means that the connection is closed.
func (w *writer) flush() bool {
	b := newBatch(w.conn, w.vectored)
	defer b.free()
	for {
		b.reset()
		source, last := w.collect(b)
		if source != nil && b.err == nil {
			source.Next(b)
		}
		if b.err != nil {
			w.conn.Close(b.err)
			continue // collect gives the close frame now
		}
		if b.size == 0 && !last {
			return true
		}
		w.extend()
		if err := b.writeTo(w.transport); err != nil {
			w.conn.Close(writeError(err))
			w.conn.closeConn()
			return false
		}
		if last {
			w.conn.linger()
			return false
		}
	}
}

// extend sees to it that a write may take timeout, and at most an eighth of that longer:
// setting a deadline costs a tenth of a small write, so it is not done for each.
func (w *writer) extend() {
	if now := time.Now(); w.deadline.Sub(now) < w.timeout {
		w.deadline = now.Add(w.timeout + w.timeout/8)
		w.transport.SetWriteDeadline(w.deadline)
	}
}

// collect takes what goes before data into b: commands, notices and control frames; and
// at the end of the session the close frame, after which nothing may come. libzmq gets
// none before READY if it may try again.
func (w *writer) collect(b *Batch) (source Source, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tells := w.conn.dialect.tells
	b.Octets(w.control)
	b.Octets(w.pong)
	w.control, w.pong = nil, nil
	if cause := w.conn.Cause(); cause != nil {
		b.err = nil
		tells.farewell(b, cause)
		if cause.Code.Final() || !w.conn.silent.Load() {
			b.Octets(closeFrame(cause))
		}
		return nil, true
	}
	if w.expiring != nil {
		b.err = tells.expiring(b, *w.expiring)
		w.expiring = nil
	}
	if w.lost > 0 && b.err == nil {
		b.err = tells.lost(b, w.lost)
		w.lost = 0
	}
	return w.source, false
}

// end is closed when the connection is.
func (w *writer) end() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = make(chan struct{})
	}
	return w.closed
}

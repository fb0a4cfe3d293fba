package poll

import (
	"sync/atomic"
	"syscall"
)

// Turn serves a connection when something has arrived there, and after Wake. It reads until a read
// brings less than it could, without waiting or after Yield. It returns false when the connection
// has ended: it is not called again.
type Turn func(w *Watch) (more bool)

// Watch is a connection that a [Poller] watches. Its turn is called by one goroutine at a time.
type Watch struct {
	loop  *loop
	raw   syscall.RawConn
	turn  Turn
	id    uint64
	state atomic.Int32

	// Only the goroutine that runs the turn uses these.
	term     uint64 // of the loop that the goroutine leads; 0 if it leads none
	detached bool
}

const (
	parked int32 = iota // no goroutine
	running
	again // the turn is called once more when it has returned
	over
)

// Wake has the turn called, in a goroutine of its own. If it runs, it is called again afterwards.
// It does not block and may be called by any goroutine.
func (w *Watch) Wake() {
	if w.claim(running) {
		go w.run(0)
	}
}

// claim makes the caller the goroutine that runs the turn, if there is none, with that state.
// Otherwise the turn is called again.
func (w *Watch) claim(state int32) bool {
	for {
		switch w.state.Load() {
		case parked:
			if w.state.CompareAndSwap(parked, state) {
				return true
			}
		case running:
			if w.state.CompareAndSwap(running, again) {
				return false
			}
		default:
			return false
		}
	}
}

// run calls the turn until nothing is left to do. The caller has claimed it, and leads the loop if
// term is not 0.
func (w *Watch) run(term uint64) {
	w.term = term
	for {
		twice := w.state.Swap(running) == again
		if !w.turn(w) {
			w.state.Store(over)
			w.forget()
			return
		}
		if twice { // the peer has closed its side, and the turn may have stopped before the end
			continue
		}
		w.attach()
		if w.state.CompareAndSwap(running, parked) {
			return
		}
	}
}

// Yield is called by the turn before it waits for anything: from then on it has the goroutine to
// itself until it returns. It may be called more than once.
func (w *Watch) Yield() {
	if w.term > 0 {
		w.loop.yield(w.term)
		w.term = 0
	}
}

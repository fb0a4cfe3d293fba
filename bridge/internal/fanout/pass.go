package fanout

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// gatherBytes is how many bytes for each client are so many that the upstream is busy. Then the
// goroutine that delivers reads on instead of writing to the clients: what comes meanwhile goes into
// the same writes.
const gatherBytes = 16 << 10

const (
	// alone is how many clients a goroutine writes to before others help. A second core makes a pass
	// shorter, but costs wake-ups, and more writes: what comes during a pass shares those of the next.
	alone = 128
	// share is how many of the clients that are left are enough for one more goroutine.
	share = 32
)

// pass is what one delivery has to write: the queues that were empty before it. The goroutine that
// delivers writes to the clients, without waiting for one, and shares the work if they are many. So
// a delivery starts a few goroutines where it would have to wake one for each client. All queues were
// announced before the first is written, so that the streams of a multiplexed connection share a write.
type pass struct {
	queues []Queue
	next   atomic.Int64 // index of the queue that is written next
	users  atomic.Int32 // goroutines that work on it
}

var passes = sync.Pool{New: func() any { return new(pass) }}

func newPass() *pass { return passes.Get().(*pass) }

// write writes to all clients of the pass, which must not be used after it; nil has none. It may
// return while others still write. No lock may be held.
func (p *pass) write() {
	if p == nil {
		return
	}
	n := min(alone, len(p.queues))
	for _, q := range p.queues[:n] {
		q.Write()
	}
	p.next.Store(int64(n))
	helpers := (len(p.queues) - n) / share
	if helpers > 0 {
		helpers = min(helpers, runtime.GOMAXPROCS(0)-1)
	}
	p.users.Store(int32(helpers) + 1)
	for range helpers {
		go p.work()
	}
	p.work()
}

// work writes to clients until all had their turn.
func (p *pass) work() {
	for {
		i := int(p.next.Add(1)) - 1
		if i >= len(p.queues) {
			break
		}
		p.queues[i].Write()
	}
	if p.users.Add(-1) == 0 {
		clear(p.queues) // a pool keeps no clients alive
		p.queues = p.queues[:0]
		p.next.Store(0)
		passes.Put(p)
	}
}

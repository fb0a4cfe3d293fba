package repeat

import (
	"sync"
	"time"
)

// maxKeys limits the kinds that are counted at a time. Further ones are counted as one.
const maxKeys = 1000

// overflow is the key of what is beyond maxKeys.
const overflow = "\x00"

// Limiter limits lines by their kind. The zero value limits nothing until SetInterval is called.
// All methods may be called concurrently.
type Limiter struct {
	mu       sync.Mutex
	interval time.Duration // 0 = no limit
	kinds    map[string]*kind
	writes   sync.WaitGroup // by timers
}

// kind is a kind of line that was written less than an interval ago.
type kind struct {
	held  int             // lines since then
	write func(extra int) // the last of them
	timer *time.Timer
}

// SetInterval sets the least time between two lines of the same kind; 0 means no limit. What is
// held is written.
func (l *Limiter) SetInterval(d time.Duration) {
	l.mu.Lock()
	if l.interval == d {
		l.mu.Unlock()
		return
	}
	old := l.kinds
	l.interval, l.kinds = d, make(map[string]*kind)
	l.mu.Unlock()
	for _, k := range old {
		k.timer.Stop()
		if k.held > 0 {
			k.write(k.held - 1)
		}
	}
}

// Close writes what is held, and waits until it is written. Later lines are not limited. It may be
// called more than once.
func (l *Limiter) Close() {
	l.SetInterval(0)
	l.writes.Wait()
}

// Do calls write: at once if no line of the same kind was written in the last interval, and
// otherwise at the end of it, unless another of the kind follows until then. extra is how many such
// lines were left out since the last one that was written. A later call of write may come from
// another goroutine.
func (l *Limiter) Do(key string, write func(extra int)) {
	if l.first(key, write) {
		write(0)
	}
}

// first reports whether the line is to be written at once. If not, it is held.
func (l *Limiter) first(key string, write func(extra int)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.interval <= 0 {
		return true
	}
	k := l.kinds[key]
	if k == nil && len(l.kinds) >= maxKeys {
		key = overflow
		k = l.kinds[key]
	}
	if k == nil {
		k = new(kind)
		k.timer = time.AfterFunc(l.interval, func() { l.over(key, k) })
		l.kinds[key] = k
		return true
	}
	k.held++
	k.write = write
	return false
}

// over ends an interval of a kind.
func (l *Limiter) over(key string, k *kind) {
	l.mu.Lock()
	if l.kinds[key] != k { // SetInterval was faster
		l.mu.Unlock()
		return
	}
	held, write := k.held, k.write
	k.held, k.write = 0, nil
	if held == 0 {
		delete(l.kinds, key)
	} else {
		k.timer.Reset(l.interval)
		l.writes.Add(1)
		defer l.writes.Done()
	}
	l.mu.Unlock()
	if held > 0 {
		write(held - 1)
	}
}

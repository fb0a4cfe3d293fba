package zws

import "sync"

// token is held by one goroutine at a time. Unlike a mutex, another goroutine than its holder can
// put it back, and one can stop waiting for it. The zero value is held by nobody.
type token struct {
	mu   sync.Mutex
	held bool
	free chan struct{} // closed by the next put; nil if nobody waits
}

// take waits for the token.
func (t *token) take() { t.takeUnless(nil, nil) }

// takeUnless waits for the token until stop or done is closed. It reports whether the caller has it.
func (t *token) takeUnless(stop, done <-chan struct{}) bool {
	for {
		free := t.try()
		if free == nil {
			return true
		}
		select {
		case <-free:
		case <-stop:
			return false
		case <-done:
			return false
		}
	}
}

// try takes the token and returns nil, or returns a channel that is closed when it is worth trying
// again.
func (t *token) try() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.held {
		t.held = true
		return nil
	}
	if t.free == nil {
		t.free = make(chan struct{})
	}
	return t.free
}

// put gives the token back.
func (t *token) put() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = false
	if t.free != nil {
		close(t.free)
		t.free = nil
	}
}

package backend

// Unfinished implements [Socket].
func (st *stream) Unfinished() bool {
	c := st.core
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p := c.pattern.(type) {
	case *req:
		if p.shared {
			return st.question.due
		}
	case *dealer:
		if p.shared { // whose answers are due is not known
			return false
		}
	case *router, *publisher, *pull:
		return false
	}
	if c.pattern.pending() > 0 {
		return true
	}
	for _, p := range c.peers {
		if c.unfinished(p) {
			return true
		}
	}
	return false
}

// Unfinished implements [Socket]: what a relay forwards is not known.
func (r *Relay) Unfinished() bool { return false }

package history

import "time"

// changes are what is to be stored.
type changes struct {
	states  map[QueueKey]*QueueState
	cursors map[QueueKey]Position
}

// take returns what has changed since the last time; only what cannot wait if urgent is set.
func (q *Queues) take(urgent bool) changes {
	_, separate := q.o.Store.(CursorStore)
	c := changes{make(map[QueueKey]*QueueState), make(map[QueueKey]Position)}
	q.mu.Lock()
	defer q.mu.Unlock()
	for key, kind := range q.dirty {
		if urgent && kind != changeUrgent {
			continue
		}
		delete(q.dirty, key)
		switch one := q.queues[key]; {
		case one == nil:
			c.states[key] = nil
		case one.holder != "" && one.holder != q.o.Bridge: // its state is that of the bridge with its client
			if separate {
				c.cursors[key] = one.acked
			}
		case kind == changeCursor && separate && one.client != nil:
			c.cursors[key] = one.acked
		default:
			one.saved = time.Now()
			c.states[key] = new(one.state())
		}
	}
	return c
}

// save stores what has changed since the last time; only what cannot wait if urgent is set.
func (q *Queues) save(urgent bool) {
	c := q.take(urgent)
	if q.o.Store == nil || len(c.states)+len(c.cursors) == 0 {
		return
	}
	var err error
	if len(c.states) > 0 {
		err = q.o.Store.Save(c.states)
	}
	if err == nil && len(c.cursors) > 0 {
		err = q.o.Store.(CursorStore).SaveCursors(c.cursors)
	}
	q.mu.Lock()
	if err != nil { // again after SaveInterval
		for key := range c.states {
			q.change(key, changeState)
		}
		for key := range c.cursors {
			q.change(key, changeCursor)
		}
	}
	report := err != nil || q.failed
	q.failed = err != nil
	q.mu.Unlock()
	if report && q.o.Failed != nil {
		q.o.Failed(err)
	}
}

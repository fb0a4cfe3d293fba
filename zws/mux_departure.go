package zws

import (
	"maps"
	"slices"
	"time"
)

// departure is the end of a channel that its client has closed, until the reader has taken what the
// client has sent before. The lock of the mux guards it.
type departure struct {
	cause *CloseError
	timer *time.Timer // ends it
}

// notTaken is why a channel ended whose reader has not taken everything in time.
const notTaken = "what the client sent before it closed was not taken in time"

// depart ends the channel because the client has closed it: once the reader is done with what came before,
// or after Options.WriteTimeout. Nothing is sent any more, and the client may open another channel instead.
// Lock held on entry.
func (ch *muxChannel) depart(cause *CloseError) {
	if ch.gone {
		return
	}
	m := ch.parent
	ch.gone = true
	m.remove(ch)
	if !ch.taken && len(ch.inbox) == 0 && len(ch.requests.list.list) == 0 {
		ch.life.end(cause)
		ch.arrive()
		return
	}
	ch.departing = &departure{cause, time.AfterFunc(m.options.writeTimeout, func() {
		ch.end(&CloseError{Code: cause.Code, Reason: notTaken, Err: cause.Err})
	})}
	if m.departing == nil {
		m.departing = make(map[*muxChannel]bool)
	}
	m.departing[ch] = true
	ch.arrive()
}

// departed is called when the reader is done with everything, and at the end. Lock held on entry.
func (ch *muxChannel) departed() {
	d := ch.departing
	if d == nil {
		return
	}
	ch.departing = nil
	delete(ch.parent.departing, ch)
	d.timer.Stop()
	ch.life.end(d.cause)
}

// depart ends all channels because the client has closed the connection, and waits for them. It returns cause, or
// why not everything was taken.
func (m *mux) depart(cause *CloseError) *CloseError {
	m.conn.liveness.listening.Store(false) // nothing more comes
	m.mu.Lock()
	for _, ch := range slices.Clone(m.channels) {
		ch.depart(cause)
	}
	left := slices.Collect(maps.Keys(m.departing))
	m.mu.Unlock()
	for _, ch := range left {
		<-ch.life.Done() // also when the connection ends for another cause
		if end := ch.cause(); end.Reason == notTaken {
			cause = end
		}
	}
	return cause
}

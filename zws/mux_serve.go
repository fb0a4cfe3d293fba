package zws

import (
	"errors"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// A connection of ZWSMUX1.0 and its channels are served like plain connections: by goroutines
// that run only while there is something to do.

// shift is a goroutine that works while there is something to do. The zero value is idle.
type shift struct{ state atomic.Int32 } // idle, writing (which is working here), again or ended

// wake makes sure that the work is looked at after the call. It reports whether the caller has to
// start a goroutine, which calls begin before it looks and rest when it has found nothing.
func (s *shift) wake() (start bool) {
	for {
		switch s.state.Load() {
		case idle:
			if s.state.CompareAndSwap(idle, writing) {
				return true
			}
		case writing:
			if s.state.CompareAndSwap(writing, again) {
				return false
			}
		default:
			return false
		}
	}
}

func (s *shift) begin() { s.state.Store(writing) }

// rest reports whether the goroutine ends. If it does not, it begins again.
func (s *shift) rest() bool { return s.state.CompareAndSwap(writing, idle) }

// end makes wake do nothing any more.
func (s *shift) end() { s.state.Store(ended) }

// ServeChannels reads a connection of ZWSMUX1.0 for its caller, instead of NextChannel. It calls
// open with each channel that the client asks for, which must not block, since open is called by
// the goroutine that reads. When the connection is over it calls ended. With Options.Poller no
// goroutine reads while the client is idle. ServeChannels returns at once and is called once.
func (c *Conn) ServeChannels(open func(*PendingChannel), ended func()) {
	c.mux.Load().opened = open
	c.channel.ended = ended
	go c.serve()
}

// serveChannels is the reader until the client is idle or the connection has ended.
func (c *Conn) serveChannels(m *mux) {
	for !c.life.over() {
		c.liveness.listening.Store(true)
		if !c.channel.ready() && c.park() {
			return // another reader starts when something has arrived
		}
		ch, err := c.nextChannel(m)
		if err != nil {
			break
		}
		if ch != nil {
			m.opened(ch)
		}
	}
	c.channel.ended()
}

// nextChannel reads one frame, and returns the channel that it opens, if it opens one.
func (c *Conn) nextChannel(m *mux) (*PendingChannel, error) {
	c.startReading()
	defer c.stopReading()
	ch, err := m.read()
	if errors.Is(err, ErrPeerClosed) {
		err = m.depart(Cause(err))
	}
	if err != nil {
		c.Close(err)
	}
	if c.life.over() {
		return nil, c.Cause()
	}
	if ch == nil {
		return nil, nil
	}
	return &PendingChannel{ch}, nil
}

// endChannels ends the contexts of all channels with that of the connection, and has their readers
// notice.
func (m *mux) endChannels() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ch := range m.channels {
		ch.life.end(m.conn.Cause())
		ch.arrive()
	}
	for ch := range m.departing {
		ch.life.end(m.conn.Cause())
	}
}

// serve implements Channel.Serve.
func (ch *muxChannel) serve(handle func(zmtp.Message) error, ended func()) {
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	ch.handle, ch.ended = handle, ended
	ch.arrive()
}

// arrive has the reader notice what has arrived, or the end. Lock held on entry.
func (ch *muxChannel) arrive() {
	if ch.arrived != nil {
		close(ch.arrived)
		ch.arrived = nil
	}
	if ch.handle != nil && ch.reader.wake() {
		go ch.work()
	}
}

// work is the reader of a channel that Serve serves, as long as there is something to read.
func (ch *muxChannel) work() {
	for {
		ch.reader.begin()
		for m := ch.next(); m != nil; m = ch.next() {
			if err := ch.handle(m); err != nil {
				ch.close(err)
			}
		}
		if ch.over() {
			ch.reader.end()
			ch.ended()
			return
		}
		if ch.reader.rest() {
			return
		}
	}
}

// next returns the client's next message; nil if none has arrived, or if the channel has ended.
func (ch *muxChannel) next() zmtp.Message {
	if ch.over() {
		return nil
	}
	m := ch.takeFirst()
	for m == nil && !ch.over() {
		var r *HistoryRequest
		if m, r = ch.take(); m == nil && r == nil {
			return nil
		}
		if r != nil {
			if err := ch.ask(r); err != nil {
				ch.close(err)
			}
		}
	}
	if m != nil {
		ch.history.note(m)
	}
	return m
}

// waiting returns a channel that is closed when the reader has something to look at.
func (ch *muxChannel) waiting() <-chan struct{} {
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch.arrived == nil {
		ch.arrived = make(chan struct{})
	}
	arrived := ch.arrived
	if len(ch.inbox) > 0 || len(ch.requests.list.list) > 0 {
		ch.arrive()
	}
	return arrived
}

func (ch *muxChannel) readMessage() (zmtp.Message, error) {
	for {
		if m := ch.next(); m != nil {
			return m, nil
		}
		if ch.over() {
			return nil, ch.cause()
		}
		select {
		case <-ch.waiting():
		case <-ch.life.Done():
		}
	}
}

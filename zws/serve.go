package zws

import (
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Serve reads the channel for its owner: handle is called with one message after another,
// each its own, as if ReadMessage had returned it; an error that it returns ends the
// session, and ended is called when nothing more comes. Both are called by one goroutine
// at a time, and with Options.Poller there is none while the client is idle. Serve returns
// at once. It takes the place of ReadMessage, is called once, and is for the one channel of a
// session.
func (c *Channel) Serve(handle func(zmtp.Message) error, ended func()) {
	c.handle, c.ended = handle, ended
	go c.conn.serve()
}

// serve is the reader, until the client is idle or the session over.
func (s *Conn) serve() {
	c := &s.channel
	for s.ctx.Err() == nil {
		s.liveness.listening.Store(true)
		if !c.ready() && s.park() {
			return // the next one starts when something has come
		}
		m, err := c.ReadMessage()
		if err != nil {
			break
		}
		if err := c.handle(m); err != nil {
			s.Close(err)
			break
		}
	}
	c.ended()
}

// ready waits a while for something to read.
func (c *Channel) ready() bool {
	if len(c.first) > 0 {
		return true
	}
	s := c.conn
	s.reading <- struct{}{}
	defer func() { <-s.reading }()
	for s.wire.await() {
		if !s.takeControl() {
			return true
		}
	}
	return false
}

// takeControl takes a ping or pong that has come whole and between messages, so that the
// reader of an idle client need not wait inside the WebSocket library for what follows
// it. All others, and all that are malformed, are the library's.
func (s *Conn) takeControl() bool {
	p := s.wire.buffered()
	if len(p) < 6 || p[1] < 0x80 || p[1] > 0x80+125 {
		return false
	}
	size := 6 + int(p[1]-0x80)
	if len(p) < size || p[0] != wsPing && p[0] != wsPong {
		return false
	}
	if p[0] == wsPong {
		s.liveness.pong("")
	} else {
		payload := p[6:size]
		for i := range payload {
			payload[i] ^= p[2+i%4] // the mask, RFC 6455, section 5.3
		}
		s.answerPing(string(payload))
	}
	s.liveness.heard.Store(true)
	s.wire.discard(size)
	return true
}

// park leaves the connection to the poller. False means that the caller stays the reader.
func (s *Conn) park() bool {
	if s.poller == nil {
		return false
	}
	s.parked.Store(true)
	if s.poller.watch(s) && s.ctx.Err() == nil {
		return true
	}
	s.poller.forget(s)
	return !s.parked.CompareAndSwap(true, false) // another reader may have been started
}

// resume starts a reader if there is none. The poller calls it when something has come,
// and Close, so that ended is called.
func (s *Conn) resume() {
	if s.parked.CompareAndSwap(true, false) {
		go s.serve()
	}
}

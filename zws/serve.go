package zws

import (
	"github.com/zwsbridge/zwsbridge/internal/poll"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Serve reads a channel for its caller, instead of ReadMessage.
// It calls handle with one message after another, which handle owns; an error that handle
// returns ends the connection. When nothing more comes it calls ended. One goroutine at a
// time calls either, and with Options.Poller there is none while the client is idle. Serve
// returns at once and is called once.
func (ch *Channel) Serve(handle func(zmtp.Message) error, ended func()) {
	if ch.mux != nil {
		ch.mux.serve(handle, ended)
		return
	}
	ch.handle, ch.ended = handle, ended
	go ch.conn.serve()
}

// serve is the reader until the client is idle or the connection has ended.
func (c *Conn) serve() {
	if m := c.mux.Load(); m != nil {
		c.serveChannels(m)
		return
	}
	ch := &c.channel
	for !c.life.over() {
		c.liveness.listening.Store(true)
		if !ch.ready() && c.park() {
			return // another reader starts when something has arrived
		}
		m, err := ch.read()
		if err != nil {
			break
		}
		if m == nil {
			continue
		}
		if err := ch.handle(m); err != nil {
			c.Close(err)
			break
		}
	}
	ch.ended()
}

// ready waits a while for something to read. If nothing comes, a connection that can be parked
// gives its reader back.
func (ch *Channel) ready() bool {
	if ch.first != nil {
		return true
	}
	c := ch.conn
	c.reading.take()
	defer c.reading.put()
	if c.reader.hasRead() {
		return true
	}
	for c.attach().await() {
		if !c.takeControl() {
			return true
		}
		if c.poller != nil && len(c.reader.rest) == 0 && c.drained() {
			break // an idle client has answered a ping
		}
	}
	if c.poller != nil {
		c.detach()
	}
	return false
}

// drained reports whether the poller will notice all that has not been read: nothing of it lies in
// wrappers of the socket.
func (c *Conn) drained() bool { return c.out.direct != nil || drainedTLS(c.wire.Conn) }

// takeControl handles a ping or pong that has arrived whole and between messages, so that
// the reader of an idle client does not have to wait inside the WebSocket library for what
// follows it. All others, and all malformed ones, are left to the library.
func (c *Conn) takeControl() bool {
	p := c.reader.rest
	h, ok := wsframe.ParseHeader(p)
	if !ok || h.First != wsframe.Ping && h.First != wsframe.Pong || h.Payload > wsframe.MaxControl || h.Length != 6 || len(p) < 6+h.Payload {
		return false
	}
	payload := p[h.Length : h.Length+h.Payload]
	h.Unmask(payload)
	if h.First == wsframe.Pong {
		c.pong(string(payload))
	} else {
		c.answerPing(string(payload))
	}
	c.liveness.heard.Store(true)
	c.reader.drop(h.Length + h.Payload)
	return true
}

// park leaves the connection to the poller. If it returns false, the caller stays the
// reader.
func (c *Conn) park() bool {
	if c.poller == nil {
		return false
	}
	c.parked.Store(true)
	if c.poller.Watch(&c.place, poll.Socket(c.wire.Conn), parkedConn{c}) && !c.life.over() {
		return true
	}
	c.poller.Forget(&c.place)
	return !c.parked.CompareAndSwap(true, false) // another reader may have been started
}

// parkedConn is a connection that is left to the poller.
type parkedConn struct{ *Conn }

// Ready implements [poll.Watched].
func (c parkedConn) Ready() { c.resume() }

// resume starts a reader if there is none. The poller calls it when something has arrived,
// and Close calls it so that ended is called.
func (c *Conn) resume() {
	if c.parked.CompareAndSwap(true, false) {
		go c.serve()
	}
}

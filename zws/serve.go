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
	ch.conn.startServing()
}

// ServeDirect is Serve for a handle that does not wait, or calls Yield before it does. With
// Options.Poller, a goroutine that serves many connections reads small messages and calls handle,
// so that none has to be started or woken for them.
func (ch *Channel) ServeDirect(handle func(zmtp.Message) error, ended func()) {
	c := ch.conn
	c.direct = c.out.direct != nil && c.dialect.frames != frameCodec{} // as is read ahead by wire.whole
	ch.Serve(handle, ended)
}

// Yield is called by the handle of ServeDirect before it waits for anything. From then on it has a
// goroutine to itself until it returns. Elsewhere Yield does nothing.
func (ch *Channel) Yield() {
	if w := ch.conn.watched.Load(); w != nil && ch.mux == nil {
		w.Yield()
	}
}

// startServing begins to read for Serve, by the poller if there is one that can.
func (c *Conn) startServing() {
	socket := c.out.direct
	if socket == nil {
		socket = poll.Socket(c.wire.Conn)
	}
	if c.poller != nil && socket != nil {
		if _, err := c.poller.Watch(socket, c.turn); err == nil {
			return
		}
	}
	go c.serve(false)
}

// turn is called by the poller when something has arrived, and after Close.
func (c *Conn) turn(w *poll.Watch) (more bool) {
	if c.watched.Load() == nil {
		c.watched.Store(w) // before ctx is looked at: Close does it the other way round
	}
	if c.direct && c.serveDirect(w) {
		return true
	}
	w.Detach()
	return c.serve(true)
}

// maxReads is how many full buffers are read for one connection in a turn.
const maxReads = 4

// serveDirect reads and handles messages that have arrived whole, without waiting. It returns false
// if the connection needs a goroutine that waits: for the rest of a message, for what a command asks
// for, for the end.
func (c *Conn) serveDirect(w *poll.Watch) bool {
	ch := &c.channel
	if len(ch.first) > 0 || c.ahead() {
		return false
	}
	for range maxReads {
		if c.ctx.Err() != nil || !c.reading.tryTake() {
			return false
		}
		full, err := c.tryFill()
		c.reading.put()
		if err != nil && err != poll.ErrAgain {
			c.direct = false // the library gets the error itself
			return false
		}
		for c.ahead() {
			if !c.handleDirect() {
				return false
			}
		}
		if !full {
			c.rest()
			return true
		}
	}
	w.Detach() // others have their turn before what is left
	c.rest()
	return true
}

// ahead reports whether anything was read ahead.
func (c *Conn) ahead() bool { return c.reader != nil && len(c.reader.buffered()) > 0 }

// rest is called when the client is idle.
func (c *Conn) rest() {
	c.liveness.listening.Store(true)
	if c.reading.tryTake() {
		c.detach()
		c.reading.put()
	}
}

// handleDirect handles what was read ahead: one message or control frame. It returns false if it is
// something else.
func (c *Conn) handleDirect() bool {
	ch := &c.channel
	whole, message := c.reader.whole(c.dialect.frames)
	if !whole || !message && !c.dialect.sealed || !c.reading.tryTake() {
		return c.ctx.Err() == nil && c.takeControl()
	}
	m, err := ch.readNext()
	c.stopReading()
	if err != nil || m == nil {
		return err == nil
	}
	if err := ch.handle(m); err != nil {
		c.Close(err)
		return false
	}
	return true
}

// serve is the reader until the connection has ended or, if a poller watches it, the client is
// idle. It returns false in the first case, after calling ended.
func (c *Conn) serve(watched bool) (idle bool) {
	if m := c.mux.Load(); m != nil {
		return c.serveChannels(m, watched)
	}
	ch := &c.channel
	for c.ctx.Err() == nil {
		c.liveness.listening.Store(true)
		if !ch.ready() && watched {
			return true
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
	return false
}

// ready waits a while for something to read. If nothing comes, a connection that can be parked
// gives its reader back; if the poller's loop reads what comes next, it does not wait.
func (ch *Channel) ready() bool {
	if len(ch.first) > 0 {
		return true
	}
	c := ch.conn
	c.reading.take()
	defer c.reading.put()
	for (!c.direct || c.ahead()) && c.attach().await() {
		if !c.takeControl() {
			return true
		}
		if c.poller != nil && len(c.reader.buffered()) == 0 {
			break // an idle client has answered a ping
		}
	}
	if c.poller != nil {
		c.detach()
	}
	return false
}

// takeControl handles a ping or pong that has arrived whole and between messages, so that
// the reader of an idle client does not have to wait inside the WebSocket library for what
// follows it. All others, and all malformed ones, are left to the library.
func (c *Conn) takeControl() bool {
	p := c.reader.buffered()
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
	c.reader.discard(h.Length + h.Payload)
	return true
}

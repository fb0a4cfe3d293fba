package zws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// frameOverhead is how much longer than its body a frame can be on the wire: the flag
// byte, the name of a SUBSCRIBE, the rest of a CURVE MESSAGE (33 bytes).
const frameOverhead = 64

var errNoMessages = errors.New("zws: ReadMessage on a connection with many channels: use NextChannel")

// ReadMessage reads the client's next message, which the caller owns. Subscriptions have the
// form 01|00 + topic, whichever form the client used. After any error the channel has
// ended, and the error is its cause, a *CloseError. One goroutine at a time may call it;
// after Close it returns within two seconds.
func (ch *Channel) ReadMessage() (zmtp.Message, error) {
	if ch.mux != nil {
		return ch.mux.readMessage()
	}
	for {
		if m, err := ch.read(); m != nil || err != nil {
			return m, err
		}
	}
}

// read is ReadMessage of the one channel of a connection, except that it also returns, with nil,
// after something else than a message: the next message may be a long time coming.
func (ch *Channel) read() (zmtp.Message, error) {
	c := ch.conn
	if c.life.over() {
		return nil, c.Cause()
	}
	if c.dialect.read == nil {
		return nil, errNoMessages
	}
	if m := ch.takeFirst(); m != nil {
		ch.history.note(m)
		return m, nil
	}
	c.startReading()
	defer c.stopReading()
	for {
		m, err := ch.take()
		if err != nil {
			c.Close(err)
		}
		if c.life.over() {
			return nil, c.Cause()
		}
		if m != nil {
			ch.history.note(m)
		}
		if m != nil || len(ch.frames) == 0 {
			return m, nil
		}
	}
}

// readFirst has subscriptions of the request read before anything else.
func (ch *Channel) readFirst(topics [][]byte) {
	if len(topics) == 0 {
		return
	}
	first := make([]zmtp.Message, len(topics))
	for i, topic := range topics {
		first[i] = zmtp.Subscription{Topic: topic}.Message()
	}
	ch.first = &first
}

// takeFirst returns the next subscription of the request; nil if there are no more.
func (ch *Channel) takeFirst() zmtp.Message {
	if ch.first == nil {
		return nil
	}
	m := (*ch.first)[0]
	if *ch.first = (*ch.first)[1:]; len(*ch.first) == 0 {
		ch.first = nil
	}
	return m
}

// Buffered reports whether the client's next message has arrived completely, so that
// ReadMessage will not wait for the network. It may be called by the goroutine that calls
// ReadMessage. A message can be there although it returns false: of objects it is not known before
// whether they are one, or a command. Of encrypted frames it is found by reading them, which acts on
// commands.
func (ch *Channel) Buffered() bool {
	if ch.mux != nil {
		return ch.mux.buffered()
	}
	if ch.first != nil {
		return true
	}
	c := ch.conn
	if c.dialect.sealed {
		return ch.readAhead()
	}
	if c.reader == nil {
		return false
	}
	whole, message := c.reader.whole(c.dialect.frames)
	return whole && message
}

// startReading makes the caller the reader until it calls stopReading, and waits a while
// for something to read.
func (c *Conn) startReading() {
	c.reading.take()
	c.liveness.listening.Store(true)
	if r := c.attach(); !r.hasRead() {
		r.await()
	}
}

func (c *Conn) stopReading() {
	c.liveness.listening.Store(false)
	c.reading.put()
}

// readFrames reads one frame and returns the message that it completes, if it does.
func (ch *Channel) readFrames() (zmtp.Message, error) {
	f, err := ch.conn.readFrame(ch.frameLimit)
	if err != nil {
		return nil, err
	}
	defer f.free()
	return ch.addFrame(f)
}

// frameLimit returns how long the next WebSocket message may be, in bytes.
func (ch *Channel) frameLimit() int64 {
	limit := ch.conn.maxMessage.Load() - ch.size
	if renewal := ch.conn.renewal; renewal != nil && len(ch.frames) == 0 {
		limit = max(limit, renewal.options.maxHandshake)
	}
	return limit + frameOverhead
}

// addFrame adds a frame to the message that is being read, and returns the message when it
// is complete.
func (ch *Channel) addFrame(raw rawFrame) (zmtp.Message, error) {
	c, f := ch.conn, raw.Frame
	if c.mechanism != nil {
		var err error
		if f, err = c.mechanism.Decode(f); err != nil {
			return nil, err
		}
	}
	if f.Command {
		if len(ch.frames) > 0 {
			return nil, protocolError("a command inside a message")
		}
		return ch.handleCommand(f.Body)
	}
	ch.size += int64(len(f.Body))
	if err := c.checkSize(ch.size, len(ch.frames)+1); err != nil {
		return nil, err
	}
	ch.frames = append(ch.frames, raw.keep(f.Body))
	if f.More {
		c.liveness.begin()
		return nil, nil
	}
	c.liveness.end()
	m := zmtp.Message(ch.frames)
	ch.frames, ch.size = nil, 0
	if c.dialect.normalise != nil {
		c.dialect.normalise(c.Login(), m)
	}
	return m, nil
}

// checkSize checks a message of so many bytes and frames against the limits.
func (c *Conn) checkSize(size int64, frames int) error {
	maxMessage, maxFrames := c.maxMessage.Load(), int(c.maxFrames.Load())
	switch {
	case size > maxMessage:
		return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("message longer than %d bytes", maxMessage)}
	case frames > maxFrames:
		return tooManyFrames(maxFrames)
	}
	return nil
}

func tooManyFrames(limit int) error {
	return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("message of more than %d frames", limit)}
}

// handleCommand acts on a command after READY and returns the subscription that it is, if it
// is one. Commands without a meaning here are ignored: only SUB and XSUB subscribe (37/ZMTP).
func (ch *Channel) handleCommand(body []byte) (zmtp.Message, error) {
	c := ch.conn
	command, err := zmtp.ParseCommand(body)
	if err != nil {
		return nil, err
	}
	switch command.Name {
	case "HELLO":
		return nil, c.renew(command.Data)
	case "PING":
		return nil, c.heartbeatCommand(command.Data)
	}
	if s, ok := command.Subscription(); ok && c.Login().SocketType.Subscribes() {
		return s.Message(), nil
	}
	if !ch.history.asked {
		return nil, nil
	}
	command.Data = bytes.Clone(command.Data) // which the request keeps
	r, err := historyCommand(command)
	if r == nil {
		return nil, err
	}
	return nil, ch.ask(r)
}

// rawFrame is a frame whose body lies in a pooled buffer.
type rawFrame struct {
	zmtp.Frame
	pooled
}

// pooled is the content of a WebSocket message in a buffer that is used again after free.
type pooled struct {
	data   []byte
	buffer *[]byte
}

const (
	scratchSize = 4 << 10
	keptScratch = 64 << 10 // larger buffers are left to the garbage collector
)

var scratch = sync.Pool{New: func() any {
	b := make([]byte, 0, scratchSize)
	return &b
}}

// keep returns body for the caller to own, as a copy if it has to be one. The end of a large
// buffer is not copied: free does not reuse such a buffer.
func (p pooled) keep(body []byte) []byte {
	return keepEnd(p.data, body)
}

// keepEnd returns body for the caller to own. It is body itself if that is the end of data,
// too large for data to be used again, and wastes little of the memory below.
func keepEnd(data, body []byte) []byte {
	n := len(body)
	if n > keptScratch && cap(data)-n <= n/8 && &body[n-1] == &data[len(data)-1] {
		return body[:n:n]
	}
	return append(make([]byte, 0, n), body...)
}

func (p pooled) free() {
	if cap(*p.buffer) <= keptScratch {
		scratch.Put(p.buffer)
	}
}

// readFrame reads one WebSocket message of at most limit bytes as a frame.
func (c *Conn) readFrame(limit func() int64) (rawFrame, error) {
	p, err := c.readWebSocket(websocket.BinaryMessage, limit)
	if err != nil {
		return rawFrame{}, err
	}
	f, err := c.dialect.frames.parse(p.data, c.dialect.commands)
	if err != nil {
		p.free()
		return rawFrame{}, err
	}
	return rawFrame{f, p}, nil
}

// readWebSocket reads one WebSocket message of at most limit bytes, which must be of the
// given kind. It calls limit when the message begins to arrive, which SetLimits may have changed
// since the call. It takes no buffer before that, and the buffer grows only with what has arrived.
func (c *Conn) readWebSocket(kind int, limit func() int64) (pooled, error) {
	in := c.attach()
	if p, ok := c.takeWhole(kind, limit); ok {
		return p, nil
	}
	in.ws.SetReadLimit(0) // none for the first fragment, which appendAll checks
	got, r, err := in.ws.NextReader()
	if err != nil {
		return pooled{}, c.readError(err)
	}
	c.liveness.begin()
	most := limit()
	in.ws.SetReadLimit(most)
	p := pooled{buffer: scratch.Get().(*[]byte)}
	p.data, err = appendAll((*p.buffer)[:0], r, in, most)
	*p.buffer = p.data[:0]
	if err != nil {
		p.free()
		return pooled{}, c.readError(err)
	}
	c.liveness.heard.Store(true)
	if len(c.channel.frames) == 0 {
		c.liveness.end()
	}
	if got != kind {
		p.free()
		return pooled{}, &CloseError{Code: CodeUnsupported, Reason: unsupported[got]}
	}
	return p, nil
}

// unsupported has the reason to refuse a WebSocket message, by its kind.
var unsupported = map[int]string{
	websocket.TextMessage:   "text frame: this protocol is binary",
	websocket.BinaryMessage: "binary frame: this protocol is text",
}

// appendAll appends what r holds to dst. The memory at most doubles at a time, so that its
// size follows what has arrived and copying costs as much per byte whatever the size; and it
// ends with the frame, if in, which can be nil, knows where that is. More than most bytes are
// errTooLong, as soon as a frame announces them.
func appendAll(dst []byte, r io.Reader, in *reader, most int64) ([]byte, error) {
	for {
		if in.announced() > most-int64(len(dst)) { // a sum could overflow
			return dst, errTooLong
		}
		if len(dst) == cap(dst) {
			dst = grow(dst, in)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// grow returns dst with more room.
func grow(dst []byte, in *reader) []byte {
	size := max(2*cap(dst), scratchSize)
	if in != nil {
		// left is what the client says, up to the largest int.
		if left, last := in.frames.Left(); last && left > 0 && left < size-len(dst) {
			size = len(dst) + left + 1 // room to find the end
		}
	}
	return append(make([]byte, 0, size), dst...)
}

// errTooLong is what appendAll returns for what is longer than it may be.
var errTooLong = errors.New("zws: WebSocket message longer than permitted")

const tooLargeText = "larger than this server accepts"

// readError translates an error of the WebSocket library, all of which are final.
func (c *Conn) readError(err error) error {
	c.reader.ended = true
	if v := c.reader.verdict; v != nil {
		if v.Code == CodeTooLarge {
			v.Reason = tooLargeText
		}
		return v
	}
	if err == errTooLong || errors.Is(err, websocket.ErrReadLimit) {
		return &CloseError{Code: CodeTooLarge, Reason: tooLargeText}
	}
	c.readEnded = true
	if peer, ok := errors.AsType[*websocket.CloseError](err); ok && peer.Code != websocket.CloseAbnormalClosure {
		return &CloseError{Code: Code(peer.Code), Reason: peer.Text, Err: ErrPeerClosed}
	}
	if isTimeout(err) {
		return fmt.Errorf("%w: %w", zmtp.ErrHandshakeTimeout, err)
	}
	return &CloseError{Code: CodeAbnormal, Err: fmt.Errorf("%w: %w", ErrPeerClosed, err)}
}

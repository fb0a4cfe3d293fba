package zws

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// frameOverhead is how much longer than its body a frame may be on the wire: the flag
// octet, the name of a SUBSCRIBE, the rest of a CURVE MESSAGE (33 octets).
const frameOverhead = 64

// ReadMessage reads the client's next message, which is the caller's. Subscriptions have
// the form 01|00 + topic, in whatever form they came. After any error the session is over
// and the error is its cause, a *CloseError. One goroutine reads at a time; after Close it
// returns within two seconds.
func (c *Channel) ReadMessage() (zmtp.Message, error) {
	if c.mux != nil {
		return c.mux.readMessage()
	}
	s := c.conn
	if s.ctx.Err() != nil {
		return nil, s.Cause()
	}
	s.reading <- struct{}{}
	defer func() { <-s.reading }()
	if len(c.first) > 0 {
		m := c.first[0]
		c.first = c.first[1:]
		return m, nil
	}
	s.liveness.listening.Store(true)
	defer s.liveness.listening.Store(false)
	s.wire.await()
	for {
		m, err := s.dialect.read(c)
		if err != nil {
			s.Close(err)
		}
		if s.ctx.Err() != nil {
			return nil, s.Cause()
		}
		if m != nil {
			return m, nil
		}
	}
}

// readFrames reads one frame; it gives the message that the frame completes, if it does.
func (c *Channel) readFrames() (zmtp.Message, error) {
	f, err := c.conn.readFrame(c.conn.frameLimit(c))
	if err != nil {
		return nil, err
	}
	defer f.free()
	return c.take(f.Frame)
}

// frameLimit is how long the next WebSocket message may be.
func (s *Conn) frameLimit(c *Channel) int64 {
	limit := s.maxMessage - c.size
	if s.renewal != nil && len(c.frames) == 0 {
		limit = max(limit, s.renewal.options.MaxHandshake)
	}
	return limit + frameOverhead
}

// take adds a frame to the message that is being read, and returns it when it is whole.
func (c *Channel) take(f zmtp.Frame) (zmtp.Message, error) {
	s := c.conn
	if s.mechanism != nil {
		var err error
		if f, err = s.mechanism.Decode(f); err != nil {
			return nil, err
		}
	}
	if f.Command {
		if len(c.frames) > 0 {
			return nil, &CloseError{Code: CodeProtocol, Reason: "a command inside a message"}
		}
		return s.command(f.Body)
	}
	c.size += int64(len(f.Body))
	if err := s.tooLarge(c.size, len(c.frames)+1); err != nil {
		return nil, err
	}
	c.frames = append(c.frames, append(make([]byte, 0, len(f.Body)), f.Body...))
	if f.More {
		return nil, nil
	}
	m := zmtp.Message(c.frames)
	c.frames, c.size = nil, 0
	if s.dialect.normalise != nil {
		s.dialect.normalise(s.Login(), m)
	}
	return m, nil
}

// tooLarge tells whether a message of that many octets and frames is.
func (s *Conn) tooLarge(size int64, frames int) error {
	switch {
	case size > s.maxMessage:
		return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("message longer than %d octets", s.maxMessage)}
	case frames > s.maxFrames:
		return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("message of more than %d frames", s.maxFrames)}
	}
	return nil
}

// command acts on a command of the client after READY. One that means nothing here is
// ignored: PING and PONG have no use beside WebSocket's own, and only SUB and XSUB
// subscribe (37/ZMTP).
func (s *Conn) command(body []byte) (zmtp.Message, error) {
	c, err := zmtp.ParseCommand(body)
	if err != nil {
		return nil, err
	}
	may := s.Login().SocketType.Subscribes()
	switch {
	case c.Name == "SUBSCRIBE" && may:
		return subscription(1, c.Data), nil
	case c.Name == "CANCEL" && may:
		return subscription(0, c.Data), nil
	case c.Name == "HELLO":
		return nil, s.renew(c.Data)
	}
	return nil, nil
}

func subscription(first byte, topic []byte) zmtp.Message {
	return zmtp.Message{append(append(make([]byte, 0, 1+len(topic)), first), topic...)}
}

// rawFrame is a frame whose body lies in a pooled buffer.
type rawFrame struct {
	zmtp.Frame
	pooled
}

// pooled is the octets of a WebSocket message in a buffer that others use afterwards.
type pooled struct {
	octets []byte
	buffer *[]byte
}

const (
	scratchSize = 4 << 10
	keptScratch = 64 << 10
)

var scratch = sync.Pool{New: func() any {
	b := make([]byte, 0, scratchSize)
	return &b
}}

func (p pooled) free() {
	if cap(*p.buffer) <= keptScratch {
		scratch.Put(p.buffer)
	}
}

// readFrame reads one WebSocket message of at most limit octets as a frame.
func (s *Conn) readFrame(limit int64) (rawFrame, error) {
	p, err := s.readOctets(websocket.BinaryMessage, limit)
	if err != nil {
		return rawFrame{}, err
	}
	f, err := s.dialect.frames.parse(p.octets, s.dialect.commands)
	if err != nil {
		p.free()
		return rawFrame{}, err
	}
	return rawFrame{f, p}, nil
}

// readOctets reads one WebSocket message of at most limit octets, which has to be of the
// given kind. No buffer is taken before something has arrived, and none grows ahead of
// what has.
func (s *Conn) readOctets(kind int, limit int64) (pooled, error) {
	s.ws.SetReadLimit(limit)
	got, r, err := s.ws.NextReader()
	if err != nil {
		return pooled{}, s.readError(err)
	}
	p := pooled{buffer: scratch.Get().(*[]byte)}
	p.octets, err = appendAll((*p.buffer)[:0], r)
	*p.buffer = p.octets[:0]
	if err != nil {
		p.free()
		return pooled{}, s.readError(err)
	}
	s.liveness.heard.Store(true)
	if got != kind {
		p.free()
		return pooled{}, &CloseError{Code: CodeUnsupported, Reason: unsupported[got]}
	}
	return p, nil
}

// unsupported says by the kind of a WebSocket message why it is not taken.
var unsupported = map[int]string{
	websocket.TextMessage:   "text frame: this protocol is binary",
	websocket.BinaryMessage: "binary frame: this protocol is text",
}

// appendAll appends what r holds to dst.
func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
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

// readError makes a cause of an error of the WebSocket library, all of which are final.
func (s *Conn) readError(err error) error {
	if v := s.wire.verdict; v != nil {
		if v.Code == CodeTooLarge {
			v.Reason = "larger than this server takes"
		}
		return v
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		return &CloseError{Code: CodeTooLarge, Reason: "larger than this server takes"}
	}
	s.readEnded = true
	if peer, ok := errors.AsType[*websocket.CloseError](err); ok && peer.Code != websocket.CloseAbnormalClosure {
		return &CloseError{Code: Code(peer.Code), Reason: peer.Text, Err: ErrPeerClosed}
	}
	if isTimeout(err) {
		return fmt.Errorf("%w: %w", zmtp.ErrHandshakeTimeout, err)
	}
	return &CloseError{Code: CodeAbnormal, Err: fmt.Errorf("%w: %w", ErrPeerClosed, err)}
}

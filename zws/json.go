package zws

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// jsonCodec is the codec of ZWSJSON1.0: one object per text message (PROTOCOL.md,
// "ZWSJSON1.0").
type jsonCodec struct {
	marks bool // messages contain their positions
	// batch is set for clients that get arrays: the objects have no WebSocket header, which
	// the Batch adds, and a comma before each.
	batch bool
}

// batchCodecs are those of clients that get arrays.
var batchCodecs = codecs{jsonCodec{batch: true}, jsonCodec{marks: true, batch: true}}

// AppendMessage implements Codec.
func (c jsonCodec) AppendMessage(dst []byte, m zmtp.Message, at []byte) []byte {
	if !c.marks {
		at = nil
	}
	object := func(dst []byte) []byte { return appendObject(dst, m, mark{at: at}) }
	if c.batch {
		return object(append(dst, ','))
	}
	return appendText(dst, object)
}

// appendObject appends a message.
func appendObject(dst []byte, m zmtp.Message, k mark) []byte {
	dst = append(dst, `{"op":"message","frames":[`...)
	for i, frame := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONFrame(dst, frame)
	}
	dst = append(dst, ']')
	if k.at != nil {
		dst = appendJSONPosition(dst, k.at)
	}
	if k.micros > 0 {
		dst = time.UnixMicro(int64(k.micros)).UTC().AppendFormat(dst, `,"time":"`+jsonTime+`"`)
	}
	return append(dst, '}')
}

// appendJSONFrame appends a frame: a string, or {"b64":"…"} if it is not UTF-8.
func appendJSONFrame(dst, frame []byte) []byte {
	if utf8.Valid(frame) {
		return appendString(dst, frame)
	}
	dst = append(dst, `{"b64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, frame)
	return append(dst, `"}`...)
}

// appendString appends s, which is UTF-8, as a JSON string (RFC 8259, section 7).
func appendString[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c >= ' ' {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}

// appendText appends what encode appends as one text frame.
func appendText(dst []byte, encode func(dst []byte) []byte) []byte {
	start := len(dst)
	dst = encode(append(dst, make([]byte, wsframe.MaxHeader)...)) // the length is not known yet
	body := dst[start+wsframe.MaxHeader:]
	header := wsframe.AppendHeader(make([]byte, 0, wsframe.MaxHeader), wsframe.Text, len(body))
	n := copy(dst[start:], header)
	n += copy(dst[start+n:], body)
	return dst[:start+n]
}

// object appends a message that is not shared with other connections.
func (b *Batch) object(m zmtp.Message, k mark) error {
	return b.text(func(dst []byte) []byte { return appendObject(dst, m, k) })
}

// text appends what f appends, an object, as one text frame, or to the array for a client that
// gets arrays.
func (b *Batch) text(f func(dst []byte) []byte) error {
	if b.conn.arrays.Load() {
		start := len(b.array)
		b.array = f(append(b.array, ','))
		b.size += len(b.array) - start
		return nil
	}
	b.encode(func(dst []byte) []byte { return appendText(dst, f) })
	return nil
}

// endArray appends the objects that wait as one text frame: an array.
func (b *Batch) endArray() {
	if len(b.array) == 0 {
		return
	}
	objects := b.array[1:] // without the first comma
	b.array = b.array[:0]
	b.own = wsframe.AppendHeader(b.own, wsframe.Text, len(objects)+2)
	b.own = append(append(append(b.own, '['), objects...), ']')
}

// jsonNotifier is the notifier of ZWSJSON1.0.
type jsonNotifier struct{}

func (jsonNotifier) enabled(*Login) bool { return true }

func (jsonNotifier) lost(b *Batch, n uint64) error {
	return b.text(func(dst []byte) []byte {
		dst = append(dst, `{"op":"lost","count":`...)
		return append(strconv.AppendUint(dst, n, 10), '}')
	})
}

func (jsonNotifier) expiring(b *Batch, seconds uint32) error {
	return b.text(func(dst []byte) []byte {
		dst = append(dst, `{"op":"expiring","seconds":`...)
		return append(strconv.AppendUint(dst, uint64(seconds), 10), '}')
	})
}

func (jsonNotifier) unsubscribed(b *Batch, topic []byte) error {
	return b.text(func(dst []byte) []byte {
		dst = append(dst, `{"op":"unsubscribed","topic":`...)
		return append(appendJSONFrame(dst, topic), '}')
	})
}

func (jsonNotifier) pong(b *Batch, _ []byte) error {
	return b.text(func(dst []byte) []byte { return append(dst, `{"op":"pong"}`...) })
}

func (jsonNotifier) renewed(c *Conn) { c.sendReadyObject() }

// closing appends the reason as an object too, because a page that handles messages then
// gets it together with the rest.
func (jsonNotifier) closing(b *Batch, cause *CloseError) {
	if cause.Code == CodeNormal || errors.Is(cause, ErrPeerClosed) {
		return
	}
	_ = b.text(func(dst []byte) []byte {
		dst = strconv.AppendInt(append(dst, `{"op":"error","code":`...), int64(cause.Code), 10)
		dst = appendString(append(dst, `,"reason":`...), cause.wireReason())
		if cause.RetryAfter > 0 {
			dst = strconv.AppendInt(append(dst, `,"retry":`...), int64(cause.retrySeconds()), 10)
		}
		return append(dst, '}')
	})
}

// sendReadyObject queues the object that ZWSJSON1.0 has instead of READY.
func (c *Conn) sendReadyObject() {
	ready := `{"op":"ready"}`
	if c.channel.history.marked {
		ready = `{"op":"ready","history":true}`
	}
	if c.arrays.Load() {
		ready = "[" + ready + "]"
	}
	c.enqueue(appendText(nil, func(dst []byte) []byte { return append(dst, ready...) }))
}

// awaitLogin is the first-message rule of ZWSJSON1.0: an object with op "login". With a user
// name and password it is a PLAIN login, with a token a BEARER login, and with neither the
// login of the HTTP request, if that has one.
func (h *handshake) awaitLogin(ctx context.Context) error {
	request, err := h.receiveObject()
	if err != nil {
		return err
	}
	h.login.History, h.login.Queue = request.history, request.queue
	if request.batch {
		h.conn.arrays.Store(true)
		h.login.codecs = &batchCodecs
	}
	if request.op != opLogin {
		return protocolError(`the first object must be {"op":"login",…}`)
	}
	if err := h.useCredentials(request.credentials()); err != nil {
		return err
	}
	return h.authenticate(ctx)
}

// receiveObject reads one object of the handshake, in what is left of the client's time.
func (h *handshake) receiveObject() (*jsonRequest, error) {
	defer h.waitForClient()()
	return h.conn.readRequest(func() int64 { return h.options.MaxHandshake }, false)
}

// credentials returns those of a login object.
func (r *jsonRequest) credentials() credentials {
	switch {
	case r.has["token"]:
		return bearer(r.token)
	case r.has["user"]:
		return credentials{zap.PLAIN, [][]byte{[]byte(r.user), []byte(r.password)}}
	}
	return credentials{mechanism: zap.NULL}
}

// useCredentials replaces the credentials of the HTTP request by the client's own, if it has
// any, and checks that the route accepts their kind.
func (h *handshake) useCredentials(own credentials) error {
	switch {
	case own.mechanism != zap.NULL:
		h.credentials = own
	case h.unreadable != nil:
		return h.unreadable
	}
	h.login.Mechanism = h.credentials.mechanism
	return checkMechanism(h.login.Mechanism, h.options)
}

// readRequest reads one text message of at most limit bytes as an object. history is set if the
// client has asked for that.
func (c *Conn) readRequest(limit func() int64, history bool) (*jsonRequest, error) {
	p, err := c.readWebSocket(websocket.TextMessage, limit)
	if err != nil {
		return nil, err
	}
	defer p.free()
	return parseRequest(p.data, int(c.maxFrames.Load()), history)
}

// textLimit is how long an object with a message of maxMessage bytes can be: base64 needs 4
// bytes for 3, and each of a reasonable number of frames its quotes. A text of control
// characters, six bytes each, can be longer and is better sent as base64.
func textLimit(maxMessage int64) int64 { return 2*maxMessage + 4<<10 }

// readObject reads one object, does what it asks for, and returns the message if it is one.
func (ch *Channel) readObject() (zmtp.Message, error) {
	c := ch.conn
	r, err := c.readRequest(func() int64 {
		return max(textLimit(c.maxMessage.Load()), c.renewal.options.maxHandshake)
	}, ch.history.asked)
	if err != nil {
		return nil, err
	}
	if asked := r.historyRequest(); asked != nil {
		return nil, ch.ask(asked)
	}
	switch r.op {
	case opSend:
		return r.frames, c.checkSize(int64(r.frames.Size()), len(r.frames))
	case opSubscribe, opUnsubscribe:
		if t := c.Login().SocketType; !t.Subscribes() {
			return nil, noSubscriptions(t)
		}
		return zmtp.Subscription{Topic: r.topic, Cancel: r.op == opUnsubscribe}.Message(), nil
	case opPing:
		return nil, c.answerHeartbeat(nil)
	}
	if !r.has["token"] || c.Login().Mechanism != zap.BEARER {
		return nil, errSecondLogin
	}
	if r.has["history"] || r.has["queue"] || r.has["batch"] {
		return nil, errRenewedLogin
	}
	return nil, c.renew([]byte(r.token))
}

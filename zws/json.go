package zws

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// jsonObjects is the codec and the teller of ZWSJSON1.0: one object a text message. See
// PROTOCOL.md, "ZWSJSON1.0".
type jsonObjects struct{}

// AppendMessage implements Codec.
func (jsonObjects) AppendMessage(dst []byte, m zmtp.Message) []byte {
	return appendText(dst, func(dst []byte) []byte {
		dst = append(dst, `{"op":"message","frames":[`...)
		for i, frame := range m {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendFrame(dst, frame)
		}
		return append(dst, "]}"...)
	})
}

// appendFrame appends a frame: a string, or where it is not UTF-8 {"b64":"…"}.
func appendFrame(dst, frame []byte) []byte {
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

// maxHeader is how long the header of an unmasked WebSocket frame may be.
const maxHeader = 10

// appendText appends what encode appends as one text frame.
func appendText(dst []byte, encode func(dst []byte) []byte) []byte {
	start := len(dst)
	dst = encode(append(dst, make([]byte, maxHeader)...)) // its length is not yet known
	body := dst[start+maxHeader:]
	header := appendDataHeader(make([]byte, 0, maxHeader), wsText, len(body))
	n := copy(dst[start:], header)
	n += copy(dst[start+n:], body)
	return dst[:start+n]
}

// object appends a message that is not shared with other sessions.
func (b *Batch) object(m zmtp.Message) error {
	b.encoded(func(dst []byte) []byte { return jsonObjects{}.AppendMessage(dst, m) })
	return nil
}

func (jsonObjects) listens(*Login) bool { return true }

func (jsonObjects) lost(b *Batch, n uint64) error {
	return b.number(`{"op":"lost","count":`, n)
}

func (jsonObjects) expiring(b *Batch, seconds uint32) error {
	return b.number(`{"op":"expiring","seconds":`, uint64(seconds))
}

func (jsonObjects) unsubscribed(b *Batch, topic []byte) error {
	b.encoded(func(dst []byte) []byte {
		return appendText(dst, func(dst []byte) []byte {
			return append(appendFrame(append(dst, `{"op":"unsubscribed","topic":`...), topic), '}')
		})
	})
	return nil
}

// number appends an object that ends with n.
func (b *Batch) number(before string, n uint64) error {
	b.encoded(func(dst []byte) []byte {
		return appendText(dst, func(dst []byte) []byte {
			return append(strconv.AppendUint(append(dst, before...), n, 10), '}')
		})
	})
	return nil
}

func (jsonObjects) renewed(s *Conn) { s.ready() }

// ready queues what stands for READY.
func (s *Conn) ready() {
	s.enqueue(appendText(nil, func(dst []byte) []byte { return append(dst, `{"op":"ready"}`...) }))
}

// farewell tells the reason as an object too, since a page that handles messages has it
// there with the rest; and all of it, where a close frame has room for 123 octets.
func (jsonObjects) farewell(b *Batch, cause *CloseError) {
	if cause.Code == CodeNormal || errors.Is(cause, ErrPeerClosed) {
		return
	}
	b.encoded(func(dst []byte) []byte {
		return appendText(dst, func(dst []byte) []byte {
			dst = strconv.AppendInt(append(dst, `{"op":"error","code":`...), int64(cause.Code), 10)
			dst = appendString(append(dst, `,"reason":`...), cutReason(cause.Reason))
			return append(dst, '}')
		})
	})
}

// awaitLogin is the first-message rule of ZWSJSON1.0: an object with op "login", which
// "ready" answers. With a user name and password it is a PLAIN login, with a token a
// BEARER login, and with neither the login that the HTTP request carries, if any.
func (h *handshake) awaitLogin(ctx context.Context) error {
	request, err := h.receiveObject()
	if err != nil {
		return err
	}
	if request.op != opLogin {
		return &CloseError{Code: CodeProtocol, Reason: `the first object has to be {"op":"login",…}`}
	}
	if err := h.chooseCredentials(request.credentials()); err != nil {
		return err
	}
	return h.authenticate(ctx)
}

// receiveObject reads one object of the handshake, in what is left of the client's time.
func (h *handshake) receiveObject() (*jsonRequest, error) {
	defer h.waitForClient()()
	return h.conn.readRequest(h.options.MaxHandshake)
}

// credentials are those of a login object.
func (r *jsonRequest) credentials() credentials {
	switch {
	case r.has["token"]:
		return bearer(r.token)
	case r.has["user"]:
		return credentials{zap.PLAIN, [][]byte{[]byte(r.user), []byte(r.password)}}
	}
	return credentials{mechanism: zap.NULL}
}

// chooseCredentials takes the client's own credentials, if it has any, in place of those of
// the HTTP request, and tells whether the route takes their kind.
func (h *handshake) chooseCredentials(own credentials) error {
	switch {
	case own.mechanism != zap.NULL:
		h.credentials = own
	case h.unreadable != nil:
		return h.unreadable
	}
	h.login.Mechanism = h.credentials.mechanism
	return mechanismTaken(h.login.Mechanism, h.options)
}

// readRequest reads one text message of at most limit octets as an object.
func (s *Conn) readRequest(limit int64) (*jsonRequest, error) {
	p, err := s.readOctets(websocket.TextMessage, limit)
	if err != nil {
		return nil, err
	}
	defer p.free()
	return parseRequest(p.octets, s.maxFrames)
}

// textLimit is how long an object may be that carries a message of maxMessage octets:
// base64 needs 4 octets for 3, and each of a reasonable number of frames its marks. A text
// of control characters, six octets each, may come to be longer and is better sent as base64.
func textLimit(maxMessage int64) int64 { return 2*maxMessage + 4<<10 }

// readObject reads one object and does what it asks for; it gives the message, if it is one.
func (c *Channel) readObject() (zmtp.Message, error) {
	s := c.conn
	r, err := s.readRequest(max(textLimit(s.maxMessage), s.renewal.options.MaxHandshake))
	if err != nil {
		return nil, err
	}
	switch r.op {
	case opSend:
		return r.frames, s.tooLarge(int64(r.frames.Size()), len(r.frames))
	case opSubscribe, opUnsubscribe:
		if t := s.Login().SocketType; !t.Subscribes() {
			return nil, &CloseError{Code: CodeProtocol, Reason: "no subscriptions here: on this route you are a " + string(t)}
		}
		if r.op == opSubscribe {
			return subscription(1, r.topic), nil
		}
		return subscription(0, r.topic), nil
	}
	if !r.has["token"] || s.Login().Mechanism != zap.BEARER {
		return nil, &CloseError{Code: CodeProtocol, Reason: "a second login: only one by token can be renewed, by a token"}
	}
	return nil, s.renew([]byte(r.token))
}

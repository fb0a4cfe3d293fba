package muxframe

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The ops of ZWSMUX1.0: the first byte of a frame.
const (
	Login        byte = 0x01
	Ready        byte = 0x02
	Open         byte = 0x03
	Opened       byte = 0x04
	Messages     byte = 0x05
	Credit       byte = 0x06
	Close        byte = 0x07
	Lost         byte = 0x08
	Expiring     byte = 0x09
	Unsubscribed byte = 0x0a
	Relay        byte = 0x0b
	Relayed      byte = 0x0c

	Ping byte = 0x15
	Pong byte = 0x16

	// History.
	OpenHistory   byte = 0x0d
	OpenedHistory byte = 0x0e
	Marked        byte = 0x0f
	Resume        byte = 0x10
	Resumed       byte = 0x11
	Live          byte = 0x12
	Ack           byte = 0x13
	Last          byte = 0x14

	Bundle byte = 0x17
)

// The flags of ops.
const (
	// FlagQueue is that of OpenHistory for a queue with a name.
	FlagQueue byte = 0x01
	// FlagHistory is that of OpenedHistory for a route with a history.
	FlagHistory byte = 0x01
	// FlagRecovered and FlagGap are those of Resumed.
	FlagRecovered byte = 0x01
	FlagGap       byte = 0x02
)

const (
	// MaxCredit is the most credit that a channel can have in one direction, in bytes.
	MaxCredit = 1<<31 - 1
	// MaxShort is the longest field with a length of one byte: a socket type or a routing id.
	MaxShort = 1<<8 - 1
	// MaxContext is the longest context of a ping (37/ZMTP).
	MaxContext = 16
	// MaxLong is the longest field with a length of two bytes: a route or a subscription.
	MaxLong = 1<<16 - 1
)

// Frame is a frame of ZWSMUX1.0, one WebSocket message unless it is in a bundle. Which fields it
// has depends on Op.
type Frame struct {
	Op      byte
	Channel uint32
	// Number is how many channels may be open (Ready), the credit in bytes (Open, Relay,
	// Opened, Relayed, OpenHistory, OpenedHistory, Credit), the count (Lost) or the seconds
	// (Expiring).
	Number   uint64
	Minor    byte        // version of ZMTP 3 (Relayed)
	Login    Credentials // Login
	Open     Request     // Open, Relay, OpenHistory
	Messages []byte      // one or more, encoded (Messages, Marked)
	Bundle   []byte      // one or more frames, for Unbundle (Bundle)
	Topic    []byte      // Unsubscribed, Last
	Topics   [][]byte    // Resume
	Context  []byte      // Ping, Pong
	At       []byte      // position (Resume, Resumed, Live, Ack)
	Flags    byte        // OpenedHistory, Resumed
	Code     uint16      // Close
	Reason   string      // Close
}

// Credentials are what a client logs in with: none for NULL; user name and password for
// PLAIN; the token for BEARER; for any other mechanism, the rest of the frame.
type Credentials struct {
	Mechanism zap.Mechanism
	Frames    [][]byte
}

// Request is what a client opens a channel for. Of Relay frames it has Relay and Route.
type Request struct {
	Route      string
	SocketType zmtp.SocketType
	RoutingID  []byte
	Relay      zap.Mechanism
	Subscribe  [][]byte
	History    bool    // OpenHistory
	Queue      *string // of OpenHistory; nil without a name
}

// Error is a frame that breaks the protocol. Its text can be sent to the peer.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

func faultf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Parse reads one WebSocket message. The frame aliases p. The error is an *Error. The
// messages of a frame are not looked at, see CheckMessages, nor the frames of a bundle.
func Parse(p []byte) (Frame, error) {
	c := cursor{rest: p}
	f := Frame{Op: byte(c.uint(1))}
	switch f.Op {
	case Login:
		f.Login = c.credentials()
	case Ready, Expiring:
		f.Number = c.uint(4)
	case Open:
		f.Channel, f.Number = uint32(c.uint(4)), c.uint(4)
		f.Open = c.request()
		f.Open.Subscribe = c.topics()
	case Opened, Credit:
		f.Channel, f.Number = uint32(c.uint(4)), c.uint(4)
	case Relay:
		f.Channel, f.Number = uint32(c.uint(4)), c.uint(4)
		f.Open.Relay = zap.Mechanism(c.field(1))
		f.Open.Route = string(c.field(2))
	case Relayed:
		f.Channel, f.Number, f.Minor = uint32(c.uint(4)), c.uint(4), byte(c.uint(1))
	case Messages, Marked:
		f.Channel, f.Messages = uint32(c.uint(4)), c.all()
	case Close:
		f.Channel, f.Code = uint32(c.uint(4)), uint16(c.uint(2))
		reason := c.all()
		if len(reason) > wsframe.MaxReason || !utf8.Valid(reason) {
			return f, faultf("the reason of a close must be UTF-8 of at most %d bytes", wsframe.MaxReason)
		}
		f.Reason = string(reason)
	case Lost:
		f.Channel, f.Number = uint32(c.uint(4)), c.uint(8)
	case Unsubscribed, Last:
		f.Channel, f.Topic = uint32(c.uint(4)), c.all()
	case Bundle:
		if f.Bundle = c.all(); len(p) > MaxBundle {
			return f, faultf("a bundle of %d bytes: at most %d are allowed", len(p), MaxBundle)
		}
	case Ping, Pong:
		if f.Context = c.all(); len(f.Context) > MaxContext {
			return f, faultf("the context of op %02x must be at most %d bytes", f.Op, MaxContext)
		}
	default:
		if err := f.parseHistory(&c); err != nil {
			return f, err
		}
	}
	if c.short || len(c.rest) > 0 {
		return f, faultf("op %02x is too short or too long", f.Op)
	}
	return f, nil
}

// Append appends the frame as Parse reads it.
func (f *Frame) Append(dst []byte) []byte {
	dst = append(dst, f.Op)
	switch f.Op {
	case Login:
		return f.Login.append(dst)
	case Ready, Expiring:
		return binary.BigEndian.AppendUint32(dst, uint32(f.Number))
	case Ping, Pong:
		return append(dst, f.Context...)
	case Bundle:
		return append(dst, f.Bundle...)
	}
	dst = binary.BigEndian.AppendUint32(dst, f.Channel)
	switch f.Op {
	case Open:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.Number))
		dst = f.Open.append(dst)
		dst = appendTopics(dst, f.Open.Subscribe)
	case Opened, Credit:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.Number))
	case Relay:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.Number))
		dst = appendField(dst, 1, string(f.Open.Relay))
		dst = appendField(dst, 2, f.Open.Route)
	case Relayed:
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(f.Number)), f.Minor)
	case Messages, Marked:
		dst = append(dst, f.Messages...)
	case Close:
		dst = append(binary.BigEndian.AppendUint16(dst, f.Code), f.Reason...)
	case Lost:
		dst = binary.BigEndian.AppendUint64(dst, f.Number)
	case Unsubscribed, Last:
		dst = append(dst, f.Topic...)
	default:
		dst = f.appendHistory(dst)
	}
	return dst
}

// WebSocket returns the frame as one WebSocket frame of a server.
func (f *Frame) WebSocket() []byte {
	p := f.Append(nil)
	return append(wsframe.AppendHeader(nil, wsframe.Binary, len(p)), p...)
}

// append appends the mechanism's name, then for PLAIN user name and password in the form of
// HELLO (24/ZMTP-PLAIN), for BEARER the token.
func (c Credentials) append(dst []byte) []byte {
	dst = appendField(dst, 1, string(c.Mechanism))
	for _, frame := range c.Frames {
		if c.Mechanism == zap.PLAIN {
			dst = appendField(dst, 1, string(frame))
		} else {
			dst = append(dst, frame...)
		}
	}
	return dst
}

func appendField(dst []byte, n int, s string) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(len(s)>>(8*i)))
	}
	return append(dst, s...)
}

// cursor reads fields. Once a field is incomplete, short is set and all further fields are
// empty.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) { // compared before it becomes an int, which may have 32 bits
		c.short, c.rest = true, nil
		return nil
	}
	p := c.rest[:n:n]
	c.rest = c.rest[n:]
	return p
}

func (c *cursor) all() []byte { return c.take(uint64(len(c.rest))) }

// uint reads a number of n bytes in network order.
func (c *cursor) uint(n uint64) (v uint64) {
	for _, b := range c.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

// field reads bytes that follow their length, a number of n bytes.
func (c *cursor) field(n uint64) []byte { return c.take(c.uint(n)) }

func (c *cursor) credentials() Credentials {
	switch m := zap.Mechanism(c.field(1)); m {
	case zap.NULL:
		return Credentials{Mechanism: m}
	case zap.PLAIN:
		return Credentials{m, [][]byte{c.field(1), c.field(1)}}
	default:
		return Credentials{m, [][]byte{c.all()}} // BEARER, or one that no server accepts
	}
}

package zws

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The ops of ZWSMUX1.0 (PROTOCOL.md, "ZWSMUX1.0"): the first octet of a WebSocket message.
const (
	muxLogin        = 0x01
	muxReady        = 0x02
	muxOpen         = 0x03
	muxOpened       = 0x04
	muxMessages     = 0x05
	muxCredit       = 0x06
	muxClose        = 0x07
	muxLost         = 0x08
	muxExpiring     = 0x09
	muxUnsubscribed = 0x0a
	muxRelay        = 0x0b
	muxRelayed      = 0x0c
)

// maxCredit is how much credit a channel may have in one direction, in octets.
const maxCredit = 1<<31 - 1

// muxFrame is one WebSocket message of ZWSMUX1.0. Which fields count depends on the op.
type muxFrame struct {
	op      byte
	channel uint32
	// number is the channels that may be open (ready), the credit (open, relay, opened,
	// relayed, credit), the count (lost) or the seconds (expiring).
	number   uint64
	minor    byte        // of ZMTP 3 (relayed)
	login    credentials // login
	open     ChannelRequest
	messages []byte // one or more, encoded
	topic    []byte // unsubscribed
	code     Code   // close
	reason   string // close
}

// ChannelRequest is what a client of ZWSMUX1.0 opens a channel for.
type ChannelRequest struct {
	// Route names what the channel is to be connected with: for a bridge, a path.
	Route string
	// SocketType is the client's; empty if it leaves that to the route.
	SocketType zmtp.SocketType
	// RoutingID is what the client calls itself there, 0 to 255 octets.
	RoutingID []byte
	// Relay is the mechanism that the client speaks with who is behind (op relay); empty for
	// a channel that is not to be relayed. With it, all but Route is left to the handshake
	// there.
	Relay zap.Mechanism
	// Subscribe are the channel's first subscriptions. The channel gives them out as its
	// first messages. Where SocketType is empty nobody has looked yet whether the route
	// takes the client for one that subscribes.
	Subscribe [][]byte
}

// parseMuxFrame reads one WebSocket message. The frame aliases p.
func parseMuxFrame(p []byte) (f muxFrame, err error) {
	c := cursor{rest: p}
	f.op = byte(c.uint(1))
	switch f.op {
	case muxLogin:
		f.login = c.credentials()
	case muxReady:
		f.number = c.uint(4)
	case muxOpen:
		f.channel, f.number = uint32(c.uint(4)), c.uint(4)
		f.open.SocketType = zmtp.SocketType(c.field(1))
		f.open.RoutingID = c.field(1)
		f.open.Route = string(c.field(2))
		for len(c.rest) > 0 && !c.short {
			f.open.Subscribe = append(f.open.Subscribe, c.field(2))
		}
	case muxOpened, muxCredit:
		f.channel, f.number = uint32(c.uint(4)), c.uint(4)
	case muxRelay:
		f.channel, f.number = uint32(c.uint(4)), c.uint(4)
		f.open.Relay = zap.Mechanism(c.field(1))
		f.open.Route = string(c.field(2))
	case muxRelayed:
		f.channel, f.number, f.minor = uint32(c.uint(4)), c.uint(4), byte(c.uint(1))
	case muxMessages:
		f.channel, f.messages = uint32(c.uint(4)), c.all()
	case muxClose:
		f.channel, f.code = uint32(c.uint(4)), Code(c.uint(2))
		reason := c.all()
		if len(reason) > maxReason || !utf8.Valid(reason) {
			return f, muxFault(fmt.Sprintf("the reason of a close is not UTF-8 of at most %d octets", maxReason))
		}
		f.reason = string(reason)
	case muxLost:
		f.channel, f.number = uint32(c.uint(4)), c.uint(8)
	case muxExpiring:
		f.number = c.uint(4)
	case muxUnsubscribed:
		f.channel, f.topic = uint32(c.uint(4)), c.all()
	default:
		return f, muxFault(fmt.Sprintf("op %02x is not one of this protocol", f.op))
	}
	if c.short || len(c.rest) > 0 {
		return f, muxFault(fmt.Sprintf("op %02x is too short or too long", f.op))
	}
	return f, nil
}

func muxFault(reason string) error { return &CloseError{Code: CodeProtocol, Reason: reason} }

// append appends the frame as parseMuxFrame reads it.
func (f *muxFrame) append(dst []byte) []byte {
	dst = append(dst, f.op)
	switch f.op {
	case muxLogin:
		return f.login.append(dst)
	case muxReady, muxExpiring:
		return binary.BigEndian.AppendUint32(dst, uint32(f.number))
	}
	dst = binary.BigEndian.AppendUint32(dst, f.channel)
	switch f.op {
	case muxOpen:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.number))
		dst = appendField(dst, 1, string(f.open.SocketType))
		dst = appendField(dst, 1, string(f.open.RoutingID))
		dst = appendField(dst, 2, f.open.Route)
		for _, topic := range f.open.Subscribe {
			dst = appendField(dst, 2, string(topic))
		}
	case muxOpened, muxCredit:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.number))
	case muxRelay:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.number))
		dst = appendField(dst, 1, string(f.open.Relay))
		dst = appendField(dst, 2, f.open.Route)
	case muxRelayed:
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(f.number)), f.minor)
	case muxMessages:
		dst = append(dst, f.messages...)
	case muxClose:
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(f.code)), f.reason...)
	case muxLost:
		dst = binary.BigEndian.AppendUint64(dst, f.number)
	case muxUnsubscribed:
		dst = append(dst, f.topic...)
	}
	return dst
}

// webSocket is the frame as one WebSocket frame of a server.
func (f *muxFrame) webSocket() []byte {
	p := f.append(nil)
	return append(appendDataHeader(nil, wsBinary, len(p)), p...)
}

// append appends the credentials of a login: the mechanism's name, then for PLAIN user name
// and password as in 24/ZMTP-PLAIN, HELLO, for BEARER the token.
func (c credentials) append(dst []byte) []byte {
	dst = appendField(dst, 1, string(c.mechanism))
	for _, frame := range c.frames {
		if c.mechanism == zap.PLAIN {
			dst = appendField(dst, 1, string(frame))
		} else {
			dst = append(dst, frame...)
		}
	}
	return dst
}

// cursor reads fields. Once one is not there whole it is short, and gives zeros.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) { // before it becomes an int, which may have 32 bits
		c.short, c.rest = true, nil
		return nil
	}
	p := c.rest[:n:n]
	c.rest = c.rest[n:]
	return p
}

func (c *cursor) all() []byte { return c.take(uint64(len(c.rest))) }

// uint reads a number of n octets, in network order.
func (c *cursor) uint(n uint64) (v uint64) {
	for _, octet := range c.take(n) {
		v = v<<8 | uint64(octet)
	}
	return v
}

// field reads octets with their length in n octets before them.
func (c *cursor) field(n uint64) []byte { return c.take(c.uint(n)) }

func appendField(dst []byte, n int, s string) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(len(s)>>(8*i)))
	}
	return append(dst, s...)
}

func (c *cursor) credentials() credentials {
	switch m := zap.Mechanism(c.field(1)); m {
	case zap.NULL:
		return credentials{mechanism: m}
	case zap.PLAIN:
		return credentials{m, [][]byte{c.field(1), c.field(1)}}
	default:
		return credentials{m, [][]byte{c.all()}} // BEARER, or one that no server here takes
	}
}

// muxCodec is the codec of messages on channels: the size of all frames in 4 octets, then
// each frame with its length in 4 octets before it. WebSocket header, op and number of the
// channel are added for each client, to as many messages as go together.
type muxCodec struct{}

// AppendMessage implements Codec.
func (muxCodec) AppendMessage(dst []byte, m zmtp.Message) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.Size()+4*len(m)))
	for _, frame := range m {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(frame)))
		dst = append(dst, frame...)
	}
	return dst
}

// checkMessages tells whether p is one or more whole messages within the limits.
func checkMessages(p []byte, tooLarge func(size int64, frames int) error) error {
	if len(p) == 0 {
		return muxFault("no message in a frame for messages")
	}
	for c := (cursor{rest: p}); len(c.rest) > 0; {
		message := cursor{rest: c.field(4)}
		size, frames := int64(0), 0
		for !message.short && (frames == 0 || len(message.rest) > 0) {
			size += int64(len(message.field(4)))
			frames++
			if err := tooLarge(size, frames); err != nil {
				return err
			}
		}
		if c.short || message.short {
			return muxFault("lengths in a message that do not fit together")
		}
	}
	return nil
}

// messageSize is how many octets of p, which was checked, are its first message.
func messageSize(p []byte) int { return 4 + int(binary.BigEndian.Uint32(p)) }

// decodeMessage reads the one message that p, which was checked, is. The frames are copies.
func decodeMessage(p []byte) zmtp.Message {
	var m zmtp.Message
	for c := (cursor{rest: append([]byte(nil), p[4:]...)}); len(c.rest) > 0; {
		m = append(m, c.field(4))
	}
	return m
}

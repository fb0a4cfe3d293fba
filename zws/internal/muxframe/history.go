package muxframe

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// parseHistory reads the rest of a frame of one of the ops for history.
func (f *Frame) parseHistory(c *cursor) error {
	switch f.Op {
	case OpenHistory, OpenedHistory, Resume, Resumed, Live, Ack:
		f.Channel = uint32(c.uint(4))
	}
	switch f.Op {
	case OpenHistory:
		f.Number = c.uint(4)
		f.Open = c.request()
		flags, queue := byte(c.uint(1)), string(c.field(1))
		f.Open.Subscribe = c.topics()
		f.Open.History = true
		switch {
		case flags == FlagQueue:
			f.Open.Queue = &queue
		case flags != 0:
			return faultf("unknown flags %02x in op %02x", flags, f.Op)
		case queue != "":
			return faultf("a queue's name in op %02x without its flag", f.Op)
		}
	case OpenedHistory:
		f.Number, f.Flags = c.uint(4), byte(c.uint(1))
	case Resume:
		f.At, f.Topics = c.field(1), c.topics()
	case Resumed:
		f.Flags, f.At = byte(c.uint(1)), c.field(1)
	case Live, Ack:
		f.At = c.field(1)
	default:
		return faultf("unknown op %02x", f.Op)
	}
	return nil
}

// appendHistory appends the rest of a frame of one of the ops for history.
func (f *Frame) appendHistory(dst []byte) []byte {
	switch f.Op {
	case OpenHistory:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.Number))
		dst = f.Open.append(dst)
		if f.Open.Queue == nil {
			dst = append(dst, 0, 0)
		} else {
			dst = appendField(append(dst, FlagQueue), 1, *f.Open.Queue)
		}
		return appendTopics(dst, f.Open.Subscribe)
	case OpenedHistory:
		return append(binary.BigEndian.AppendUint32(dst, uint32(f.Number)), f.Flags)
	case Resume:
		return appendTopics(appendField(dst, 1, string(f.At)), f.Topics)
	case Resumed:
		return appendField(append(dst, f.Flags), 1, string(f.At))
	case Live, Ack:
		return appendField(dst, 1, string(f.At))
	}
	return dst
}

// request reads the fields that every request for a socket has.
func (c *cursor) request() (r Request) {
	r.SocketType = zmtp.SocketType(c.field(1))
	r.RoutingID = c.field(1)
	r.Route = string(c.field(2))
	return r
}

func (r *Request) append(dst []byte) []byte {
	dst = appendField(dst, 1, string(r.SocketType))
	dst = appendField(dst, 1, string(r.RoutingID))
	return appendField(dst, 2, r.Route)
}

// topics reads topics up to the end of the frame.
func (c *cursor) topics() (topics [][]byte) {
	for len(c.rest) > 0 && !c.short {
		topics = append(topics, c.field(2))
	}
	return topics
}

func appendTopics(dst []byte, topics [][]byte) []byte {
	for _, topic := range topics {
		dst = appendField(dst, 2, string(topic))
	}
	return dst
}

package muxframe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hexBytes are bytes in hexadecimal, with spaces between.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(strings.ReplaceAll(string(text), " ", ""))
	return err
}

// vector is a frame of ZWSMUX1.0.
type vector struct {
	Name        string
	From        string // client, server or either
	Bytes       hexBytes
	Op          string
	Mechanism   string
	Credentials []hexBytes
	Channel     uint32
	Number      uint64
	Minor       byte
	SocketType  string   `json:"socket_type"`
	RoutingID   hexBytes `json:"routing_id"`
	Route       string
	Topics      []hexBytes
	Topic       hexBytes
	Messages    [][]hexBytes
	Positions   []hexBytes // of Messages
	Times       []uint64
	Position    hexBytes
	Context     hexBytes
	Flags       byte
	Queue       *string
	Code        int
	Reason      string
	Frames      []hexBytes // of a bundle
}

type vectors struct {
	About   string
	Mux     []vector
	Invalid []vector `json:"mux_invalid"`
	JSON    []any
	// The commands of ZWS2.0 are checked by package zws.
	Commands        []any
	InvalidCommands []any `json:"commands_invalid"`
}

var ops = map[string]byte{
	"login": Login, "ready": Ready, "open": Open, "opened": Opened, "messages": Messages,
	"credit": Credit, "close": Close, "lost": Lost, "expiring": Expiring,
	"unsubscribed": Unsubscribed, "relay": Relay, "relayed": Relayed, "open-history": OpenHistory,
	"opened-history": OpenedHistory, "marked": Marked, "resume": Resume, "resumed": Resumed, "live": Live,
	"ack": Ack, "last": Last, "ping": Ping, "pong": Pong, "bundle": Bundle,
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("../../testdata/mux-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v.Mux) < len(ops) || len(v.Invalid) == 0 || len(v.JSON) == 0 {
		t.Fatal("vectors are missing")
	}
	return v
}

// frame returns the frame that the vector describes.
func (v *vector) frame() Frame {
	f := Frame{
		Flags: v.Flags, At: v.Position, Context: v.Context,
		Op: ops[v.Op], Channel: v.Channel, Number: v.Number, Minor: v.Minor, Code: uint16(v.Code), Reason: v.Reason, Topic: v.Topic,
		Login: Credentials{Mechanism: zap.Mechanism(v.Mechanism)},
		Open:  Request{Route: v.Route, SocketType: zmtp.SocketType(v.SocketType), RoutingID: v.RoutingID},
	}
	if f.Op == Relay {
		f.Open.Relay, f.Login.Mechanism = f.Login.Mechanism, ""
	}
	for _, c := range v.Credentials {
		f.Login.Frames = append(f.Login.Frames, c)
	}
	if f.Op == OpenHistory {
		f.Open.History, f.Open.Queue = true, v.Queue
	}
	for _, topic := range v.Topics {
		if f.Op == Resume {
			f.Topics = append(f.Topics, topic)
			continue
		}
		f.Open.Subscribe = append(f.Open.Subscribe, topic)
	}
	for _, frame := range v.Frames {
		f.Bundle = append(binary.BigEndian.AppendUint32(f.Bundle, uint32(len(frame))), frame...)
	}
	for i, m := range v.Messages {
		var message zmtp.Message
		for _, frame := range m {
			message = append(message, frame)
		}
		if f.Op == Marked {
			f.Messages = AppendMarked(f.Messages, message, v.Positions[i], v.Times[i])
			continue
		}
		f.Messages = AppendMessage(f.Messages, message)
	}
	return f
}

// anySize accepts messages of any size.
func anySize(int64, int) error { return nil }

// checkMessages checks the messages of a frame that has some, and the frames of a bundle.
func checkMessages(f *Frame) error {
	switch f.Op {
	case Messages:
		return CheckMessages(f.Messages, anySize)
	case Marked:
		return CheckMarked(f.Messages, anySize)
	case Bundle:
		for rest := f.Bundle; ; {
			one, more, err := Unbundle(rest)
			if err == nil {
				err = checkMessages(&one)
			}
			if err != nil || len(more) == 0 {
				return err
			}
			rest = more
		}
	}
	return nil
}

// TestVectors checks the vectors that other implementations check too.
func TestVectors(t *testing.T) {
	v := readVectors(t)
	for _, vector := range v.Mux {
		want := vector.frame()
		if got := want.Append(nil); !bytes.Equal(got, vector.Bytes) {
			t.Errorf("%s is written as %x", vector.Name, got)
		}
		got, err := Parse(vector.Bytes)
		if err == nil {
			err = checkMessages(&got)
		}
		if err != nil || !bytes.Equal(got.Append(nil), vector.Bytes) || !sameFields(got, want) {
			t.Errorf("%s is read as %+v, %v", vector.Name, got, err)
		}
	}
	for _, vector := range v.Invalid {
		f, err := Parse(vector.Bytes)
		if err == nil {
			err = checkMessages(&f)
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%s is read as %+v, %v", vector.Name, f, err)
		}
	}
}

// sameFields compares frames. Empty and nil slices are the same.
func sameFields(a, b Frame) bool {
	for _, f := range []*Frame{&a, &b} {
		f.Open.RoutingID = append([]byte{}, f.Open.RoutingID...)
		f.Messages = append([]byte{}, f.Messages...)
		f.Bundle = append([]byte{}, f.Bundle...)
		f.Topic = append([]byte{}, f.Topic...)
		f.At = append([]byte{}, f.At...)
		f.Context = append([]byte{}, f.Context...)
		f.Topics = append([][]byte{}, f.Topics...)
		for i := range f.Topics {
			f.Topics[i] = append([]byte{}, f.Topics[i]...)
		}
		f.Login.Frames = append([][]byte{}, f.Login.Frames...)
		for i := range f.Login.Frames {
			f.Login.Frames[i] = append([]byte{}, f.Login.Frames[i]...)
		}
		f.Open.Subscribe = append([][]byte{}, f.Open.Subscribe...)
		for i := range f.Open.Subscribe {
			f.Open.Subscribe[i] = append([]byte{}, f.Open.Subscribe[i]...)
		}
	}
	return reflect.DeepEqual(a, b)
}

// FuzzFrame: a frame that is read is written with the same bytes, and so are its messages.
func FuzzFrame(f *testing.F) {
	v := readVectors(f)
	for _, vector := range append(v.Mux, v.Invalid...) {
		f.Add([]byte(vector.Bytes))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		frame, err := Parse(p)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%x: %v", p, err)
			}
			return
		}
		if got := frame.Append(nil); !bytes.Equal(got, p) {
			t.Errorf("%x is written as %x", p, got)
		}
		if len(frame.Messages) == 0 || checkMessages(&frame) != nil {
			return
		}
		var again []byte
		for rest := frame.Messages; len(rest) > 0; {
			if frame.Op == Marked {
				n := MarkedSize(rest)
				at, micros, message := CutMark(rest[:n])
				again = AppendMarked(again, Decode(message), at, micros)
				rest = rest[n:]
				continue
			}
			n := Size(rest)
			again = AppendMessage(again, Decode(rest[:n]))
			rest = rest[n:]
		}
		if !bytes.Equal(again, frame.Messages) {
			t.Errorf("messages %x are written as %x", frame.Messages, again)
		}
	})
}

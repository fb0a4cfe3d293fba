package zws

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// octets are hexadecimal in a file, with spaces wherever they help.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(strings.ReplaceAll(string(text), " ", ""))
	return err
}

// muxVector is a frame of ZWSMUX1.0.
type muxVector struct {
	Name        string
	From        string // client, server or either
	Octets      octets
	Op          string
	Mechanism   string
	Credentials []octets
	Channel     uint32
	Number      uint64
	Minor       byte
	SocketType  string `json:"socket_type"`
	RoutingID   octets `json:"routing_id"`
	Route       string
	Topics      []octets
	Topic       octets
	Messages    [][]octets
	Code        int
	Reason      string
}

type vectors struct {
	About   string
	Mux     []muxVector
	Invalid []muxVector `json:"mux_invalid"`
	JSON    []struct {
		Name, Text string
		Frames     []octets
	}
}

var muxOps = map[string]byte{
	"login": muxLogin, "ready": muxReady, "open": muxOpen, "opened": muxOpened, "messages": muxMessages,
	"credit": muxCredit, "close": muxClose, "lost": muxLost, "expiring": muxExpiring,
	"unsubscribed": muxUnsubscribed, "relay": muxRelay, "relayed": muxRelayed,
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/mux-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v.Mux) < len(muxOps) || len(v.Invalid) == 0 || len(v.JSON) == 0 {
		t.Fatal("vectors are missing")
	}
	return v
}

// frame is what the vector's fields say.
func (v *muxVector) frame() muxFrame {
	f := muxFrame{
		op: muxOps[v.Op], channel: v.Channel, number: v.Number, minor: v.Minor, code: Code(v.Code), reason: v.Reason, topic: v.Topic,
		login: credentials{mechanism: zap.Mechanism(v.Mechanism)},
		open:  ChannelRequest{Route: v.Route, SocketType: zmtp.SocketType(v.SocketType), RoutingID: v.RoutingID},
	}
	if f.op == muxRelay {
		f.open.Relay, f.login.mechanism = f.login.mechanism, ""
	}
	for _, c := range v.Credentials {
		f.login.frames = append(f.login.frames, c)
	}
	for _, topic := range v.Topics {
		f.open.Subscribe = append(f.open.Subscribe, topic)
	}
	for _, m := range v.Messages {
		var message zmtp.Message
		for _, frame := range m {
			message = append(message, frame)
		}
		f.messages = muxCodec{}.AppendMessage(f.messages, message)
	}
	return f
}

// anySize takes messages of whatever size.
func anySize(int64, int) error { return nil }

// TestVectors checks the vectors that other implementations check too.
func TestVectors(t *testing.T) {
	v := readVectors(t)
	for _, vector := range v.Mux {
		want := vector.frame()
		if got := want.append(nil); !bytes.Equal(got, vector.Octets) {
			t.Errorf("%s is written as %x", vector.Name, got)
		}
		got, err := parseMuxFrame(vector.Octets)
		if err == nil && got.op == muxMessages {
			err = checkMessages(got.messages, anySize)
		}
		if err != nil || !bytes.Equal(got.append(nil), vector.Octets) || !sameFields(got, want) {
			t.Errorf("%s is read as %+v, %v", vector.Name, got, err)
		}
	}
	for _, vector := range v.Invalid {
		f, err := parseMuxFrame(vector.Octets)
		if err == nil && f.op == muxMessages {
			err = checkMessages(f.messages, anySize)
		}
		if err == nil || Cause(err).Code != CodeProtocol {
			t.Errorf("%s is read as %+v, %v", vector.Name, f, err)
		}
	}
	for _, vector := range v.JSON {
		var m zmtp.Message
		for _, frame := range vector.Frames {
			m = append(m, frame)
		}
		want := append(appendDataHeader(nil, wsText, len(vector.Text)), vector.Text...)
		if got := (jsonObjects{}).AppendMessage(nil, m); !bytes.Equal(got, want) {
			t.Errorf("%s is written as %q", vector.Name, got)
		}
	}
}

// sameFields compares frames; nothing and nil are the same.
func sameFields(a, b muxFrame) bool {
	for _, f := range []*muxFrame{&a, &b} {
		f.open.RoutingID = append([]byte{}, f.open.RoutingID...)
		f.messages = append([]byte{}, f.messages...)
		f.topic = append([]byte{}, f.topic...)
		f.login.frames = append([][]byte{}, f.login.frames...)
		for i := range f.login.frames {
			f.login.frames[i] = append([]byte{}, f.login.frames[i]...)
		}
		f.open.Subscribe = append([][]byte{}, f.open.Subscribe...)
		for i := range f.open.Subscribe {
			f.open.Subscribe[i] = append([]byte{}, f.open.Subscribe[i]...)
		}
	}
	return reflect.DeepEqual(a, b)
}

// FuzzMuxFrame: what is taken for a frame is written with the same octets, and its messages
// are those that were checked, as they are when they are written again.
func FuzzMuxFrame(f *testing.F) {
	v := readVectors(f)
	for _, vector := range append(v.Mux, v.Invalid...) {
		f.Add([]byte(vector.Octets))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		frame, err := parseMuxFrame(p)
		if err != nil {
			if Cause(err).Code != CodeProtocol {
				t.Errorf("%x: %v", p, err)
			}
			return
		}
		if got := frame.append(nil); !bytes.Equal(got, p) {
			t.Errorf("%x is written as %x", p, got)
		}
		if frame.op != muxMessages || checkMessages(frame.messages, anySize) != nil {
			return
		}
		var again []byte
		for rest := frame.messages; len(rest) > 0; {
			n := messageSize(rest)
			again = muxCodec{}.AppendMessage(again, decodeMessage(rest[:n]))
			rest = rest[n:]
		}
		if !bytes.Equal(again, frame.messages) {
			t.Errorf("messages %x are written as %x", frame.messages, again)
		}
	})
}

// FuzzMuxServer: whatever a client that is logged in sends, the session goes on or ends
// with a code that says why, and no channel takes more memory than its credit allows.
func FuzzMuxServer(f *testing.F) {
	v := readVectors(f)
	for i := range v.Mux {
		f.Add([]byte(v.Mux[i].Octets), []byte(v.Mux[(i+1)%len(v.Mux)].Octets), []byte(v.Invalid[i%len(v.Invalid)].Octets))
	}
	open := muxFrame{op: muxOpen, channel: 1, number: 100}
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		m := newFuzzedMux(t)
		defer m.conn.cancel(nil)
		for _, p := range [][]byte{open.append(nil), one, two, three} {
			frame, err := parseMuxFrame(p)
			if err == nil && frame.op != muxLogin {
				err = m.act(&frame)
			}
			if err != nil {
				switch code := Cause(err).Code; code {
				case CodeProtocol, CodeTooLarge:
				default:
					t.Errorf("%x: %v", p, err)
				}
				break
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for number, c := range m.channels {
			if number == 0 || number > m.last || int64(len(c.inbox)) > muxWindow+m.conn.maxMessage+4 || c.credit > maxCredit {
				t.Errorf("channel %d of %d: %d octets, credit %d", number, m.last, len(c.inbox), c.credit)
			}
		}
		if len(m.channels) > m.options.MaxChannels {
			t.Errorf("%d channels", len(m.channels))
		}
	})
}

// newFuzzedMux is the mux of a session without a connection, whose channels are opened and
// not read.
func newFuzzedMux(t *testing.T) *mux {
	s := &Conn{dialect: dialects["ZWSMUX1.0"], maxMessage: 1000, maxFrames: 10}
	s.ctx, s.cancel = context.WithCancelCause(t.Context())
	s.out.state.Store(ended) // nothing is written
	s.login.Store(&Login{Reply: &zap.Reply{}})
	o := &Options{MaxChannels: 2}
	m := &mux{conn: s, options: o, channels: make(map[uint32]*muxChannel)}
	return m
}

// TestMuxControlLimit: a client that asks and does not read the answers does not fill our
// memory with them.
func TestMuxControlLimit(t *testing.T) {
	m := newFuzzedMux(t)
	answer := closing(1, &CloseError{Code: CodeNoRoute, Reason: "there is no such route"})
	for range 2 * maxControl / len(answer.webSocket()) {
		m.tell(answer)
	}
	if n := len(m.conn.out.control); n <= maxControl || n > maxControl+len(answer.webSocket()) {
		t.Errorf("%d octets wait", n)
	}
	if cause := m.conn.Cause(); cause == nil || cause.Code != CodeTooSlow {
		t.Errorf("ended with %v", cause)
	}
}

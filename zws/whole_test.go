package zws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// pieces is a connection on which the client's bytes come in pieces: the n-th read gets at most as many
// as the n-th size, and all later reads as many as the last.
type pieces struct {
	net.Conn
	data  []byte
	sizes []byte // 0 stands for all
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := len(p.data)
	if p.sizes[0] > 0 {
		n = min(n, int(p.sizes[0]))
	}
	if len(p.sizes) > 1 {
		p.sizes = p.sizes[1:]
	}
	n = copy(b, p.data[:n])
	p.data = p.data[n:]
	return n, nil
}

func (*pieces) SetReadDeadline(time.Time) error { return nil }

// piecewise returns a connection that has the given bytes to read, and writes nothing.
func piecewise(data, sizes []byte) *Conn {
	c := &Conn{dialect: dialects["ZWS2.0"]}
	c.channel.conn = c
	c.wire.Conn = &pieces{data: data, sizes: sizes}
	c.out.state.Store(ended)
	c.use(newReader())
	return c
}

const wholeLimit = 300

// seen returns what a connection makes of bytes that come in such pieces: each message with what it
// leaves behind, and the error at the end.
func seen(data, sizes []byte, kind int, awaits bool) (all []string, taken int) {
	c := piecewise(data, sizes)
	for {
		c.liveness.heard.Store(false)
		if awaits {
			c.attach().await()
		}
		before := c.wire.received.Load()
		limits := 0
		p, err := c.readWebSocket(kind, func() int64 { limits++; return wholeLimit })
		state := fmt.Sprintf("pong %x, answers %v, in a message %v", c.pongQueued(), c.liveness.answers.Load(), c.liveness.message.Load()%2 == 1)
		if err != nil {
			cause := Cause(err)
			if cause.Code == CodeProtocol { // of several faults of a frame, where it is cut decides which is found first
				return append(all, fmt.Sprintf("%s: %d; the client ends it %v", state, cause.Code, c.readEnded)), taken
			}
			state += fmt.Sprintf(": %d %q %v, %v; the client ends it %v", cause.Code, cause.Reason, err, errors.Is(err, ErrPeerClosed), c.readEnded)
			return append(all, state), taken
		}
		if !c.liveness.heard.Load() { // takeWhole leaves that to what was received
			taken++
		}
		all = append(all, fmt.Sprintf("%s: %x, received %d", state, p.data, c.wire.received.Load()-before))
		p.free()
	}
}

// pongQueued returns the pong that is to be written.
func (c *Conn) pongQueued() []byte {
	if c.out.first == nil {
		return nil
	}
	return c.out.first.pong
}

// oneByOne is how bytes come of which no frame is ever read ahead whole: the library parses all.
var oneByOne = []byte{1}

// fragment is the first byte of a message that is not whole.
const fragment = 0x02

// wireTests are bytes of a client, each of which the library parses too.
var wireTests = []struct {
	name  string
	data  []byte
	taken int // messages that takeWhole takes, if all bytes come at once and are awaited
}{
	{"nothing", nil, 0},
	{"empty", maskedFrame(wsframe.Binary, nil), 1},
	{"short", maskedFrame(wsframe.Binary, []byte("m")), 1},
	{"length in one byte", maskedFrame(wsframe.Binary, make([]byte, 125)), 1},
	{"length in two bytes", maskedFrame(wsframe.Binary, make([]byte, 126)), 1},
	{"as long as the limit", maskedFrame(wsframe.Binary, make([]byte, wholeLimit)), 1},
	{"longer than the limit", maskedFrame(wsframe.Binary, make([]byte, wholeLimit+1)), 0},
	{"longer than 65535", maskedFrame(wsframe.Binary, make([]byte, 1<<16)), 0},
	{"two", bytes.Repeat(maskedFrame(wsframe.Binary, []byte("message")), 2), 2},
	{"many, more than a read takes", bytes.Repeat(maskedFrame(wsframe.Binary, []byte("message of a client")), 100), 99},
	{"text", maskedFrame(wsframe.Text, []byte("t")), 0},
	{"binary, then text", append(maskedFrame(wsframe.Binary, []byte("b")), maskedFrame(wsframe.Text, []byte("t"))...), 1},
	{"not masked", []byte{wsframe.Binary, 1, 'm'}, 0},
	{"message, then one not masked", append(maskedFrame(wsframe.Binary, []byte("b")), wsframe.Binary, 1, 'm'), 1},
	{"RSV1, as of permessage-deflate", maskedFrame(wsframe.Binary|0x40, []byte("m")), 0},
	{"RSV2", maskedFrame(wsframe.Binary|0x20, []byte("m")), 0},
	{"RSV3", maskedFrame(wsframe.Binary|0x10, []byte("m")), 0},
	{"opcode 3", maskedFrame(0x83, []byte("m")), 0},
	{"opcode 11", maskedFrame(0x8B, []byte("m")), 0},
	{"continuation of nothing", maskedFrame(0x80, []byte("m")), 0},
	{"fragmented", slices.Concat(maskedFrame(fragment, []byte("a")), maskedFrame(0, []byte("b")), maskedFrame(0x80, []byte("c")), maskedFrame(wsframe.Binary, []byte("m"))), 1},
	{"message inside a message", slices.Concat(maskedFrame(fragment, []byte("a")), maskedFrame(wsframe.Binary, []byte("m"))), 0},
	{"ping inside a message", slices.Concat(maskedFrame(fragment, []byte("a")), maskedFrame(wsframe.Ping, []byte("p")), maskedFrame(0x80, []byte("c"))), 0},
	{"fragments longer than the limit", slices.Concat(maskedFrame(fragment, make([]byte, 200)), maskedFrame(0x80, make([]byte, 200)), maskedFrame(wsframe.Binary, []byte("m"))), 0},
	{"ping, message, pong, message", slices.Concat(maskedFrame(wsframe.Ping, []byte("p")), maskedFrame(wsframe.Binary, []byte("m")), maskedFrame(wsframe.Pong, nil), maskedFrame(wsframe.Binary, []byte("n"))), 0},
	{"fragmented ping", maskedFrame(0x09, nil), 0},
	{"long ping", maskedFrame(wsframe.Ping, make([]byte, 126)), 0},
	{"close with a code, then a message", append(maskedFrame(wsframe.Close, []byte("\x03\xe8bye")), maskedFrame(wsframe.Binary, []byte("m"))...), 0},
	{"message, then close without a code", append(maskedFrame(wsframe.Binary, []byte("m")), maskedFrame(wsframe.Close, nil)...), 1},
	{"close with code 1006", maskedFrame(wsframe.Close, []byte{3, 0xEE}), 0},
	{"close of one byte", maskedFrame(wsframe.Close, []byte{3}), 0},
	{"close whose reason is not UTF-8", maskedFrame(wsframe.Close, []byte("\x03\xe8\xff")), 0},
	{"close, then a faulty frame", append(maskedFrame(wsframe.Close, []byte("\x03\xe8")), "\x82\xfe\x00\x01\x01\x02\x03\x04m"...), 0},
	{"length of 1 in two bytes", []byte("\x82\xfe\x00\x01\x01\x02\x03\x04m"), 0},
	{"length of 1 in eight bytes", []byte("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01\x01\x02\x03\x04m"), 0},
	{"length of 2^63", []byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04m"), 0},
	{"length of 2^63-1", []byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04m"), 0},
	{"header cut", maskedFrame(wsframe.Binary, []byte("m"))[:5], 0},
	{"payload cut", maskedFrame(wsframe.Binary, []byte("message"))[:9], 0},
	{"message, then payload cut", append(maskedFrame(wsframe.Binary, []byte("a")), maskedFrame(wsframe.Binary, []byte("message"))[:9]...), 1},
}

// TestTakeWhole: what a client sends has the same effect whether its frames are read ahead whole or the
// library parses them, wherever they are cut.
func TestTakeWhole(t *testing.T) {
	for _, tt := range wireTests {
		t.Run(tt.name, func(t *testing.T) {
			want, taken := seen(tt.data, oneByOne, websocket.BinaryMessage, false)
			if taken > 0 {
				t.Fatalf("%d messages read byte by byte were taken past the library", taken)
			}
			all := []byte{0}
			if _, taken := seen(tt.data, all, websocket.BinaryMessage, true); taken != tt.taken {
				t.Errorf("%d messages were taken past the library, want %d", taken, tt.taken)
			}
			for _, awaits := range []bool{false, true} {
				for cut := range min(len(tt.data), 255) + 1 {
					if got, _ := seen(tt.data, []byte{byte(cut), 0}, websocket.BinaryMessage, awaits); !slices.Equal(got, want) {
						t.Fatalf("cut at %d, awaited %v:\n%s\nbyte by byte:\n%s", cut, awaits, got, want)
					}
				}
			}
		})
	}
}

// FuzzTakeWhole: the same for any bytes and cuts, and for text.
func FuzzTakeWhole(f *testing.F) {
	for _, tt := range wireTests {
		if len(tt.data) > 4096 {
			continue
		}
		f.Add(tt.data, []byte{0}, false, true)
		f.Add(tt.data, []byte{7, 0}, true, true)
		f.Add(tt.data, []byte{3, 20, 1, 255}, false, false)
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte, text, awaits bool) {
		if len(sizes) == 0 {
			return
		}
		kind := websocket.BinaryMessage
		if text {
			kind = websocket.TextMessage
		}
		want, _ := seen(data, oneByOne, kind, false)
		if got, _ := seen(data, sizes, kind, awaits); !slices.Equal(got, want) {
			t.Errorf("%x in pieces of %v, awaited %v:\n%s\nbyte by byte:\n%s", data, sizes, awaits, got, want)
		}
	})
}

// BenchmarkRead reads messages of 100 bytes, of which all or none are read ahead whole.
func BenchmarkRead(b *testing.B) {
	one := maskedFrame(wsframe.Binary, make([]byte, 101))
	fragmented := append(maskedFrame(fragment, make([]byte, 101)), maskedFrame(0x80, nil)...)
	for name, frames := range map[string][]byte{"whole": one, "fragmented": fragmented} {
		b.Run(name, func(b *testing.B) {
			c := piecewise(nil, []byte{0})
			all := bytes.Repeat(frames, 64)
			b.ReportAllocs()
			for b.Loop() {
				c.wire.Conn.(*pieces).data = all
				for range 64 {
					c.attach().await()
					p, err := c.readWebSocket(websocket.BinaryMessage, func() int64 { return wholeLimit })
					if err != nil {
						b.Fatal(err)
					}
					p.free()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/message")
		})
	}
}

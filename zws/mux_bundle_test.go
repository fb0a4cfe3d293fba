package zws

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// bufferConn is a connection that keeps what is written.
type bufferConn struct {
	net.Conn
	*bytes.Buffer
}

func (c bufferConn) Read(p []byte) (int, error)  { return c.Buffer.Read(p) }
func (c bufferConn) Write(p []byte) (int, error) { return c.Buffer.Write(p) }

// listed is a Source of messages with one frame each.
type listed []string

func (l *listed) Next(b *Batch) {
	for len(*l) > 0 && !b.Full() {
		_ = b.Message(zmtp.Message{[]byte((*l)[0])}, nil)
		*l = (*l)[1:]
	}
}

// webSocketMessages parses frames of a server.
func webSocketMessages(t *testing.T, p []byte) (all [][]byte) {
	t.Helper()
	for len(p) > 0 {
		size, header := int(p[1]), 2
		switch size {
		case 126:
			size, header = int(p[2])<<8|int(p[3]), 4
		case 127:
			t.Fatal("a frame of more than 64 KiB")
		}
		if p[0] != wsframe.Binary {
			t.Fatalf("frame %02x", p[0])
		}
		all, p = append(all, p[header:header+size]), p[header+size:]
	}
	return all
}

// described describes a frame: its channel and messages, or its op; those of a bundle in brackets.
func described(t *testing.T, p []byte) string {
	t.Helper()
	f, err := muxframe.Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d:", f.Channel)
	switch f.Op {
	case muxframe.Bundle:
		var all []string
		for rest := f.Bundle; len(rest) > 0; {
			n := 4 + int(rest[0])<<24 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
			all, rest = append(all, described(t, rest[4:n])), rest[n:]
		}
		return "[" + strings.Join(all, " ") + "]"
	case muxframe.Messages:
		for rest := f.Messages; len(rest) > 0; rest = rest[muxframe.Size(rest):] {
			text += fmt.Sprintf(" %.3s", muxframe.Body(rest))
		}
		return text
	}
	return fmt.Sprintf("%s op %02x", text, f.Op)
}

// TestMuxBundle: what waits for several channels shares WebSocket messages, in the order of each
// channel and as far as there is credit; large messages have their own.
func TestMuxBundle(t *testing.T) {
	large, most := strings.Repeat("l", muxShared), strings.Repeat("m", 1500)
	for _, test := range []struct {
		name   string
		one    []string
		two    []string
		credit uint64
		want   []string
	}{
		{"one message", []string{"a"}, nil, 1000, []string{"1: a"}},
		{"one channel", []string{"a", "b"}, nil, 1000, []string{"1: a b"}},
		{"two channels", []string{"a", "b"}, []string{"c", "d"}, 1000, []string{"[1: a b 2: c d]"}},
		{"without credit", []string{"a", "b"}, []string{"c", "d"}, 1, []string{"[1: a 2: c]"}},
		{"large", []string{"a", large, "b"}, []string{"c"}, 100_000, []string{"1: a", "1: lll", "[1: b 2: c]"}},
		{"much", append(slices.Repeat([]string{most}, 11), "a"), []string{"c"}, 100_000, []string{"1:" + strings.Repeat(" mmm", 11), "[1: a 2: c]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newFuzzedMux(t)
			defer m.conn.life.end(Cause(nil))
			for i, messages := range [][]string{test.one, test.two} {
				source := listed(messages)
				ch, err := m.open(&muxframe.Frame{Op: muxframe.Open, Channel: uint32(i) + 1, Number: test.credit})
				if err != nil {
					t.Fatal(err)
				}
				ch.attach(&source)
			}
			b := newBatch(m.conn, false)
			defer b.free()
			m.Next(b)
			size := b.size
			var sent bytes.Buffer
			if err := b.writeTo(bufferConn{Buffer: &sent}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range webSocketMessages(t, sent.Bytes()) {
				got = append(got, described(t, p))
			}
			if strings.Join(got, "|") != strings.Join(test.want, "|") {
				t.Errorf("sent %q, want %q", got, test.want)
			}
			if n := sent.Len(); size > n+100 || n > size+100 {
				t.Errorf("counted %d bytes of %d", size, n)
			}
		})
	}
}

package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestCurveNonces checks that the short nonces of both sides count commands one by one.
func TestCurveNonces(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	for _, c := range []struct {
		side  Mechanism
		first uint64
	}{{client, 3}, {server, 2}} {
		for want := c.first; want < c.first+3; want++ {
			f, err := c.side.Encode(Frame{})
			if err != nil {
				t.Fatal(err)
			}
			if got := binary.BigEndian.Uint64(f.Body[8:]); got != want {
				t.Errorf("MESSAGE with nonce %d, want %d", got, want)
			}
		}
	}
}

// TestCurveReplay checks that a MESSAGE is accepted once, in order, and by its receiver only.
func TestCurveReplay(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	messages := make([]Frame, 4)
	for i := range messages {
		f, err := client.Encode(Frame{Body: []byte{byte('0' + i)}})
		if err != nil {
			t.Fatal(err)
		}
		messages[i] = Frame{Body: bytes.Clone(f.Body)}
	}
	for _, c := range []struct {
		send int
		ok   bool
	}{{0, true}, {0, false}, {2, true}, {1, false}, {2, false}, {3, true}, {0, false}} {
		got, err := server.Decode(messages[c.send])
		if c.ok != (err == nil) || c.ok && string(got.Body) != fmt.Sprint(c.send) || !c.ok && !errors.Is(err, ErrProtocol) {
			t.Errorf("message %d: %q, %v", c.send, got.Body, err)
		}
	}
	if _, err := client.Decode(messages[3]); !errors.Is(err, ErrProtocol) {
		t.Errorf("message sent back to its sender: %v", err)
	}
	_, other := newPair(t, zap.CURVE).sides(t)
	if _, err := other.Decode(messages[3]); err == nil {
		t.Error("a message was decoded before the handshake")
	}
}

func TestCurveMalformedMessage(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	traffic := client.(*curveClient).traffic
	// message seals a payload, including its flags, with the next nonce.
	message := func(payload string) []byte {
		traffic.sent.nonce++
		return seal([]byte(messageName), []byte(payload), prefixMessageClient, newShortNonce(traffic.sent.nonce), &traffic.shared)
	}
	cases := []struct {
		name  string
		frame func() Frame
		want  *Frame // nil: a protocol error
	}{
		{"good", func() Frame { return Frame{Body: message("\x01part")} }, &Frame{More: true, Body: []byte("part")}},
		{"as a command frame", func() Frame { return Frame{Command: true, Body: message("\x00all")} }, &Frame{Body: []byte("all")}},
		{"command inside", func() Frame { return Frame{Body: message("\x02\x04PING")} }, &Frame{Command: true, Body: []byte("\x04PING")}},
		{"MORE outside", func() Frame { return Frame{More: true, Body: message("\x00all")} }, nil},
		{"MORE and COMMAND", func() Frame { return Frame{Body: message("\x03x")} }, nil},
		{"COMMAND of 37/ZMTP", func() Frame { return Frame{Body: message("\x04x")} }, nil},
		{"reserved flag", func() Frame { return Frame{Body: message("\x80x")} }, nil},
		{"no flags", func() Frame { return Frame{Body: message("")} }, nil},
		{"empty", func() Frame { return Frame{} }, nil},
		{"32 bytes", func() Frame { return Frame{Body: message("\x00")[:32]} }, nil},
		{"one byte too few", func() Frame { m := message("\x00ab"); return Frame{Body: m[:len(m)-1]} }, nil},
		{"one byte too many", func() Frame { return Frame{Body: append(message("\x00ab"), 0)} }, nil},
		{"cleartext", func() Frame { return Frame{Body: []byte("a frame that was not encrypted by anybody")} }, nil},
		{"PING in cleartext", func() Frame {
			return Frame{Command: true, Body: []byte("\x04PING\x00\x0a0123456789012345678901234567890")}
		}, nil},
		{"nonce 0", func() Frame { m := message("\x00x"); clear(m[8:16]); return Frame{Body: m} }, nil},
		{"nonce in the future", func() Frame { m := message("\x00x"); m[8] = 1; return Frame{Body: m} }, nil},
		{"good after these", func() Frame { return Frame{Body: message("\x00end")} }, &Frame{Body: []byte("end")}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := server.Decode(c.frame())
			if c.want == nil {
				if !errors.Is(err, ErrProtocol) {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for i := range message("\x00tampered") {
		m := message("\x00tampered")
		m[i] ^= 0x20
		if got, err := server.Decode(Frame{Body: m}); !errors.Is(err, ErrProtocol) {
			t.Errorf("byte %d changed: %+v, %v", i, got, err)
		}
	}
}

// TestCurveNoncesUsedUp: "SHALL NOT send more than 2^64-1 commands in one connection."
func TestCurveNoncesUsedUp(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	client.(*curveClient).traffic.sent.nonce = math.MaxUint64 - 1
	last, err := client.Encode(Frame{Body: []byte("last")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Decode(last); err != nil {
		t.Errorf("the last nonce: %v", err)
	}
	if f, err := client.Encode(Frame{}); err == nil {
		t.Errorf("a nonce was used twice: %x", f.Body)
	}
}

// TestCurveBufferIsNotKept checks that the memory of a large frame is released.
func TestCurveBufferIsNotKept(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	for _, size := range []int{1, 1000, 40 << 10, 1 << 20, 5} {
		body := bytes.Repeat([]byte{7}, size)
		sent, err := client.Encode(Frame{Body: body})
		if err != nil {
			t.Fatal(err)
		}
		got, err := server.Decode(sent)
		if err != nil || !bytes.Equal(got.Body, body) {
			t.Fatalf("frame of %d: %v", size, err)
		}
		for _, kept := range []int{cap(client.(*curveClient).traffic.sent.buffer), cap(server.(*curveServer).cipher.(*curveTraffic).received.buffer)} {
			if kept > keptBuffer {
				t.Errorf("after a frame of %d bytes the buffer has %d", size, kept)
			}
		}
	}
}

// TestCurveBothWaysAtOnce encodes and decodes in different goroutines on both sides.
func TestCurveBothWaysAtOnce(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	const messages = 200
	var done sync.WaitGroup
	for _, way := range []struct{ from, to Mechanism }{{client, server}, {server, client}} {
		wire := make(chan []byte, 8)
		done.Go(func() {
			defer close(wire)
			for i := range messages {
				f, err := way.from.Encode(Frame{Body: fmt.Append(nil, i)})
				if err != nil {
					t.Error(err)
					return
				}
				wire <- bytes.Clone(f.Body)
			}
		})
		done.Go(func() {
			i := 0
			for body := range wire {
				f, err := way.to.Decode(Frame{Body: body})
				if err != nil || string(f.Body) != fmt.Sprint(i) {
					t.Errorf("message %d: %q, %v", i, f.Body, err)
				}
				i++
			}
			if i != messages {
				t.Errorf("%d messages of %d", i, messages)
			}
		})
	}
	done.Wait()
}

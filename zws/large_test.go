package zws_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// largeForms are the ways in which a message of one frame comes from a client, each as
// WebSocket frames.
var largeForms = []struct {
	name, offer string
	login       []string
	frames      func(body []byte) []byte
}{
	{"frame", "ZWS2.0+PLAIN", []string{helloCommand, initiate}, func(body []byte) []byte {
		return frame(0x82, "\x00"+string(body))
	}},
	{"fragments", "WSNetMQ", nil, func(body []byte) []byte {
		p := frame(0x02, "\x00")
		for len(body) > 4096 {
			p = append(p, frame(0x00, string(body[:4096]))...)
			body = body[4096:]
		}
		return append(p, frame(0x80, string(body))...)
	}},
	{"JSON", "ZWSJSON1.0", []string{`{"op":"login"}`}, func(body []byte) []byte {
		return frame(0x81, `{"op":"send","frames":[{"b64":"`+base64.StdEncoding.EncodeToString(body)+`"}]}`)
	}},
	{"MUX", "ZWSMUX1.0", []string{"\x01\x04NULL"}, func(body []byte) []byte {
		p := binary.BigEndian.AppendUint32([]byte{0x05, 0, 0, 0, 1}, uint32(len(body)+4))
		p = binary.BigEndian.AppendUint32(p, uint32(len(body)))
		return frame(0x82, string(append(p, body...)))
	}},
}

// readCost returns the CPU time, in seconds, and the memory, in bytes, that it takes the
// process to send and to read count messages of size bytes.
func readCost(t testing.TB, form int, count, size int) (cpu, allocated float64) {
	f := largeForms[form]
	o := options()
	o.MaxMessage, o.Multiplex = int64(size), true
	done := make(chan struct{})
	s := serveWith(t, o, plain, accept, func(conn *zws.Conn) {
		defer close(done)
		ch := conn.Channel()
		if f.name == "MUX" {
			pending, err := conn.NextChannel(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			go conn.NextChannel(context.Background()) // reads for the channel
			if ch, err = pending.Accept(zws.AcceptOptions{}); err != nil {
				t.Error(err)
				return
			}
		}
		for range count {
			m, err := ch.ReadMessage()
			if err != nil || len(m) != 1 || len(m[0]) != size || m[0][0] != 'm' || m[0][size-1] != 'm' {
				t.Errorf("%s: received %d frames, %v", f.name, len(m), err)
				return
			}
		}
	})
	p := s.dialRaw(t, "/", offering(f.offer))
	for _, step := range f.login {
		kind := byte(0x82)
		if step[0] == '{' {
			kind = 0x81
		}
		p.write(frame(kind, step))
		if _, _, err := p.receive(); err != nil {
			t.Fatal(err)
		}
	}
	if f.name == "MUX" {
		p.send("\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01/")
		p.receive()
	}
	message := f.frames(bytes.Repeat([]byte("m"), size))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := cpuTime(t)
	for i := range count {
		if i > 0 && f.name == "MUX" {
			p.receive() // credit
		}
		p.write(message)
	}
	<-done
	cpu = (cpuTime(t) - start).Seconds()
	runtime.ReadMemStats(&after)
	p.conn.Close()
	return cpu, float64(after.TotalAlloc - before.TotalAlloc)
}

// TestLargeMessage: a large message costs no more memory per byte than small ones.
func TestLargeMessage(t *testing.T) {
	const total, size = 16, 1 << 20
	for i, f := range largeForms {
		t.Run(f.name, func(t *testing.T) {
			_, small := readCost(t, i, total, size)
			_, large := readCost(t, i, 1, total*size)
			for range 2 { // how much arrives at a time is the kernel's choice
				_, again := readCost(t, i, 1, total*size)
				large = min(large, again)
			}
			t.Logf("%d messages: %.2f bytes per byte; one message: %.2f", total, small/total/size, large/total/size)
			if large > 1.2*small {
				t.Errorf("one message of %d MiB costs %.1f MB, as many bytes in %d messages %.1f MB", total, large/1e6, total, small/1e6)
			}
		})
	}
}

// BenchmarkLargeMessage reports how many times as much CPU time one message of 60 MB takes as
// 60 of 1 MB.
func BenchmarkLargeMessage(b *testing.B) {
	for i, f := range largeForms {
		b.Run(f.name, func(b *testing.B) {
			var small, large float64
			for b.Loop() {
				cpu, _ := readCost(b, i, 60, 1e6)
				small += cpu
				cpu, _ = readCost(b, i, 1, 60e6)
				large += cpu
			}
			b.ReportMetric(small/float64(b.N), "s/60×1MB")
			b.ReportMetric(large/float64(b.N), "s/1×60MB")
			b.ReportMetric(large/small, "ratio")
		})
	}
}

package muxframe

import (
	"bytes"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// FuzzBundler: frames come out of a bundle as they went in, messages of one channel that follow each
// other in one frame.
func FuzzBundler(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 1, 2, 0, 1})
	f.Add([]byte{0x11, 0x21, 0x11, 0x12})
	f.Fuzz(func(t *testing.T, script []byte) {
		var b Bundler
		var want []Frame
		for i, step := range script {
			m := AppendMessage(nil, zmtp.Message{{byte(i)}})
			if step>>4 > 0 {
				m = AppendMarked(nil, zmtp.Message{{byte(i)}}, []byte{step}, 1)
			}
			switch channel, last := uint32(step&3), len(want)-1; {
			case channel == 0:
				lost := Frame{Op: Lost, Channel: 1, Number: uint64(i)}
				b.Add(&lost)
				want = append(want, lost)
				continue
			case step>>4 > 0:
				b.AddMessages(Marked, channel, m)
				if last >= 0 && want[last].Op == Marked && want[last].Channel == channel {
					want[last].Messages = append(want[last].Messages, m...)
					continue
				}
				want = append(want, Frame{Op: Marked, Channel: channel, Messages: m})
			default:
				b.AddMessages(Messages, channel, m)
				if last >= 0 && want[last].Op == Messages && want[last].Channel == channel {
					want[last].Messages = append(want[last].Messages, m...)
					continue
				}
				want = append(want, Frame{Op: Messages, Channel: channel, Messages: m})
			}
		}
		size := b.Len()
		got := b.AppendWebSocket(nil)
		if b.Len() != 0 || len(b.AppendWebSocket(nil)) != 0 {
			t.Error("not empty afterwards")
		}
		if len(want) == 0 {
			if len(got) > 0 {
				t.Errorf("%x without frames", got)
			}
			return
		}
		payload := size - 4
		if len(want) > 1 {
			payload = 1 + size
		}
		header := wsframe.AppendHeader(nil, wsframe.Binary, payload)
		if !bytes.HasPrefix(got, header) || len(got) != len(header)+payload {
			t.Fatalf("%x, want a WebSocket message of %d bytes", got, payload)
		}
		for i, frame := range unbundled(t, got[len(header):]) {
			if i >= len(want) || !sameFields(frame, want[i]) {
				t.Fatalf("%x: frame %d is %+v", got, i, frame)
			}
		}
	})
}

func unbundled(t *testing.T, p []byte) (all []Frame) {
	t.Helper()
	f, err := Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	if f.Op != Bundle {
		return []Frame{f}
	}
	for rest := f.Bundle; len(rest) > 0; {
		if f, rest, err = Unbundle(rest); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// TestBundleTooLarge: a frame of 64 KiB is a bundle, one of a byte more is not.
func TestBundleTooLarge(t *testing.T) {
	bundle := append([]byte{Bundle}, make([]byte, MaxBundle-1)...)
	if _, err := Parse(bundle); err != nil {
		t.Error(err)
	}
	if _, err := Parse(append(bundle, 0)); err == nil {
		t.Error("not refused")
	}
}

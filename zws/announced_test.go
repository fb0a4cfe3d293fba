package zws

import (
	"bufio"
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// TestAnnouncesTooMuch: a buffer grows with what has arrived, also if it is full when a frame announces as
// many bytes as an int can count.
func TestAnnouncesTooMuch(t *testing.T) {
	for _, first := range []byte{0x80, 0x00} { // the last fragment, and one before it
		header := []byte{first, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4}
		for _, inLibrary := range []int{0, len(header)} {
			w := &reader{wire: new(wire)}
			w.frames.Track(header)
			w.peeked = bufio.NewReaderSize(bytes.NewReader(header[:inLibrary]), libraryBuffer)
			w.peeked.Peek(inLibrary)
			for _, have := range []int{1, scratchSize} {
				dst := make([]byte, have)
				r := iotest.ErrReader(bufio.ErrBufferFull)
				got, err := appendAll(dst, r, w, 1<<20)
				want := errTooLong
				if inLibrary > 0 { // the library has not read the header: it refuses that itself
					want = bufio.ErrBufferFull
				}
				if !errors.Is(err, want) || cap(got) > 2*scratchSize {
					t.Errorf("frame %#x, %d bytes before, %d in the library: %v and a buffer of %d bytes, want %v", first, have, inLibrary, err, cap(got), want)
				}
			}
		}
	}
}

// TestWholeClose: a close frame that announces more than has arrived is not whole.
func TestWholeClose(t *testing.T) {
	for _, tt := range []struct {
		data []byte
		want bool
	}{
		{[]byte{wsframe.Close, 0x80, 1, 2, 3, 4}, true},
		{[]byte{wsframe.Close, 0x82, 1, 2, 3, 4, 0}, false},
		{[]byte{wsframe.Close, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4}, false},
	} {
		if got := wholeClose(tt.data); got != tt.want {
			t.Errorf("%x: %v, want %v", tt.data, got, tt.want)
		}
	}
}

package load

import (
	"bufio"
	"io"
	"testing"
	"testing/iotest"
)

// received is an asker that reads from r.
func received(r io.Reader) *asker {
	a := newAsker(&Conn{in: bufio.NewReaderSize(r, 16)}, OpBinary, "")
	a.buffer = a.buffer[:64]
	return a
}

func TestAskerCountsMessagesThatReadsCut(t *testing.T) {
	const messages = 100
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"bytes":  iotest.OneByteReader,
		"halves": iotest.HalfReader,
		"whole":  func(r io.Reader) io.Reader { return r },
	} {
		client, server := io.Pipe()
		go func() {
			for range messages {
				server.Write(message(Topic, clock()))
			}
			server.Close()
		}()
		a, got := received(cut(client)), 0
		for {
			n, err := a.read()
			got += n
			if err != nil {
				break
			}
		}
		if got != messages {
			t.Errorf("%s: counted %d messages, want %d", name, got, messages)
		}
	}
}

func TestBridgePosition(t *testing.T) {
	got, err := bridgePosition([]byte("\x82\x07\x02\x07RESUMED\x00\x00\x82\x08\x02\x02AT\x03abc\x82\x00"))
	if err != nil || got != "abc" {
		t.Errorf("got %q and %v, want abc", got, err)
	}
	for _, without := range []string{"", "\x02\x02AT", "\x02\x02AT\x03ab"} {
		if got, err := bridgePosition([]byte(without)); err == nil {
			t.Errorf("%q gave the position %q, want an error", without, got)
		}
	}
}

package zmtp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// unhex decodes hexadecimal with blanks.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stream is a connection that can only read, from r.
type stream struct {
	net.Conn
	r io.Reader
}

func (s stream) Read(p []byte) (int, error) { return s.r.Read(p) }

// TestFrameEncoding checks the encoding of frames, and both ways to parse them.
func TestFrameEncoding(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 256)
	tests := []struct {
		name    string
		frame   Frame
		encoded string
	}{
		{"empty", Frame{Body: []byte{}}, "00 00"},
		{"last", Frame{Body: []byte("a")}, "00 01 61"},
		{"more", Frame{More: true, Body: []byte("ab")}, "01 02 6162"},
		{"command", Frame{Command: true, Body: []byte("\x04PING\x00\x00")}, "04 07 0450494e470000"},
		{"longest short", Frame{Body: long[:255]}, "00 ff" + strings.Repeat("78", 255)},
		{"shortest long", Frame{Body: long}, "02 0000000000000100" + strings.Repeat("78", 256)},
		{"long more", Frame{More: true, Body: long}, "03 0000000000000100" + strings.Repeat("78", 256)},
		{"long command", Frame{Command: true, Body: long}, "06 0000000000000100" + strings.Repeat("78", 256)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := unhex(t, test.encoded)
			if got := AppendFrame(nil, test.frame); !bytes.Equal(got, want) {
				t.Errorf("encoded as %x, want %x", got, want)
			}
			r := newReader(stream{r: bytes.NewReader(want)}, 0)
			got, err := readFrame(r)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.frame, got); d != "" {
				t.Errorf("parsed as another frame:\n%s", d)
			}
			if f, n, err := ParseFrame(append(want, "next"...)); err != nil || n != len(want) || !cmp.Equal(f, test.frame) {
				t.Errorf("ParseFrame: %v, %d bytes, %v; want %d", f, n, err, len(want))
			}
			if _, n, err := ParseFrame(want[:len(want)-1]); err != nil || n != 0 {
				t.Errorf("ParseFrame of a part: %d bytes, %v", n, err)
			}
		})
	}
}

// readFrame reads one frame of any size.
func readFrame(r *reader) (Frame, error) {
	h, err := r.header()
	if err != nil {
		return Frame{}, err
	}
	body, err := r.body(h)
	return Frame{More: h.more, Command: h.command, Body: body}, err
}

func TestBrokenFrames(t *testing.T) {
	tests := []struct {
		name, encoded string
		want          error
	}{
		{"nothing", "", io.EOF},
		{"flags only", "00", io.ErrUnexpectedEOF},
		{"half a long size", "02 00000000", io.ErrUnexpectedEOF},
		{"half a body", "00 05 6162", io.ErrUnexpectedEOF},
		{"half a large body", "02 0000000000100000 6162", io.ErrUnexpectedEOF},
		{"reserved flag 08", "08 00", ErrProtocol},
		{"reserved flag 80", "80 00", ErrProtocol},
		{"command with MORE", "05 00", ErrProtocol},
		{"long command with MORE", "07 0000000000000001 61", ErrProtocol},
		{"size beyond 2^63-1", "02 8000000000000000", ErrProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newReader(stream{r: bytes.NewReader(unhex(t, test.encoded))}, 0)
			if _, err := readFrame(r); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestReaderPieces reads frames from a stream that arrives in different pieces.
func TestReaderPieces(t *testing.T) {
	frames := []Frame{
		{Body: []byte("short")},
		{More: true, Body: bytes.Repeat([]byte("m"), 700)}, // more than the first buffer
		{Body: []byte{}},
		{Body: bytes.Repeat([]byte("l"), 5000)}, // more than the limit of the buffer
		{Body: bytes.Repeat([]byte("h"), 3*firstChunk)},
		{Command: true, Body: []byte("\x04PONG")},
	}
	var wire []byte
	for _, f := range frames {
		wire = AppendFrame(wire, f)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"bytes":        iotest.OneByteReader,
		"halves":       iotest.HalfReader,
		"data and EOF": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader(stream{r: cut(bytes.NewReader(wire))}, 2048)
			for i, want := range frames {
				got, err := readFrame(r)
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if got.More != want.More || got.Command != want.Command || !bytes.Equal(got.Body, want.Body) {
					t.Fatalf("frame %d: %d bytes, more %v, command %v", i, len(got.Body), got.More, got.Command)
				}
			}
			if _, err := readFrame(r); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v, want EOF", err)
			}
			if len(r.buf) > 2048 {
				t.Errorf("the buffer grew to %d bytes, at most 2048 are allowed", len(r.buf))
			}
		})
	}
}

// TestReaderMemory checks that a header does not make the reader allocate the body.
func TestReaderMemory(t *testing.T) {
	for _, announced := range []string{"0000000000008000", "0000000010000000", "4000000000000000"} {
		r := newReader(stream{r: bytes.NewReader(unhex(t, "02"+announced+"616263"))}, 0)
		if _, err := readFrame(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%s: %v", announced, err)
		}
		if got := len(r.buf) + cap(r.large); got > firstReadBuffer {
			t.Errorf("%s bytes announced and 3 sent: %d bytes allocated", announced, got)
		}
	}
	var frame []byte
	allocated := testing.AllocsPerRun(10, func() {
		r := newReader(stream{r: bytes.NewReader(unhex(t, "02 4000000000000000 61"))}, 0)
		_, _ = readFrame(r)
		frame = r.buf
	})
	if allocated > 20 || len(frame) != firstReadBuffer {
		t.Errorf("%v allocations, buffer of %d bytes", allocated, len(frame))
	}
}

// TestReaderReleasesLargeFrame checks that the memory of a large frame is released.
func TestReaderReleasesLargeFrame(t *testing.T) {
	wire := AppendFrame(nil, Frame{Body: make([]byte, 4*firstChunk)})
	wire = AppendFrame(wire, Frame{Body: []byte("small")})
	r := newReader(stream{r: bytes.NewReader(wire)}, 0)
	for range 2 {
		if _, err := readFrame(r); err != nil {
			t.Fatal(err)
		}
	}
	if r.large != nil {
		t.Errorf("%d bytes are still allocated after the next frame", cap(r.large))
	}
}

// frameSeeds is the corpus of FuzzFrames.
var frameSeeds = []string{
	"00 00",
	"01 01 61 00 00",
	"04 07 0450494e470000",
	"02 0000000000000100" + strings.Repeat("78", 256),
	"02 0000000000000001 61", // long form of a short frame
	"06 4000000000000000 61",
	"02 ffffffffffffffff",
	"05 00",
	"f8 00",
	"00 ff 00",
}

// FuzzFrames checks that a parsed frame is encoded to the same bytes, and that memory grows only
// with what was sent.
func FuzzFrames(f *testing.F) {
	for _, s := range frameSeeds {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := newReader(stream{r: bytes.NewReader(wire)}, 1024)
		rest := wire
		for {
			frame, err := readFrame(r)
			if err != nil {
				break
			}
			n := len(AppendFrame(nil, frame))
			if rest[0]&flagLong != 0 && len(frame.Body) <= maxShort {
				n += longHeader - shortHeader // the long form, which AppendFrame does not use
			} else if got := AppendFrame(nil, frame); !bytes.Equal(got, rest[:n]) {
				t.Fatalf("%x is parsed and encoded as %x", rest[:n], got)
			}
			rest = rest[n:]
		}
		if held := len(r.buf) + cap(r.large); held > 1024+firstChunk+2*len(wire) {
			t.Fatalf("%d bytes sent, %d allocated", len(wire), held)
		}
	})
}

package zmtp

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var commandEncodings = []struct {
	name    string
	encoded string
	want    Command
}{
	{"23/ZMTP READY", "\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB", Command{"READY", []byte("\x0bSocket-Type\x00\x00\x00\x03SUB")}},
	{"23/ZMTP ERROR", "\x05ERROR\x03400", Command{"ERROR", []byte("\x03400")}},
	{"24/ZMTP-PLAIN HELLO", "\x05HELLO\x04anna\x00", Command{"HELLO", []byte("\x04anna\x00")}},
	{"24/ZMTP-PLAIN WELCOME", "\x07WELCOME", Command{"WELCOME", []byte{}}},
	{"37/ZMTP SUBSCRIBE", "\x09SUBSCRIBEhouse/", Command{"SUBSCRIBE", []byte("house/")}},
	{"37/ZMTP PING", "\x04PING\x00\x0actx", Command{"PING", []byte("\x00\x0actx")}},
	{"letters at the ends of the alphabet", "\x04AZaz", Command{"AZaz", []byte{}}},
	{"name of one byte", "\x01X", Command{"X", []byte{}}},
	{"name of 255 bytes", "\xff" + strings.Repeat("N", 255) + "d", Command{strings.Repeat("N", 255), []byte("d")}},
}

func TestCommandEncoding(t *testing.T) {
	for _, c := range commandEncodings {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseCommand([]byte(c.encoded))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if encoded := c.want.Append([]byte("before")); string(encoded) != "before"+c.encoded {
				t.Errorf("encoded as %q", encoded)
			}
		})
	}
}

func TestParseCommandMalformed(t *testing.T) {
	for _, body := range []string{"", "\x00", "\x00READY", "\x01", "\x05REA", "\x06READY", "\xff" + strings.Repeat("N", 254), "^RRO", "\x05^RROR", "\x05READ ", "\x05READ@", "\x05READ[", "\x05READ`", "\x05READ{", "\x06READY\x00"} {
		if got, err := ParseCommand([]byte(body)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
}

// TestLibzmqErrorEncoding checks that libzmq's malformed ERROR is parsed as ERROR and written
// as cmdLibzmqError.
func TestLibzmqErrorEncoding(t *testing.T) {
	const body = "^RROR\x03400"
	got, err := ParseCommand([]byte(body))
	if diff := cmp.Diff(Command{"ERROR", []byte("\x03400")}, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	if written := (Command{cmdLibzmqError, []byte("\x03400")}).Append(nil); string(written) != body {
		t.Errorf("encoded as %q", written)
	}
}

func TestAppendPanicsOnInvalidName(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("N", 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a name of %d bytes was encoded", len(name))
				}
			}()
			Command{Name: name}.Append(nil)
		}()
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, c := range commandEncodings {
		f.Add([]byte(c.encoded))
	}
	f.Add([]byte("^RROR\x03400"))
	f.Add([]byte("\x05^RROR\x03400"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseCommand(body)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("%v does not wrap ErrProtocol", err)
			}
			return
		}
		if bytes.HasPrefix(body, []byte(cmdLibzmqError)) {
			if c.Name != cmdError {
				t.Errorf("libzmq's ERROR is parsed as %q", c.Name)
			}
			return
		}
		if written := c.Append(nil); !bytes.Equal(written, body) {
			t.Errorf("encoded as %x, was %x", written, body)
		}
	})
}

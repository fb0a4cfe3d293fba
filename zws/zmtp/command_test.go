package zmtp

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var commandOctets = []struct {
	name   string
	octets string
	want   Command
}{
	{"23/ZMTP READY", "\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB", Command{"READY", []byte("\x0bSocket-Type\x00\x00\x00\x03SUB")}},
	{"23/ZMTP ERROR", "\x05ERROR\x03400", Command{"ERROR", []byte("\x03400")}},
	{"24/ZMTP-PLAIN HELLO", "\x05HELLO\x04anna\x00", Command{"HELLO", []byte("\x04anna\x00")}},
	{"24/ZMTP-PLAIN WELCOME", "\x07WELCOME", Command{"WELCOME", []byte{}}},
	{"37/ZMTP SUBSCRIBE", "\x09SUBSCRIBEhouse/", Command{"SUBSCRIBE", []byte("house/")}},
	{"37/ZMTP PING", "\x04PING\x00\x0actx", Command{"PING", []byte("\x00\x0actx")}},
	{"letters at the ends of the alphabet", "\x04AZaz", Command{"AZaz", []byte{}}},
	{"name of one octet", "\x01X", Command{"X", []byte{}}},
	{"name of 255 octets", "\xff" + strings.Repeat("N", 255) + "d", Command{strings.Repeat("N", 255), []byte("d")}},
}

func TestCommandOctets(t *testing.T) {
	for _, c := range commandOctets {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseCommand([]byte(c.octets))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if octets := c.want.Append([]byte("before")); string(octets) != "before"+c.octets {
				t.Errorf("written %q", octets)
			}
		})
	}
}

func TestParseCommandMalformed(t *testing.T) {
	for _, octets := range []string{"", "\x00", "\x00READY", "\x01", "\x05REA", "\x06READY", "\xff" + strings.Repeat("N", 254), "^RRO", "\x05^RROR", "\x05READ ", "\x05READ@", "\x05READ[", "\x05READ`", "\x05READ{", "\x06READY\x00"} {
		if got, err := ParseCommand([]byte(octets)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v, %v", octets, got, err)
		}
	}
}

// libzmq's malformed ERROR is read as ERROR, and written under a name of its own.
func TestLibzmqErrorOctets(t *testing.T) {
	const octets = "^RROR\x03400"
	got, err := ParseCommand([]byte(octets))
	if diff := cmp.Diff(Command{"ERROR", []byte("\x03400")}, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	if written := (Command{cmdLibzmqError, []byte("\x03400")}).Append(nil); string(written) != octets {
		t.Errorf("written %q", written)
	}
}

func TestAppendPanicsOnANameThatCannotBeWritten(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("N", 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a name of %d octets was written", len(name))
				}
			}()
			Command{Name: name}.Append(nil)
		}()
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, c := range commandOctets {
		f.Add([]byte(c.octets))
	}
	f.Add([]byte("^RROR\x03400"))
	f.Add([]byte("\x05^RROR\x03400"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, octets []byte) {
		c, err := ParseCommand(octets)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("%v does not wrap ErrProtocol", err)
			}
			return
		}
		if bytes.HasPrefix(octets, []byte(cmdLibzmqError)) {
			if c.Name != cmdError {
				t.Errorf("libzmq's ERROR is read as %q", c.Name)
			}
			return
		}
		if written := c.Append(nil); !bytes.Equal(written, octets) {
			t.Errorf("written %x, was %x", written, octets)
		}
	})
}

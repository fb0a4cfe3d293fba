package zmtp

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	zeros8  = "0000000000000000"
	null20  = "4e554c4c" + zeros8 + zeros8
	plain20 = "504c41494e" + zeros8 + "00000000000000"
	curve20 = "4355525645" + zeros8 + "00000000000000"
	zeros31 = zeros8 + zeros8 + zeros8 + "00000000000000"
)

func TestGreetingEncoding(t *testing.T) {
	tests := []struct {
		name     string
		greeting greeting
		encoded  string
	}{
		{"NULL", greeting{3, 1, zap.NULL, false}, "ff " + zeros8 + " 7f 03 01" + null20 + "00" + zeros31},
		{"3.0", greeting{3, 0, zap.NULL, false}, "ff " + zeros8 + " 7f 03 00" + null20 + "00" + zeros31},
		{"PLAIN client", greeting{3, 1, zap.PLAIN, false}, "ff " + zeros8 + " 7f 03 01" + plain20 + "00" + zeros31},
		{"CURVE server", greeting{3, 1, zap.CURVE, true}, "ff " + zeros8 + " 7f 03 01" + curve20 + "01" + zeros31},
		{"a later version", greeting{4, 2, zap.NULL, false}, "ff " + zeros8 + " 7f 04 02" + null20 + "00" + zeros31},
		{"the longest name", greeting{3, 1, "ABCDEFGHIJKLMNOPQR-9", false}, "ff " + zeros8 + " 7f 03 01" + "4142434445464748494a4b4c4d4e4f5051522d39" + "00" + zeros31},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := unhex(t, test.encoded)
			if got := test.greeting.marshal(); !bytes.Equal(got, want) {
				t.Errorf("encoded as %x, want %x", got, want)
			}
			got, err := parseGreeting(want)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.greeting, got); d != "" {
				t.Errorf("parsed as another greeting:\n%s", d)
			}
		})
	}
}

// TestPaddingAndFiller checks that padding and filler are ignored.
func TestPaddingAndFiller(t *testing.T) {
	b := unhex(t, "ff 0102030405060708 7f 03 01"+null20+"00"+strings.Repeat("ab", 31))
	got, err := parseGreeting(b)
	if want := (greeting{3, 1, zap.NULL, false}); err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestBrokenGreetings(t *testing.T) {
	tests := []struct {
		name, encoded string
		want          error
	}{
		{"ZMTP 1.0, anonymous", "01 00", ErrVersion},
		{"ZMTP 1.0, routing id", "03 00 6162", ErrVersion},
		{"ZMTP 2.0", "ff 0000000000000001 7f 01", ErrVersion},
		{"ZMTP 2.1", "ff 0000000000000001 7f 02 05", ErrVersion},
		{"HTTP", "48 54 54 50 2f 31 2e 31", ErrNotZMTP},
		{"SSH", "53 53 48 2d", ErrNotZMTP},
		{"TLS alert", "15 03 01", ErrNotZMTP},
		{"zeros", "00 00", ErrNotZMTP},
		{"another end of the signature", "ff " + zeros8 + " 00", ErrNotZMTP},
		{"no mechanism", "ff " + zeros8 + " 7f 03 01" + zeros8 + zeros8 + "00000000" + "00" + zeros31, ErrProtocol},
		{"lower case", "ff " + zeros8 + " 7f 03 01" + "6e756c6c" + zeros8 + zeros8 + "00" + zeros31, ErrProtocol},
		{"a name after the padding", "ff " + zeros8 + " 7f 03 01" + "4e554c4c" + zeros8 + "4e" + "00000000000000" + "00" + zeros31, ErrProtocol},
		{"as-server is 2", "ff " + zeros8 + " 7f 03 01" + null20 + "02" + zeros31, ErrProtocol},
		{"63 bytes", "ff " + zeros8 + " 7f 03 01" + null20 + "00" + zeros31[2:], ErrProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := unhex(t, test.encoded)
			if _, err := checkedGreeting(b); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// checkedGreeting parses b as if it arrived byte by byte.
func checkedGreeting(b []byte) (greeting, error) {
	for n := range b {
		if err := checkGreeting(b[:n]); err != nil {
			return greeting{}, err
		}
	}
	if err := checkGreeting(b); err != nil {
		return greeting{}, err
	}
	return parseGreeting(b)
}

// greetingSeeds is the corpus of FuzzGreeting.
var greetingSeeds = []string{
	"ff " + zeros8 + " 7f 03 01" + null20 + "00" + zeros31,
	"ff " + zeros8 + " 7f 03 00" + plain20 + "01" + zeros31,
	"ff 0102030405060708 7f 04 09" + curve20 + "00" + strings.Repeat("ff", 31),
	"ff " + zeros8 + " 7f 01",
	"01 00",
	"474554202f",
}

// FuzzGreeting checks that a parsed greeting is encoded to the same bytes, except those
// without a meaning.
func FuzzGreeting(f *testing.F) {
	for _, s := range greetingSeeds {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := checkedGreeting(b)
		if err != nil {
			return
		}
		want := bytes.Clone(b)
		clear(want[1 : greetingSignature-1])
		clear(want[asServerAt+1:])
		if got := g.marshal(); !bytes.Equal(got, want) {
			t.Errorf("%x is parsed and encoded as %x", b, got)
		}
	})
}

func TestWireCorpora(t *testing.T) {
	if len(frameSeeds) == 0 || len(greetingSeeds) == 0 {
		t.Error("a fuzz target has no corpus")
	}
}

// TestHoldBack checks when a client sends the rest of its greeting: at once to a peer that
// sends its own, after holdBack to a peer that waits.
func TestHoldBack(t *testing.T) {
	theirs := greeting{3, 1, zap.NULL, false}.marshal()
	for _, test := range []struct {
		name  string
		waits bool
		after time.Duration
	}{
		{"a peer that greets at once", false, 0},
		{"a peer that waits", true, holdBack},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, peer := net.Pipe()
				defer peer.Close()
				c, err := newConn(ours, Options{SocketType: DEALER})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				result := make(chan error, 1)
				go func() { result <- c.greet(ourMinor, zap.NULL, false) }()
				start := time.Now()
				read(t, peer, versionedSize)
				if !test.waits {
					write(t, peer, theirs)
				}
				read(t, peer, greetingSize-versionedSize)
				if got := time.Since(start); got != test.after {
					t.Errorf("the rest was sent after %v, want %v", got, test.after)
				}
				if test.waits {
					write(t, peer, theirs)
				}
				if err := <-result; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestServerGreeting checks that a server sends its whole greeting to a peer that sends its
// version without waiting. A peer that waits, as libzmq does, gets signature and version
// first, so that it names its mechanism before it learns that the server's is another.
func TestServerGreeting(t *testing.T) {
	theirs := greeting{3, 1, zap.PLAIN, false}.marshal()
	for _, test := range []struct {
		name           string
		peerSends, get int
	}{
		{"libzmq", greetingSignature, versionedSize},
		{"peer that sends its version", versionedSize, greetingSize},
		{"peer that sends everything", greetingSize, greetingSize},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, peer := net.Pipe()
				defer peer.Close()
				c, err := newConn(ours, Options{SocketType: DEALER})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				result := make(chan error, 1)
				go func() { result <- c.greet(ourMinor, zap.NULL, true) }()
				write(t, peer, theirs[:test.peerSends])
				read(t, peer, test.get)
				write(t, peer, theirs[test.peerSends:])
				read(t, peer, greetingSize-test.get)
				var mismatch *MechanismError
				if err := <-result; !errors.As(err, &mismatch) || *mismatch != (MechanismError{zap.NULL, zap.PLAIN}) {
					t.Errorf("got %v, want a MechanismError of NULL and PLAIN", err)
				}
			})
		})
	}
}

func write(t *testing.T, nc net.Conn, b []byte) {
	t.Helper()
	if len(b) == 0 {
		return
	}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, nc net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := nc.Read(b[got:])
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", got, n, err)
		}
		got += m
	}
	return b
}

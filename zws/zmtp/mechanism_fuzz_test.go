package zmtp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The fuzz targets pass the data of one command to a state machine that expects it. It must not
// panic, must return an error that wraps ErrProtocol (or a refusal) for malformed data, and
// must encode what it parsed to the same bytes.

var (
	metadataCorpus = []string{
		"",
		string(dealer.Append(nil)),
		string(router.Append(nil)),
		"\x0bSocket-Type\x00\x00\x00\x00",
		"\x0bsocket-type\x00\x00\x00\x03SUB\x08Identity\x00\x00\x00\x01\x00\x03X-Y\x00\x00\x00\x02\xff\x00",
		"\x00\x00\x00\x00\x00",
		"\x0bSocket-Type\xff\xff\xff\xff",
	}
	plainCorpus  = []string{"", "\x00\x00", "\x04anna\x09geheim-7!", "\x04anna", "\xff\x00", "\x04anna\x00x"}
	bearerCorpus = []string{"", "header.payload.signature", "\x00"}
	errorCorpus  = []string{"", "\x03300", "\x03400", "\x03500", "\x00", "\x07go away", "\xff", "\x03400x"}
)

func addAll(f *testing.F, corpus []string) {
	for _, data := range corpus {
		f.Add([]byte(data))
	}
}

// TestCorpora checks that the corpora of the fuzz targets and the recordings exist.
func TestCorpora(t *testing.T) {
	for name, corpus := range map[string][]string{
		"metadata": metadataCorpus, "plain": plainCorpus, "bearer": bearerCorpus, "error": errorCorpus,
	} {
		if len(corpus) < 3 {
			t.Errorf("%s: %d seeds", name, len(corpus))
		}
	}
	if len(commandEncodings) == 0 {
		t.Error("commands: no seeds")
	}
	if entries, err := os.ReadDir("testdata/golden"); err != nil || len(entries) == 0 {
		t.Errorf("no recordings: %v", err)
	}
}

// metadataCommand passes a command with metadata to side and checks that Peer returns this
// metadata if it is valid.
func metadataCommand(t *testing.T, side Mechanism, name string, data, metadata []byte) {
	t.Helper()
	_, err := side.Next(context.Background(), &Command{name, data})
	if err != nil {
		if !errors.Is(err, ErrProtocol) || side.Done() {
			t.Errorf("%v, done %v", err, side.Done())
		}
		return
	}
	if written := side.Peer().Metadata.Append(nil); !bytes.Equal(written, metadata) {
		t.Errorf("encoded as %x, was %x", written, metadata)
	}
}

// advance passes n commands between two new sides and returns the next one.
func advance(t testing.TB, p *pair, n int) (client, server Mechanism, out *Command) {
	t.Helper()
	client, server = p.sides(t)
	out, err := client.Next(context.Background(), nil)
	for i := 0; i < n; i++ {
		if err != nil || out == nil {
			t.Fatal(out, err)
		}
		out, err = []Mechanism{server, client}[i%2].Next(context.Background(), out)
	}
	if err != nil || out == nil {
		t.Fatal(out, err)
	}
	return client, server, out
}

func FuzzNullReady(f *testing.F) {
	addAll(f, metadataCorpus)
	p := newPair(f, zap.NULL)
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server, _ := advance(t, p, 0)
		metadataCommand(t, server, cmdReady, data, data)
		metadataCommand(t, client, cmdReady, data, data)
	})
}

func FuzzPlainInitiateAndReady(f *testing.F) {
	addAll(f, metadataCorpus)
	p := newPair(f, zap.PLAIN)
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server, _ := advance(t, p, 2)
		metadataCommand(t, server, cmdInitiate, data, data)
		metadataCommand(t, client, cmdReady, data, data)
	})
}

func FuzzPlainHello(f *testing.F) {
	addAll(f, plainCorpus)
	p := newPair(f, zap.PLAIN)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, server, _ := advance(t, p, 0)
		if _, err := server.Next(context.Background(), &Command{cmdHello, data}); err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
			return
		}
		c := server.Peer().Credentials
		if written := appendPlain(nil, string(c[0]), string(c[1])); !bytes.Equal(written, data) {
			t.Errorf("encoded as %x, was %x", written, data)
		}
	})
}

func FuzzBearerHello(f *testing.F) {
	addAll(f, bearerCorpus)
	p := newPair(f, zap.BEARER)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, server, _ := advance(t, p, 0)
		if _, err := server.Next(context.Background(), &Command{cmdHello, data}); err != nil {
			t.Fatal(err)
		}
		if c := server.Peer().Credentials; len(c) != 1 || !bytes.Equal(c[0], data) {
			t.Errorf("credentials %x, the token is %x", c, data)
		}
	})
}

func FuzzError(f *testing.F) {
	addAll(f, errorCorpus)
	f.Fuzz(func(t *testing.T, data []byte) {
		err := parseError(data)
		refusal, ok := errors.AsType[*RefusedError](err)
		if ok == errors.Is(err, ErrProtocol) {
			t.Fatalf("want either a refusal or a protocol error: %v", err)
		}
		if !ok {
			return
		}
		reason := refusal.Reason
		if refusal.Status != 0 {
			reason = string(data[1:])
		}
		if written := append([]byte{byte(len(reason))}, reason...); !bytes.Equal(written, data) {
			t.Errorf("encoded as %x, was %x", written, data)
		}
	})
}

// fuzzCurve replaces the data of command number at of a CURVE handshake. Without the keys
// nobody can make one that is accepted, except by repeating the genuine one.
func fuzzCurve(f *testing.F, name string, at int) {
	p := newPair(f, zap.CURVE)
	_, _, genuine := advance(f, p, at)
	f.Add(genuine.Data)
	f.Add([]byte{})
	f.Add(genuine.Data[:len(genuine.Data)-1])
	f.Add(append(bytes.Clone(genuine.Data), 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server, _ := advance(t, p, at)
		victim := []Mechanism{server, client}[at%2]
		_, err := victim.Next(context.Background(), &Command{name, data})
		switch {
		case name == cmdHello && err == nil && bytes.Equal(withoutTopBit(data), withoutTopBit(genuine.Data)):
		case !errors.Is(err, ErrProtocol), victim.Done():
			t.Errorf("%v, done %v", err, victim.Done())
		}
	})
}

// withoutTopBit clears the bit of C' that X25519 ignores.
func withoutTopBit(hello []byte) []byte {
	hello = bytes.Clone(hello)
	hello[2+helloPadding+keySize-1] &^= 0x80
	return hello
}

func FuzzCurveHello(f *testing.F)    { fuzzCurve(f, cmdHello, 0) }
func FuzzCurveWelcome(f *testing.F)  { fuzzCurve(f, cmdWelcome, 1) }
func FuzzCurveInitiate(f *testing.F) { fuzzCurve(f, cmdInitiate, 2) }
func FuzzCurveReady(f *testing.F)    { fuzzCurve(f, cmdReady, 3) }

// FuzzCurveInside puts metadata into the boxes of INITIATE and READY, which only the owner of
// the keys can.
func FuzzCurveInside(f *testing.F) {
	addAll(f, metadataCorpus)
	p := newPair(f, zap.CURVE)
	f.Fuzz(func(t *testing.T, data []byte) {
		made, server, initiate := advance(t, p, 2)
		client := made.(*curveClient)
		shared := &client.traffic.shared
		sealed := initiate.Data[cookieSize:]
		inside, ok := unseal(nil, sealed, prefixInitiate, shared)
		if !ok {
			t.Fatal("the client's INITIATE does not open")
		}
		inside = append(inside[:keySize+vouchSize], data...)
		metadataCommand(t, server, cmdInitiate, seal(initiate.Data[:cookieSize:cookieSize], inside, prefixInitiate, sealed[:shortNonceSize], shared), data)
		metadataCommand(t, client, cmdReady, seal(nil, data, prefixReady, newShortNonce(1), shared), data)
	})
}

func FuzzCurveMessage(f *testing.F) {
	p := newPair(f, zap.CURVE)
	for _, body := range []string{"", messageName, messageName + "0123456701234567890123456"} {
		f.Add([]byte(body), false, false)
	}
	f.Add([]byte("\x01part"), true, true)
	f.Fuzz(func(t *testing.T, data []byte, more, sealed bool) {
		client, server := p.sides(t)
		shake(t, client, server)
		frame := Frame{More: more, Body: data}
		if sealed { // data is the payload, including its flags
			traffic := client.(*curveClient).traffic
			frame = Frame{Body: seal([]byte(messageName), data, prefixMessageClient, newShortNonce(3), &traffic.shared)}
		}
		got, err := server.Decode(frame)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
			return
		}
		if again := append([]byte{payloadFlags(got)}, got.Body...); !sealed || !bytes.Equal(again, data) {
			t.Errorf("decoded %+v from %x", got, data)
		}
	})
}

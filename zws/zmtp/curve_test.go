package zmtp

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"golang.org/x/crypto/nacl/box"

	"github.com/zwsbridge/zwsbridge/zap"
)

// boxOpen opens a box with x/crypto/nacl/box only, so that curve.go is not checked against
// itself.
func boxOpen(t *testing.T, sealed []byte, prefix string, nonce []byte, from, to [32]byte) []byte {
	t.Helper()
	var full [24]byte
	if n := copy(full[:], prefix); copy(full[n:], nonce) != 24-n {
		t.Fatalf("nonce of %d bytes after %q", len(nonce), prefix)
	}
	message, ok := box.Open(nil, sealed, &full, &from, &to)
	if !ok {
		t.Fatalf("the box with %q does not open", prefix)
	}
	return message
}

// TestCurveWireFormat checks every field of the commands of 26/CURVEZMQ at the offset that its
// grammar gives.
func TestCurveWireFormat(t *testing.T) {
	p := newPair(t, zap.CURVE)
	keys := p.client.(Curve)
	client, server := p.sides(t)
	next := func(side Mechanism, in []byte) []byte {
		t.Helper()
		var c *Command
		if in != nil {
			parsed, err := ParseCommand(in)
			if err != nil {
				t.Fatal(err)
			}
			c = &parsed
		}
		out, err := side.Next(t.Context(), c)
		if err != nil || out == nil {
			t.Fatalf("%v, %v", out, err)
		}
		return out.Append(nil)
	}
	equal := func(what string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s is\n%x, want\n%x", what, got, want)
		}
	}
	counter := func(n byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, n} }

	// hello = %d5 "HELLO" version padding hello-client hello-nonce hello-box
	hello := next(client, nil)
	if len(hello) != 200 {
		t.Fatalf("HELLO of %d bytes", len(hello))
	}
	equal("HELLO up to C'", hello[:80], append([]byte("\x05HELLO\x01\x00"), make([]byte, 72)...))
	transientClient := [32]byte(hello[80:112])
	equal("HELLO's nonce", hello[112:120], counter(1))
	equal("HELLO's box", boxOpen(t, hello[120:], "CurveZMQHELLO---", hello[112:120], transientClient, p.server.CurveSecret), make([]byte, 64))

	// welcome = %d7 "WELCOME" welcome-nonce welcome-box
	welcome := next(server, hello)
	if len(welcome) != 168 {
		t.Fatalf("WELCOME of %d bytes", len(welcome))
	}
	equal("WELCOME's name", welcome[:8], []byte("\x07WELCOME"))
	secretClient := client.(*curveClient).secret
	inWelcome := boxOpen(t, welcome[24:], "WELCOME-", welcome[8:24], p.server.CurvePublic, secretClient)
	transientServer, cookie := [32]byte(inWelcome[:32]), inWelcome[32:]
	if len(cookie) != 96 {
		t.Fatalf("cookie of %d bytes", len(cookie))
	}

	// initiate = %d8 "INITIATE" cookie initiate-nonce initiate-box
	initiate := next(client, welcome)
	equal("INITIATE up to its nonce", initiate[:105], append([]byte("\x08INITIATE"), cookie...))
	equal("INITIATE's nonce", initiate[105:113], counter(2))
	inInitiate := boxOpen(t, initiate[113:], "CurveZMQINITIATE", initiate[105:113], transientServer, secretClient)
	equal("C", inInitiate[:32], keys.Public[:])
	vouch := boxOpen(t, inInitiate[48:128], "VOUCH---", inInitiate[32:48], transientServer, keys.Secret)
	equal("vouch", vouch, append(transientClient[:], p.server.CurvePublic[:]...))
	equal("INITIATE's metadata", inInitiate[128:], dealer.Append(nil))

	// ready = %d5 "READY" ready-nonce ready-box
	ready := next(server, initiate)
	equal("READY up to its box", ready[:14], append([]byte("\x05READY"), counter(1)...))
	inReady := boxOpen(t, ready[14:], "CurveZMQREADY---", ready[6:14], transientServer, secretClient)
	equal("READY's metadata", inReady, router.Append(nil))
	if in, err := ParseCommand(ready); err != nil {
		t.Fatal(err)
	} else if out, err := client.Next(t.Context(), &in); out != nil || err != nil {
		t.Fatal(out, err)
	}

	// message = %d7 "MESSAGE" message-nonce message-box
	for _, c := range []struct {
		from   Mechanism
		nonce  byte
		prefix string
	}{{client, 3, "CurveZMQMESSAGEC"}, {client, 4, "CurveZMQMESSAGEC"}, {server, 2, "CurveZMQMESSAGES"}} {
		for _, f := range []struct {
			frame Frame
			flags string
		}{{Frame{More: true, Body: []byte("a")}, "\x01a"}, {Frame{}, "\x00"}, {Frame{Command: true, Body: []byte("\x04PING")}, "\x02\x04PING"}} {
			message, err := c.from.Encode(f.frame)
			if err != nil {
				t.Fatal(err)
			}
			if len(message.Body) != 33+len(f.frame.Body) {
				t.Errorf("MESSAGE of %d bytes for %d", len(message.Body), len(f.frame.Body))
			}
			equal("MESSAGE's name", message.Body[:8], []byte("\x07MESSAGE"))
			inMessage := boxOpen(t, message.Body[16:], c.prefix, message.Body[8:16], transientServer, secretClient)
			equal("MESSAGE's payload", inMessage, []byte(f.flags))
		}
	}
}

// TestCurveTopBitOfTransientKey checks that a changed top bit of C' is found. X25519 ignores
// that bit, so HELLO still opens, but the vouch contains the original C'.
func TestCurveTopBitOfTransientKey(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	hello, _ := client.Next(t.Context(), nil)
	hello.Data[2+helloPadding+31] ^= 0x80
	welcome, err := server.Next(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	initiate, err := client.Next(t.Context(), welcome)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Next(t.Context(), initiate); !errors.Is(err, ErrProtocol) {
		t.Errorf("a vouch for another transient key: %v", err)
	}
}

// TestCurveWrongServerKey checks that a client with another server key gets no WELCOME, and
// that the WELCOME of another server does not open.
func TestCurveWrongServerKey(t *testing.T) {
	p := newPair(t, zap.CURVE)
	c := p.client.(Curve)
	c.ServerKey, _ = testKeys(t)
	p.client = c
	client, server := p.sides(t)
	if got := shake(t, client, server); !errors.Is(got.serverErr, ErrProtocol) || len(got.commands) != 1 {
		t.Errorf("%v, %v", got.commands, got.serverErr)
	}

	other := newPair(t, zap.CURVE)
	client, _ = p.sides(t)
	if _, err := client.Next(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	rightful, server := other.sides(t)
	hello, _ := rightful.Next(t.Context(), nil)
	welcome, err := server.Next(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Next(t.Context(), welcome); !errors.Is(err, ErrProtocol) {
		t.Errorf("WELCOME of another server: %v", err)
	}
}

// TestCurveCookie checks that a cookie is valid for one connection, once.
func TestCurveCookie(t *testing.T) {
	p := newPair(t, zap.CURVE)
	client, server := p.sides(t)
	hello, _ := client.Next(t.Context(), nil)
	welcome, _ := server.Next(t.Context(), hello)
	initiate, err := client.Next(t.Context(), welcome)
	if err != nil {
		t.Fatal(err)
	}

	_, other := p.sides(t)
	if _, err := other.Next(t.Context(), hello); err != nil {
		t.Fatal("a HELLO that is sent to two connections: ", err)
	}
	if _, err := other.Next(t.Context(), initiate); !errors.Is(err, ErrProtocol) {
		t.Errorf("INITIATE on another connection: %v", err)
	}
	_, fresh := p.sides(t)
	if _, err := fresh.Next(t.Context(), initiate); !errors.Is(err, ErrProtocol) {
		t.Errorf("INITIATE without a HELLO: %v", err)
	}
	if _, err := server.Next(t.Context(), initiate); err != nil || !server.Done() {
		t.Errorf("INITIATE on its own connection: %v", err)
	}
	if s := server.(*curveServer); s.cookieKey != (key{}) {
		t.Error("the cookie key was not discarded after INITIATE")
	}
}

// initiation holds the parts of an INITIATE, which a test can change.
type initiation struct {
	nonce               uint64
	public, secret      [32]byte // C and c
	vouchedC, vouchedTo [32]byte // content of the vouch: C' and S
	metadata            []byte
}

func TestCurveInitiate(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(i *initiation)
		ok    bool
	}{
		{"good", func(*initiation) {}, true},
		{"no metadata", func(i *initiation) { i.metadata = nil }, true},
		{"nonces can jump", func(i *initiation) { i.nonce = math.MaxUint64 }, true},
		{"nonce of HELLO again", func(i *initiation) { i.nonce = nonceHello }, false},
		{"nonce before HELLO's", func(i *initiation) { i.nonce = 0 }, false},
		{"public key of another", func(i *initiation) { i.public, _ = testKeys(t) }, false},
		{"public key of low order", func(i *initiation) { i.public = [32]byte{} }, false},
		{"vouch by another key", func(i *initiation) { _, i.secret = testKeys(t) }, false},
		{"vouch for another transient key", func(i *initiation) { i.vouchedC, _ = testKeys(t) }, false},
		{"vouch for another server", func(i *initiation) { i.vouchedTo, _ = testKeys(t) }, false},
		{"malformed metadata", func(i *initiation) { i.metadata = []byte("\x0bSocket-Type") }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, zap.CURVE)
			made, server := p.sides(t)
			client := made.(*curveClient)
			hello, _ := client.Next(t.Context(), nil)
			welcome, err := server.Next(t.Context(), hello)
			if err != nil {
				t.Fatal(err)
			}
			inWelcome, ok := unseal(nil, welcome.Data, prefixWelcome, &client.shared)
			if !ok {
				t.Fatal("WELCOME does not open")
			}
			transient, cookie := key(inWelcome[:32]), inWelcome[32:]
			i := initiation{nonceInitiate, client.long.Public, client.long.Secret, client.public, client.long.ServerKey, dealer.Append(nil)}
			c.spoil(&i)

			toTransient, _ := agree(&transient, &i.secret)
			vouch := seal(nil, append(i.vouchedC[:], i.vouchedTo[:]...), prefixVouch, make([]byte, longNonceSize), &toTransient)
			message := append(append(i.public[:], vouch...), i.metadata...)
			shared, _ := agree(&transient, &client.secret)
			initiate := Command{cmdInitiate, seal(cookie, message, prefixInitiate, newShortNonce(i.nonce), &shared)}

			out, err := server.Next(t.Context(), &initiate)
			if c.ok {
				if err != nil || out == nil || out.Name != cmdReady || !server.Done() {
					t.Errorf("%v, %v", out, err)
				}
				return
			}
			if !errors.Is(err, ErrProtocol) || out != nil || server.Done() || server.Peer() != nil {
				t.Errorf("got %v, %v; want a protocol error and no command", out, err)
			}
		})
	}
}

// TestCurveServerWithoutRandomness checks that a server fails if its source of randomness does.
func TestCurveServerWithoutRandomness(t *testing.T) {
	for _, have := range []int{0, 31, 32, 63, 79, 95} {
		p := newPair(t, zap.CURVE)
		p.server.Rand = bytes.NewReader(make([]byte, have))
		client, server := p.sides(t)
		got := shake(t, client, server)
		if got.serverErr == nil || server.Done() || len(got.commands) != 1 {
			t.Errorf("%d random bytes: %v, %v", have, got.commands, got.serverErr)
		}
	}
}

package zmtp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestCurveTamperedHandshake changes the first and the last byte of every field of a handshake.
func TestCurveTamperedHandshake(t *testing.T) {
	p := newPair(t, zap.CURVE)
	for at, offsets := range [][]int{
		{0, 1, 2, 73, 74, 105, 106, 113, 114, 193}, // version, padding, C', nonce, box
		{0, 15, 16, 159}, // nonce, box
		{0, 15, 16, 95, 96, 103, 104, 247, 248, 248 + 30}, // cookie's nonce and box, nonce, box
		{0, 7, 8, 23, 24}, // nonce, box
	} {
		for _, i := range offsets {
			t.Run(fmt.Sprint(flows[zap.CURVE][at], i), func(t *testing.T) {
				misbehave(t, p, defect{at: at, spoil: func(in Command) *Command {
					in.Data[i] ^= 0x01
					return &in
				}})
			})
		}
	}
	good(t, p)
}

// TestCurveMalformedCommand checks versions, sizes and weak keys.
func TestCurveMalformedCommand(t *testing.T) {
	p := newPair(t, zap.CURVE)
	set := func(i int, b byte) func(Command) *Command {
		return func(in Command) *Command { in.Data[i] = b; return &in }
	}
	lowOrder := func(i int) func(Command) *Command {
		return func(in Command) *Command { clear(in.Data[i : i+32]); return &in }
	}
	size := func(n int) func(Command) *Command {
		return func(in Command) *Command { return &Command{in.Name, append(in.Data, make([]byte, n)...)[:n]} }
	}
	for _, d := range []defect{
		{"HELLO version 2.0", 0, set(0, 2)},
		{"HELLO version 0.0", 0, set(0, 0)},
		{"HELLO version 1.1", 0, set(1, 1)},
		{"HELLO padding, first byte", 0, set(2, 1)},
		{"HELLO padding, last byte", 0, set(73, 1)},
		{"HELLO C' of low order", 0, lowOrder(74)},
		{"HELLO empty", 0, size(0)},
		{"HELLO of 193", 0, size(193)},
		{"HELLO of 195", 0, size(195)},
		{"HELLO of PLAIN", 0, data("\x04anna\x00")},
		{"WELCOME empty", 1, size(0)},
		{"WELCOME of 159", 1, size(159)},
		{"WELCOME of 161", 1, size(161)},
		{"INITIATE empty", 2, size(0)},
		{"INITIATE of 247", 2, size(247)},
		{"INITIATE of 248", 2, size(248)},
		{"INITIATE of 1 MiB", 2, size(1 << 20)},
		{"READY empty", 3, size(0)},
		{"READY of 23", 3, size(23)},
		{"READY of 24", 3, size(24)},
	} {
		t.Run(d.name, func(t *testing.T) { misbehave(t, p, d) })
	}
	good(t, p)
}

// TestCurveKeysOfLowOrder checks every encoding of every public key of low order.
func TestCurveKeysOfLowOrder(t *testing.T) {
	_, secret := testKeys(t)
	for _, encoded := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		public, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := agree((*key)(public), &secret); err != errWeakKey {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}

// TestCurveHelloWithoutZeros sends a HELLO whose box opens but does not contain zeros.
func TestCurveHelloWithoutZeros(t *testing.T) {
	made, server := newPair(t, zap.CURVE).sides(t)
	client := made.(*curveClient)
	hello, _ := client.Next(t.Context(), nil)
	ones := bytes.Repeat([]byte{1}, helloZeros)
	hello.Data = seal(hello.Data[:helloSize-signatureSize], ones, prefixHello, newShortNonce(nonceHello), &client.shared)
	if out, err := server.Next(t.Context(), hello); !errors.Is(err, ErrProtocol) || out != nil {
		t.Errorf("%v, %v", out, err)
	}
}

// TestCurveMisbehavingServer checks a server that has the long-term key but sends malformed
// commands.
func TestCurveMisbehavingServer(t *testing.T) {
	p := newPair(t, zap.CURVE)
	start := func() (*curveClient, [32]byte) {
		made, _ := p.sides(t)
		if _, err := made.Next(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		client := made.(*curveClient)
		shared, err := agree(&client.public, &p.server.CurveSecret)
		if err != nil {
			t.Fatal(err)
		}
		return client, shared
	}
	welcome := func(client *curveClient, shared, transient [32]byte) (*Command, error) {
		inside := append(transient[:], make([]byte, cookieSize)...)
		return client.Next(t.Context(), &Command{cmdWelcome, seal(nil, inside, prefixWelcome, make([]byte, longNonceSize), &shared)})
	}

	client, shared := start()
	if out, err := welcome(client, shared, [32]byte{}); !errors.Is(err, ErrProtocol) || out != nil {
		t.Errorf("S' of low order: %v, %v", out, err)
	}
	for name, metadata := range map[string]string{"good": "", "malformed metadata": "\x00"} {
		client, shared := start()
		public, secret := testKeys(t)
		if _, err := welcome(client, shared, public); err != nil {
			t.Fatal(err)
		}
		transientShared, _ := agree(&client.public, &secret)
		_, err := client.Next(t.Context(), &Command{cmdReady, seal(nil, []byte(metadata), prefixReady, newShortNonce(1), &transientShared)})
		if client.Done() != (name == "good") || !client.Done() && !errors.Is(err, ErrProtocol) {
			t.Errorf("READY, %s: %v", name, err)
		}
	}
}

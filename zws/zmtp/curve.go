package zmtp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// The CURVE mechanism (25/ZMTP-CURVE, whose commands are those of 26/CURVEZMQ). Keys have
// the names of the specification: C and S are the long-term public keys of client and
// server, C' and S' the transient ones, and c, s, c', s' the secret keys to them.
// "Box [X](C->S)" is X in a box that only C can have made and only S can open.

type key = [32]byte

// The sizes of the commands' data: of the command without its name.
const (
	keySize        = len(key{})
	longNonceSize  = 16
	shortNonceSize = 8
	boxOverhead    = secretbox.Overhead

	helloPadding  = 72 // against amplification
	helloZeros    = 64 // what the signature box holds
	signatureSize = shortNonceSize + boxOverhead + helloZeros
	cookieSize    = longNonceSize + boxOverhead + 2*keySize
	vouchSize     = longNonceSize + boxOverhead + 2*keySize

	helloSize   = 2 + helloPadding + keySize + signatureSize                      // 194
	welcomeSize = longNonceSize + boxOverhead + keySize + cookieSize              // 160
	minInitiate = cookieSize + shortNonceSize + boxOverhead + keySize + vouchSize // 248
	minReady    = shortNonceSize + boxOverhead                                    // 24
)

// What a nonce is preceded by, but not on the wire, to make 24 octets.
const (
	prefixHello         = "CurveZMQHELLO---"
	prefixWelcome       = "WELCOME-"
	prefixCookie        = "COOKIE--"
	prefixVouch         = "VOUCH---"
	prefixInitiate      = "CurveZMQINITIATE"
	prefixReady         = "CurveZMQREADY---"
	prefixMessageClient = "CurveZMQMESSAGEC"
	prefixMessageServer = "CurveZMQMESSAGES"
)

// randomOr returns r, and crypto/rand for nil.
func randomOr(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}

// newKeyPair draws a transient key pair.
func newKeyPair(random io.Reader) (public, secret key, err error) {
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return key{}, key{}, fmt.Errorf("zmtp: transient key: %w", err)
	}
	curve25519.ScalarBaseMult(&public, &secret)
	return public, secret, nil
}

// newLongNonce draws a nonce that no other box under the same key has had.
func newLongNonce(random io.Reader) ([]byte, error) {
	nonce := make([]byte, longNonceSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("zmtp: nonce: %w", err)
	}
	return nonce, nil
}

// newShortNonce is the wire form of a counter.
func newShortNonce(n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, n)
}

// checkKeyPair tells whether a long-term key pair belongs together.
func checkKeyPair(public, secret key) error {
	var want key
	curve25519.ScalarBaseMult(&want, &secret)
	if secret == (key{}) || want != public {
		return errors.New("zmtp: the CURVE secret key does not belong to the public key")
	}
	return nil
}

// errWeakKey: with a public key of low order every secret key agrees on the same shared
// key, so that anyone could make the box.
var errWeakKey = errors.New("public key of low order")

// weakShared is the shared key that all public keys of low order lead to.
var weakShared = func() (shared key) {
	box.Precompute(&shared, &key{}, &key{})
	return shared
}()

// agree works out the key of the boxes between two key pairs.
func agree(public, secret *key) (shared key, err error) {
	box.Precompute(&shared, public, secret)
	if subtle.ConstantTimeCompare(shared[:], weakShared[:]) == 1 {
		return key{}, errWeakKey
	}
	return shared, nil
}

// seal appends nonce and the box of message to dst, as every command has them. A box under
// a key that is agreed already is a secretbox.
func seal(dst, message []byte, prefix string, nonce []byte, shared *key) []byte {
	full := fullNonce(prefix, nonce)
	return secretbox.Seal(append(dst, nonce...), message, &full, shared)
}

// unseal appends to dst what is in a box that stands after its nonce.
func unseal(dst, sealed []byte, prefix string, shared *key) (message []byte, ok bool) {
	n := 24 - len(prefix)
	full := fullNonce(prefix, sealed[:n])
	return secretbox.Open(dst, sealed[n:], &full, shared)
}

func fullNonce(prefix string, nonce []byte) (full [24]byte) {
	copy(full[copy(full[:], prefix):], nonce)
	return full
}

// cut splits b after n octets.
func cut(b []byte, n int) (head, rest []byte) { return b[:n], b[n:] }

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

// The CURVE mechanism (25/ZMTP-CURVE, which uses the commands of 26/CURVEZMQ):
//
//	curvezmq = C:hello ( S:welcome | S:error ) C:initiate ( S:ready | S:error )
//	           *( C:message | S:message )
//
// Keys are named as in the specification: C and S are the long-term public keys of client and
// server, C' and S' the transient ones, and c, s, c', s' the secret keys that belong to them.
// "Box [X](C->S)" is X in a box that only C can have made and only S can open.

type key = [32]byte

// Sizes in bytes. Those of commands are without the name.
const (
	keySize        = len(key{})
	longNonceSize  = 16
	shortNonceSize = 8
	boxOverhead    = secretbox.Overhead

	helloPadding  = 72 // against amplification
	helloZeros    = 64 // content of the signature box
	signatureSize = shortNonceSize + boxOverhead + helloZeros
	cookieSize    = longNonceSize + boxOverhead + 2*keySize
	vouchSize     = longNonceSize + boxOverhead + 2*keySize

	helloSize   = 2 + helloPadding + keySize + signatureSize                      // 194
	welcomeSize = longNonceSize + boxOverhead + keySize + cookieSize              // 160
	minInitiate = cookieSize + shortNonceSize + boxOverhead + keySize + vouchSize // 248
	minReady    = shortNonceSize + boxOverhead                                    // 24
)

// The prefixes that make a nonce 24 bytes long. They are not sent.
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

// newKeyPair generates a key pair.
func newKeyPair(random io.Reader) (public, secret key, err error) {
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return key{}, key{}, fmt.Errorf("zmtp: transient key: %w", err)
	}
	curve25519.ScalarBaseMult(&public, &secret)
	return public, secret, nil
}

// newLongNonce draws a random nonce, which is unique for practical purposes.
func newLongNonce(random io.Reader) ([]byte, error) {
	nonce := make([]byte, longNonceSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("zmtp: nonce: %w", err)
	}
	return nonce, nil
}

// newShortNonce returns the encoding of a counter.
func newShortNonce(n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, n)
}

// checkKeyPair checks that the keys of a long-term key pair belong together.
func checkKeyPair(public, secret key) error {
	var want key
	curve25519.ScalarBaseMult(&want, &secret)
	if secret == (key{}) || want != public {
		return errors.New("zmtp: the CURVE secret key does not belong to the public key")
	}
	return nil
}

// errWeakKey is returned for a public key of low order. Every secret key agrees with it on the
// same shared key, so anybody could make the box.
var errWeakKey = errors.New("public key of low order")

// weakShared is the shared key that results from any public key of low order.
var weakShared = func() (shared key) {
	box.Precompute(&shared, &key{}, &key{})
	return shared
}()

// agree computes the key of the boxes between two key pairs.
func agree(public, secret *key) (shared key, err error) {
	box.Precompute(&shared, public, secret)
	if subtle.ConstantTimeCompare(shared[:], weakShared[:]) == 1 {
		return key{}, errWeakKey
	}
	return shared, nil
}

// seal appends nonce and the box of message to dst, which is their order in every command. A
// box under a precomputed shared key is a secretbox.
func seal(dst, message []byte, prefix string, nonce []byte, shared *key) []byte {
	full := fullNonce(prefix, nonce)
	return secretbox.Seal(append(dst, nonce...), message, &full, shared)
}

// unseal appends the content of a box that follows its nonce to dst.
func unseal(dst, sealed []byte, prefix string, shared *key) (message []byte, ok bool) {
	n := 24 - len(prefix)
	full := fullNonce(prefix, sealed[:n])
	return secretbox.Open(dst, sealed[n:], &full, shared)
}

func fullNonce(prefix string, nonce []byte) (full [24]byte) {
	copy(full[copy(full[:], prefix):], nonce)
	return full
}

// cut splits b after n bytes.
func cut(b []byte, n int) (head, rest []byte) { return b[:n], b[n:] }

package zmtp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/salsa20/salsa"
)

// The CURVE mechanism (25/ZMTP-CURVE, which takes its commands from 26/CURVEZMQ). Names
// of keys are those of the specification: C and S are the long-term public keys of client
// and server, C' and S' the transient ones; the secret keys are c, s, c' and s'.

// The sizes of the commands' data, that is without the name.
const (
	keySize       = 32
	longNonceSize = 16
	shortNonce    = 8
	cookieSize    = longNonceSize + box.Overhead + 2*keySize // 96
	vouchSize     = longNonceSize + box.Overhead + 2*keySize // 96
	helloZeros    = 64                                       // what the signature box holds
	helloPadding  = 72                                       // against amplification

	curveHelloSize       = 2 + helloPadding + keySize + shortNonce + box.Overhead + helloZeros      // 194
	curveWelcomeSize     = longNonceSize + box.Overhead + keySize + cookieSize                      // 160
	curveInitiateMinimum = cookieSize + shortNonce + box.Overhead + keySize + vouchSize             // 248
	curveReadyMinimum    = shortNonce + box.Overhead                                                // 24
	curveMessageOverhead = 1 + len(cmdMessage) + shortNonce + box.Overhead + 1                      // 33
)

// What stands before a nonce on the wire to make it one of 24 octets.
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

// The flags inside a MESSAGE box. 26/CURVEZMQ knows MORE only; COMMAND is libzmq's.
const (
	boxMore    = 0x01
	boxCommand = 0x02
)

type key = [keySize]byte

// errWeakKey: a public key with which every secret key agrees on the same, known secret.
var errWeakKey = errors.New("public key of low order")

// newKeyPair reads a secret key from random and works out its public key.
func newKeyPair(random io.Reader) (public, secret key, err error) {
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return key{}, key{}, fmt.Errorf("zmtp: transient key: %w", err)
	}
	return publicKey(secret), secret, nil
}

func publicKey(secret key) (public key) {
	curve25519.ScalarBaseMult(&public, &secret)
	return public
}

// agree works out the key that both ends of a box share: box.Precompute, which however
// accepts public keys of low order, and with them anyone's forgery.
func agree(public, secret key) (shared key, err error) {
	p, err := curve25519.X25519(secret[:], public[:])
	if err != nil {
		return key{}, errWeakKey
	}
	shared = key(p)
	salsa.HSalsa20(&shared, &[16]byte{}, &shared, &salsa.Sigma)
	return shared, nil
}

// checkKeyPair tells whether secret is the secret key of public.
func checkKeyPair(public, secret key) error {
	if secret == (key{}) || publicKey(secret) != public {
		return errors.New("zmtp: CURVE secret key does not belong to the public key")
	}
	return nil
}

func randomOr(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}

// seal appends to dst the nonce as it goes over the wire and the box of message. prefix
// and nonce together are 24 octets.
func seal(dst, message []byte, prefix string, nonce []byte, shared *key) []byte {
	full := fullNonce(prefix, nonce)
	return box.SealAfterPrecomputation(append(dst, nonce...), message, &full, shared)
}

// open opens what seal has made.
func open(sealed []byte, prefix string, shared *key) (message []byte, ok bool) {
	n := 24 - len(prefix)
	full := fullNonce(prefix, sealed[:n])
	return box.OpenAfterPrecomputation(nil, sealed[n:], &full, shared)
}

func fullNonce(prefix string, nonce []byte) (full [24]byte) {
	copy(full[copy(full[:], prefix):], nonce)
	return full
}

func shortNonceOctets(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// curveTraffic is the codec of MESSAGE, which is all that is left of CURVE once the
// handshake is done. One direction each uses sent and received: two goroutines may.
type curveTraffic struct {
	shared   key // of c' and S', or s' and C'
	sent     curveStream
	received curveStream
}

// curveStream is one direction. The buffer holds the last result.
type curveStream struct {
	prefix string
	nonce  uint64 // the last one used
	buffer []byte
}

// keptBuffer is how large a buffer may be to be kept for the next frame: a connection
// that once carried a large one would else hold it for the rest of its life.
const keptBuffer = 64 << 10

// next returns the next nonce to send. It fails rather than use one twice.
func (s *curveStream) next() (uint64, error) {
	if s.nonce == math.MaxUint64 {
		return 0, errors.New("zmtp: CURVE nonces used up")
	}
	s.nonce++
	return s.nonce, nil
}

// check takes the nonce of a command that has arrived: "SHALL disconnect clients that
// reuse a short nonce" (26/CURVEZMQ).
func (s *curveStream) check(nonce uint64) bool {
	if nonce <= s.nonce {
		return false
	}
	s.nonce = nonce
	return true
}

package certs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// KeySize is the length of a CURVE key in bytes. Its Z85 text has 40 characters.
const KeySize = 32

// z85Digits is the alphabet of 32/Z85 in the order of the digits' values.
const z85Digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// z85Values maps a character to its value, or to noDigit if it is not in the alphabet.
var z85Values = func() (v [256]byte) {
	for i := range v {
		v[i] = noDigit
	}
	for i := range len(z85Digits) {
		v[z85Digits[i]] = byte(i)
	}
	return v
}()

const noDigit = 0xff

// ErrZ85 is wrapped by all errors about invalid Z85. They contain positions and lengths but
// never the text, because it may be a secret key.
var ErrZ85 = errors.New("not Z85")

// EncodeZ85 returns b in Z85 (32/Z85). The length of b must be a multiple of 4.
func EncodeZ85(b []byte) (string, error) {
	if len(b)%4 != 0 {
		return "", fmt.Errorf("%w: %d bytes, want a multiple of 4", ErrZ85, len(b))
	}
	return string(appendZ85(make([]byte, 0, len(b)/4*5), b)), nil
}

// appendZ85 appends b in Z85. The length of b is a multiple of 4.
func appendZ85(dst, b []byte) []byte {
	for ; len(b) > 0; b = b[4:] {
		v := binary.BigEndian.Uint32(b)
		var group [5]byte
		for i := len(group) - 1; i >= 0; i-- {
			group[i] = z85Digits[v%85]
			v /= 85
		}
		dst = append(dst, group[:]...)
	}
	return dst
}

// DecodeZ85 returns the bytes encoded by s (32/Z85). The length of s must be a multiple of
// 5. A group of five characters above 2^32-1 is an error, so that no two texts decode to the
// same bytes. Errors wrap [ErrZ85].
func DecodeZ85(s string) ([]byte, error) {
	if len(s)%5 != 0 {
		return nil, fmt.Errorf("%w: %d characters, want a multiple of 5", ErrZ85, len(s))
	}
	b := make([]byte, 0, len(s)/5*4)
	for i := 0; i < len(s); i += 5 {
		var v uint64
		for j := i; j < i+5; j++ {
			d := z85Values[s[j]]
			if d == noDigit {
				return nil, fmt.Errorf("%w: character %d is not in the alphabet", ErrZ85, j+1)
			}
			v = v*85 + uint64(d)
		}
		if v > 1<<32-1 {
			return nil, fmt.Errorf("%w: characters %d to %d exceed 32 bits", ErrZ85, i+1, i+5)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b, nil
}

// EncodeKey returns a CURVE key in Z85, which has 40 characters.
func EncodeKey(key [KeySize]byte) string {
	return string(appendZ85(make([]byte, 0, KeySize/4*5), key[:]))
}

// DecodeKey decodes a CURVE key of 40 characters of Z85. Errors wrap [ErrZ85].
func DecodeKey(s string) (key [KeySize]byte, err error) {
	if len(s) != KeySize/4*5 {
		return key, fmt.Errorf("%w key: %d characters, want 40", ErrZ85, len(s))
	}
	b, err := DecodeZ85(s)
	if err != nil {
		return key, err
	}
	return [KeySize]byte(b), nil
}

package jwt

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// withoutKid makes a token whose header names no key.
func withoutKid(t testing.TB, k *SigningKey) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.GetSigningMethod(k.alg), jwt.MapClaims(claims(nil))).SignedString(k.private)
	must(t, err)
	return token
}

// object is a JSON object as text.
func object(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return b
}

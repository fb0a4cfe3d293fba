package jwt

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// withoutKid returns a token without a kid in its header.
func withoutKid(t testing.TB, k *SigningKey) string {
	t.Helper()
	token, err := (&SigningKey{alg: k.alg, private: k.private}).Sign(claims(nil))
	must(t, err)
	return token
}

// object returns v as JSON.
func object(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return b
}

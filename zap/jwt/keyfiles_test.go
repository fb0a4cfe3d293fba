package jwt

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
)

// TestBadKeys: an unusable key is an error of New.
func TestBadKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	weak, err := x509.MarshalPKIXPublicKey(&small.PublicKey)
	must(t, err)
	for name, c := range map[string]struct {
		text  string
		fault string
	}{
		"empty":          {"", "neither PEM nor JSON"},
		"text":           {"secret", "neither PEM nor JSON"},
		"RSA, 1024 bits": {string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: weak})), "1024 bits"},
		"broken PEM":     {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PUBLIC KEY"},
		"another PEM":    {"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", "DH PARAMETERS"},
		"short secret":   {`{"kty":"oct","k":"c2VjcmV0"}`, "6 bytes"},
		"for encryption": {`{"kty":"oct","use":"enc","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}`, "not for signatures"},
		"unknown kind":   {`{"kty":"XYZ"}`, "cannot be used"},
		"not on a curve": {`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key.json")
			must(t, os.WriteFile(file, []byte(c.text), 0o600))
			_, err := New(idp(file))
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%v, want %q", err, c.fault)
			}
			if err != nil && strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("the error repeats the secret: %v", err)
			}
			if _, err := CheckKeys(file, certs.Private{}); err == nil {
				t.Error("CheckKeys: no error")
			}
		})
	}
}

// TestKeySetFiles: keys of a set that cannot be used are ignored, as those of a URL are (RFC
// 7517, section 5). A set with no other keys is an error.
func TestKeySetFiles(t *testing.T) {
	signing := drawn(t, "signing")
	with := func(changes map[string]any) map[string]any {
		k := jwkOf(t, drawn(t, "other"))
		maps.Copy(k, changes)
		return k
	}
	for name, other := range map[string]any{
		"for encryption":           with(map[string]any{"use": "enc"}),
		"for key agreement":        with(map[string]any{"use": nil, "key_ops": []string{"deriveKey"}}),
		"encryption by alg":        with(map[string]any{"use": nil, "alg": "ECDH-ES"}),
		"a newer algorithm":        with(map[string]any{"alg": "ES256K"}),
		"RSA-OAEP":                 map[string]any{"kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB"},
		"an unknown kty":           map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
		"an unknown curve":         map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
		"X25519":                   map[string]any{"kty": "OKP", "crv": "X25519", "x": encodeBase64(make([]byte, 32))},
		"without its members":      map[string]any{"kty": "RSA"},
		"without kty":              map[string]any{"kid": "x"},
		"not an object":            "x",
		"a short secret":           map[string]any{"kty": "oct", "k": "c2VjcmV0"},
		"a secret for encryption":  map[string]any{"kty": "oct", "use": "enc", "k": encodeBase64(make([]byte, 32))},
		"a private key, encrypted": with(map[string]any{"use": "enc", "d": "AAAA"}),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.json")
			for _, set := range [][]any{{other, jwkOf(t, signing)}, {jwkOf(t, signing), other}} {
				text := object(t, map[string]any{"keys": set})
				must(t, os.WriteFile(file, append([]byte("\ufeff"), text...), 0o600))
				if ignored, err := CheckKeys(file, certs.Private{}); err != nil || len(ignored) != 0 {
					t.Errorf("CheckKeys: %v, %v", ignored, err)
				}
				a := start(t, idp(file), 0)
				if got := verdict(ask(t, a, signed(t, signing, nil))); got != "200" {
					t.Errorf("by the signing key: %s, want 200", got)
				}
				if n := a.ring.size(); n != 1 {
					t.Errorf("%d keys, want 1", n)
				}
				// A set with one signing key decides on tokens without kid.
				if got := verdict(ask(t, a, withoutKid(t, signing))); got != "200" {
					t.Errorf("without kid: %s, want 200", got)
				}
			}
			must(t, os.WriteFile(file, object(t, map[string]any{"keys": []any{other}}), 0o600))
			if _, err := CheckKeys(file, certs.Private{}); err == nil || !strings.Contains(err.Error(), "no key of the set can be used") {
				t.Errorf("alone: %v", err)
			}
		})
	}
	t.Run("a readable secret among others", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "keys.json")
		set := []any{jwkOf(t, signing), map[string]any{"kty": "oct", "use": "enc", "k": encodeBase64(make([]byte, 32))}}
		must(t, os.WriteFile(file, object(t, map[string]any{"keys": set}), 0o644))
		_, err := CheckKeys(file, certs.Private{})
		if _, ok := errors.AsType[*certs.PermissionError](err); !ok {
			t.Error("no PermissionError")
		}
	})
}

// TestReadableSecret: a file with a secret that others can read is an error.
func TestReadableSecret(t *testing.T) {
	for _, alg := range []string{"HS256", "ES256"} {
		dir := t.TempDir()
		minted(t, dir, "key.json", alg)
		must(t, os.Chmod(filepath.Join(dir, "key.json"), 0o644))
		_, err := New(idp(dir))
		if _, ok := errors.AsType[*certs.PermissionError](err); !ok {
			t.Errorf("%s: %v, want a PermissionError", alg, err)
		}
	}
}

// TestShortSecrets: a secret shorter than the hash signs as RFC 2104 says, and a JWK that is
// padded as base64 is read.
func TestShortSecrets(t *testing.T) {
	for alg, hash := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		for _, size := range []int{MinSecret, 31, 32, 63, 64, 65, 200} {
			secret := bytes.Repeat([]byte("k"), size)
			file := filepath.Join(t.TempDir(), "k.json")
			must(t, os.WriteFile(file, object(t, map[string]any{"kty": "oct", "k": base64.URLEncoding.EncodeToString(secret)}), 0o600))
			input := encodeBase64(object(t, map[string]any{"alg": alg})) + "." + encodeBase64(object(t, claims(nil)))
			mac := hmac.New(hash, secret)
			mac.Write([]byte(input))
			a := start(t, idp(file), 0)
			if got := verdict(ask(t, a, input+"."+encodeBase64(mac.Sum(nil)))); got != "200" {
				t.Errorf("%s with a secret of %d bytes: %s, want 200", alg, size, got)
			}
			if got := verdict(ask(t, a, signed(t, &SigningKey{"k", alg, secret}, nil))); got != "200" {
				t.Errorf("%s signed with a secret of %d bytes: %s, want 200", alg, size, got)
			}
		}
	}
}

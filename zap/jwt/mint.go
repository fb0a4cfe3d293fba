package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/zwsbridge/zwsbridge/certs"
)

// SigningKey signs tokens for development and tests; in production an issuer does.
type SigningKey struct {
	kid     string // of the JWK, or the file name
	alg     string
	private any // a crypto.Signer, or a shared secret as []byte
}

// GenerateKey returns a random key with the given kid for one of [Algorithms].
func GenerateKey(kid, alg string) (*SigningKey, error) {
	k := &SigningKey{kid: kid, alg: alg}
	var err error
	switch {
	case strings.HasPrefix(alg, "HS"):
		secret := make([]byte, 64)
		rand.Read(secret)
		k.private = secret
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		k.private, err = rsa.GenerateKey(rand.Reader, MinRSA)
	case curves[alg] != nil:
		k.private, err = ecdsa.GenerateKey(curves[alg], rand.Reader)
	case alg == "EdDSA":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("algorithm %q: want one of %s", alg, strings.Join(Algorithms, " "))
	}
	return k, err
}

// ReadSigningKey reads a private key in PEM, or a JWK with the private part. The file must not be
// accessible to others. alg is the algorithm to sign with; empty means that of the JWK, or the
// usual one for the type of key.
func ReadSigningKey(file, alg string) (*SigningKey, error) {
	text, err := certs.ReadPrivate(file, maxFile)
	if err != nil {
		return nil, err
	}
	k := &SigningKey{kid: kidOf(file)}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
		err = k.parsePEM(text)
	} else {
		err = k.parseJWK(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	public, err := newKey(k.kid, k.alg, k.private)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if alg == "" {
		alg = k.alg
	}
	for _, usual := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "HS256"} {
		if alg == "" && public.fits(usual) {
			alg = usual
		}
	}
	if !public.fits(alg) {
		return nil, fmt.Errorf("%s: the key is not for algorithm %q", file, alg)
	}
	k.alg = alg
	return k, nil
}

// kidOf returns the kid for a key in a file.
func kidOf(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}

func (k *SigningKey) parsePEM(text []byte) error {
	material, err := parsePEMBlock(text)
	if err != nil {
		return err
	}
	if _, private := material.(crypto.Signer); !private {
		return errors.New("PEM block is not a private key")
	}
	k.private = material
	return nil
}

func (k *SigningKey) parseJWK(text []byte) error {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil {
		return errors.New("neither PEM nor a usable JWK")
	}
	k.private, k.alg = jwk.Key, jwk.Algorithm
	if jwk.KeyID != "" {
		k.kid = jwk.KeyID
	}
	switch k.private.(type) {
	case crypto.Signer, []byte:
		return nil
	}
	return errors.New("public JWK: want one with the private part")
}

// Write writes the key to a new file with mode 0600, as PEM (PKCS #8) or, for a shared secret, as
// a JWK.
func (k *SigningKey) Write(file string) error {
	var text []byte
	if secret, ok := k.private.([]byte); ok {
		jwk := map[string]string{"kty": "oct", "kid": k.kid, "alg": k.alg, "k": base64.RawURLEncoding.EncodeToString(secret)}
		text, _ = json.MarshalIndent(jwk, "", " ") // a map of strings
	} else {
		der, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			return err
		}
		text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.TrimSpace(text), '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file) // an incomplete file is useless
	}
	return err
}

// Sign returns a token with the claims, in compact form. Its header names the key.
func (k *SigningKey) Sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(k.alg),
		Key:       jose.JSONWebKey{Key: joseKey(k.private), KeyID: k.kid},
	}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Algorithms are those that an allow-list may name (RFC 7518, section 3.1; RFC 8037).
var Algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// The sizes of keys. RFC 7518 asks for 2048 bits of RSA (section 3.3); a modulus without
// bound would let whoever gives us keys keep us busy. A secret that is shorter than the
// hash is weaker than the algorithm promises (section 3.2), and is logged.
const (
	MinRSA    = 2048 // bits
	MaxRSA    = 8192 // bits
	MinSecret = 16   // octets
)

// key is one key that signatures are checked with.
type key struct {
	kid string
	alg string // the only algorithm that it is for; empty: any that fits
	// material is an *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or the octets of
	// a shared secret.
	material any
	print    [sha256.Size]byte // tells the material from another
}

// newKey checks the material, of which a private key's public half is kept.
func newKey(kid, alg string, material any) (key, error) {
	if signer, ok := material.(crypto.Signer); ok {
		material = signer.Public()
	}
	k := key{kid: kid, alg: alg, material: material}
	switch m := material.(type) {
	case *rsa.PublicKey:
		if n := m.N.BitLen(); n < MinRSA || n > MaxRSA {
			return key{}, fmt.Errorf("RSA key of %d bits, want %d to %d", n, MinRSA, MaxRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	case []byte:
		if len(m) < MinSecret {
			return key{}, fmt.Errorf("shared secret of %d octets, want at least %d", len(m), MinSecret)
		}
		k.print = sha256.Sum256(append([]byte("shared secret:"), m...))
		return k, nil
	default:
		return key{}, fmt.Errorf("key of a kind that signs nothing (%T)", material)
	}
	der, err := x509.MarshalPKIXPublicKey(material)
	if err != nil {
		return key{}, err
	}
	k.print = sha256.Sum256(der)
	return k, nil
}

// secret tells whether whoever has the key can sign with it.
func (k key) secret() bool {
	_, shared := k.material.([]byte)
	return shared
}

// curves are the one curve of each ECDSA algorithm (RFC 7518, section 3.4).
var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

// fits tells whether the key is made for an algorithm. A public key never serves as the
// secret of an HMAC, nor a key that names one algorithm for another.
func (k key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch m := k.material.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, alg)
	case *ecdsa.PublicKey:
		return curves[alg] != nil && curves[alg] == m.Curve
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case []byte:
		return slices.Contains([]string{"HS256", "HS384", "HS512"}, alg)
	}
	return false
}

// verifies tells whether the key made the token's signature.
func (k key) verifies(t *token) bool {
	return jwt.GetSigningMethod(t.alg).Verify(t.signed, t.signature, k.material) == nil
}

// parseFile reads keys from the text of a file: PEM (a public or private key, or a
// certificate), a JWK or a JWKS. name is the kid of those that have none of their own.
// secret tells that the file has to be kept from others.
func parseFile(name string, text []byte) (keys []key, secret bool, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
		k, secret, err := parsePEM(name, text)
		return []key{k}, secret, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, true, errors.New("neither PEM nor JSON: want a PEM, JWK or JWKS file")
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{text}
	}
	for _, raw := range set.Keys {
		k, private, err := parseJWK(name, raw)
		if err != nil {
			return nil, true, err
		}
		keys, secret = append(keys, k), secret || private
	}
	return keys, secret, nil
}

func parsePEM(name string, text []byte) (k key, secret bool, err error) {
	block, _ := pem.Decode(bytes.TrimSpace(text))
	if block == nil {
		return key{}, true, errors.New("no PEM block that can be read")
	}
	if block.Type == "CERTIFICATE" {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return key{}, false, err
		}
		k, err = newKey(name, "", cert.PublicKey)
		return k, false, err
	}
	material, err := jwkset.LoadX509KeyInfer(block)
	if err != nil {
		return key{}, true, fmt.Errorf("PEM block %q: want a public or private key, or a certificate", block.Type)
	}
	_, secret = material.(crypto.Signer)
	k, err = newKey(name, "", material)
	return k, secret, err
}

// errUse: a JWK that is not for signatures.
var errUse = errors.New("JWK that is not for signatures (use, key_ops)")

// parseJWK reads one JSON Web Key (RFC 7517).
func parseJWK(name string, raw json.RawMessage) (k key, secret bool, err error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return key{}, true, errors.New("JWK that cannot be read")
	}
	secret = m.D != "" || m.K != ""
	usable := len(m.KEYOPS) == 0 || slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) || slices.Contains(m.KEYOPS, jwkset.KeyOpsSign)
	if m.USE != "" && m.USE != jwkset.UseSig || !usable {
		return key{}, secret, errUse
	}
	if m.KTY != jwkset.KtyOct {
		m.D = "" // the public half is enough
	}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: m.KTY == jwkset.KtyOct}, jwkset.JWKValidateOptions{SkipMetadata: true})
	if err != nil {
		return key{}, secret, fmt.Errorf("JWK %.50q that cannot be used: %w", m.KID, err)
	}
	if m.KID != "" {
		name = m.KID
	}
	k, err = newKey(name, string(m.ALG), jwk.Key())
	return k, secret, err
}

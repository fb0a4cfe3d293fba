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
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are the supported algorithms (RFC 7518, section 3.1; RFC 8037).
var Algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// The limits on keys. RFC 7518 requires 2048 bits for RSA (section 3.3); without an upper limit
// a key could make verification arbitrarily slow. A secret shorter than the hash is weaker than
// the algorithm (section 3.2) and is logged.
const (
	MinRSA    = 2048 // bits
	MaxRSA    = 8192 // bits
	MinSecret = 16   // bytes
)

// key is a key that verifies signatures.
type key struct {
	kid string
	alg string // the only algorithm for it; empty: any that fits
	// material is an *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or a shared secret
	// as []byte.
	material any
	print    [sha256.Size]byte // fingerprint of the material
}

// newKey checks the material. Of a private key it keeps only the public half.
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
			return key{}, fmt.Errorf("shared secret of %d bytes, want at least %d", len(m), MinSecret)
		}
		k.print = sha256.Sum256(append([]byte("shared secret:"), m...))
		return k, nil
	default:
		return key{}, fmt.Errorf("unsupported type of key (%T)", material)
	}
	der, err := x509.MarshalPKIXPublicKey(material)
	if err != nil {
		return key{}, err
	}
	k.print = sha256.Sum256(der)
	return k, nil
}

// secret reports whether the key can also sign.
func (k key) secret() bool {
	_, shared := k.material.([]byte)
	return shared
}

// curves maps each ECDSA algorithm to its curve (RFC 7518, section 3.4).
var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

// fits reports whether the key may be used with an algorithm. A public key is never used as the
// secret of an HMAC, and a key that names an algorithm is not used with another.
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

// verifies reports whether the token's signature is by the key.
func (k key) verifies(t *token) bool {
	jws, err := jose.ParseSignedCompact(t.compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.alg)})
	if err != nil {
		return false
	}
	_, err = jws.Verify(joseKey(k.material))
	return err == nil
}

// joseKey returns key material as go-jose takes it. go-jose refuses shared secrets that are
// shorter than the hash. HMAC pads keys with zeros (RFC 2104, section 2), so a padded secret
// gives the same signatures.
func joseKey(material any) any {
	const longest = 64 // the hash of HS512, and the smallest block of the three
	if secret, ok := material.([]byte); ok && len(secret) < longest {
		return append(slices.Clone(secret), make([]byte, longest-len(secret))...)
	}
	return material
}

// keyFile is the content of a key file.
type keyFile struct {
	keys    []key
	secret  bool    // others must not be able to read the file
	ignored []error // why keys of a set are not used
}

// parseFile parses the text of a key file: PEM (a public or private key, or a certificate), a JWK
// or a JWKS. name is the kid for keys without one. A key of a set that cannot be used is
// ignored, as RFC 7517, section 5, wants it; a set without any other is an error.
func parseFile(name string, text []byte) (f keyFile, err error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // the byte order mark of some editors
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
		k, secret, err := parsePEM(name, text)
		return keyFile{keys: []key{k}, secret: secret}, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return f, errors.New("neither PEM nor JSON: want a PEM, JWK or JWKS file")
	}
	if set.Keys == nil {
		k, secret, err := parseJWK(name, text)
		return keyFile{keys: []key{k}, secret: secret}, err
	}
	for _, raw := range set.Keys {
		k, private, err := parseJWK(name, raw)
		f.secret = f.secret || private
		if err != nil {
			f.ignored = append(f.ignored, err)
			continue
		}
		f.keys = append(f.keys, k)
	}
	if len(f.keys) == 0 && len(f.ignored) > 0 {
		return f, fmt.Errorf("no key of the set can be used: %w", f.ignored[0])
	}
	return f, nil
}

func parsePEM(name string, text []byte) (k key, secret bool, err error) {
	material, err := parsePEMBlock(text)
	if err != nil {
		return key{}, true, err
	}
	_, secret = material.(crypto.Signer)
	k, err = newKey(name, "", material)
	return k, secret, err
}

// parsePEMBlock returns the key in a PEM block, or that of a certificate.
func parsePEMBlock(text []byte) (material any, err error) {
	block, _ := pem.Decode(bytes.TrimSpace(text))
	if block == nil {
		return nil, errors.New("malformed PEM block")
	}
	switch block.Type {
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	case "PUBLIC KEY":
		material, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		material, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "PRIVATE KEY":
		material, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		material, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		material, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, fmt.Errorf("PEM block %q: want a public or private key, or a certificate", block.Type)
	}
	return material, nil
}

// errUse is the error for a JWK that is not for signatures.
var errUse = errors.New("JWK is not for signatures (use, key_ops, alg)")

// jwk holds the members of a JSON Web Key (RFC 7517) that matter for verification.
type jwk struct {
	KTY    string   `json:"kty,omitempty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	ALG    string   `json:"alg,omitempty"`
	KID    string   `json:"kid,omitempty"`
	CRV    string   `json:"crv,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
	K      string   `json:"k,omitempty"`
	D      string   `json:"d,omitempty"`
}

// parseJWK reads one JSON Web Key. Of a private key only the public half is kept.
func parseJWK(name string, raw json.RawMessage) (k key, secret bool, err error) {
	var m jwk
	if err := json.Unmarshal(raw, &m); err != nil {
		return key{}, true, errors.New("malformed JWK")
	}
	secret = m.D != "" || m.K != ""
	usable := len(m.KeyOps) == 0 || slices.Contains(m.KeyOps, "verify") || slices.Contains(m.KeyOps, "sign")
	if m.ALG != "" && !slices.Contains(Algorithms, m.ALG) { // for encryption, or newer than this program
		usable = false
	}
	if m.Use != "" && m.Use != "sig" || !usable {
		return key{}, secret, errUse
	}
	public, err := m.public()
	if err != nil {
		return key{}, secret, fmt.Errorf("JWK %.50q cannot be used: %w", m.KID, err)
	}
	if m.KID != "" {
		name = m.KID
	}
	k, err = newKey(name, m.ALG, public.Key)
	return k, secret, err
}

// public parses the key without its private half. go-jose sees no more than these members,
// since parsing a whole JWK is not safe for untrusted input.
func (m jwk) public() (public jose.JSONWebKey, err error) {
	m.D = ""
	for _, number := range []*string{&m.X, &m.Y, &m.N, &m.E, &m.K} {
		*number = strings.TrimRight(*number, "=") // some issuers pad
	}
	text, err := json.Marshal(m)
	if err != nil {
		return public, err
	}
	err = public.UnmarshalJSON(text)
	return public, err
}

package refusal

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
)

// Claimed returns the user that credentials claim to be, which nobody has verified: the user name
// of PLAIN, a CURVE public key in Z85, the common name of a certificate, and the name in a token that
// is a JWT, also if it comes as the password of nobody. It is empty if there is none, and does not
// contain the token, nor a user name that looks like a token or a key.
func Claimed(m zap.Mechanism, credentials [][]byte) string {
	switch {
	case m == zap.PLAIN && len(credentials) == 2:
		if len(credentials[0]) == 0 {
			return tokenUser(credentials[1])
		}
		return withoutSecret(string(credentials[0]))
	case m == zap.BEARER && len(credentials) == 1:
		return tokenUser(credentials[0])
	case m == zap.CURVE && len(credentials) == 1 && len(credentials[0]) == certs.KeySize:
		return certs.EncodeKey([certs.KeySize]byte(credentials[0]))
	case m == zap.TLS && len(credentials) == 1:
		if c, err := x509.ParseCertificate(credentials[0]); err == nil {
			return withoutSecret(c.Subject.CommonName)
		}
	}
	return ""
}

// maxTokenShown limits the payload of a token that is read for a name, in bytes.
const maxTokenShown = 64 << 10

// nameClaims are the claims that name the user of a token, the best first.
var nameClaims = []string{"preferred_username", "username", "user_name", "email", "sub", "client_id", "azp"}

// tokenUser returns the name in a JWT, which is not verified; empty if there is none.
func tokenUser(token []byte) string {
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 || len(parts[1]) > maxTokenShown {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims map[string]any
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	for _, name := range nameClaims {
		if user, ok := claims[name].(string); ok && user != "" {
			return withoutSecret(user)
		}
	}
	return ""
}

var (
	// jwtForm matches a JWT: base64 of a JSON object, and two more parts.
	jwtForm = regexp.MustCompile(`^eyJ[\w-]*\.[\w-]*\.[\w-]*$`)
	// oddInName matches characters that Z85 uses and hardly any user name has: of a random key,
	// one in a hundred thousand has none of them.
	oddInName = regexp.MustCompile(`[:+=^!/*?&<>()\[\]{}%$#]`)
)

// withoutSecret returns a user name, or what it seems to be if that is a secret in the wrong field.
func withoutSecret(user string) string {
	if jwtForm.MatchString(user) {
		return "(a token)"
	}
	if _, err := certs.DecodeKey(user); err == nil && oddInName.MatchString(user) {
		return "(a key)"
	}
	return user
}

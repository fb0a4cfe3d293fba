package jwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// MaxToken is how many octets a token may have; a longer one is not looked at.
const MaxToken = 16 << 10

// token is a JWS in compact form, taken apart and not verified.
type token struct {
	compact  string
	header   map[string]any
	claims   map[string]any
	alg, kid string
}

// bearer finds the token of a request.
func bearer(req *zap.Request) (string, bool) {
	if req.Mechanism == zap.BEARER && len(req.Credentials) == 1 {
		return string(req.Credentials[0]), true
	}
	user, password, ok := req.Plain()
	return password, ok && user == ""
}

// parseToken reads the compact serialization (RFC 7515, section 7.1). Its errors hold
// nothing of the payload's values.
func parseToken(text string) (*token, error) {
	if len(text) > MaxToken {
		return nil, fmt.Errorf("%d octets, at most %d", len(text), MaxToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts, a signed token has three", len(parts))
	}
	t := &token{compact: text}
	var err error
	if t.header, err = decodePart(parts[0]); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if t.claims, err = decodePart(parts[1]); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if _, err = decodeBase64(parts[2]); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	var ok bool
	if t.alg, ok = t.header["alg"].(string); !ok {
		return nil, errors.New("header: no alg")
	}
	if kid, there := t.header["kid"]; there {
		if t.kid, ok = kid.(string); !ok || t.kid == "" {
			return nil, errors.New("header: kid is no string, or empty")
		}
	}
	return t, nil
}

func decodePart(part string) (map[string]any, error) {
	b, err := decodeBase64(part)
	if err != nil {
		return nil, err
	}
	return decodeObject(b)
}

// decodeBase64 takes what RFC 7515 calls BASE64URL, in its one way to write given octets.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // which the package skips
		return nil, errors.New("not base64url")
	}
	return b, nil
}

// text returns a claim that is a string; "" if it is another thing or missing.
func (t *token) text(claim string) string {
	s, _ := t.claims[claim].(string)
	return s
}

// stringList reads a claim that is a string or a list of strings. ok is false if it is
// neither; a missing claim is an empty list.
func stringList(v any) (list []string, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	}
	return nil, false
}

// time reads a claim that is a NumericDate (RFC 7519, section 2), in whole seconds.
func (t *token) time(claim string) (at time.Time, ok bool) {
	n, ok := t.claims[claim].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > zap.MaxExpires {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

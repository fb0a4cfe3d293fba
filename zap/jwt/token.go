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

// MaxToken is the longest token in bytes; a longer one is passed.
const MaxToken = 16 << 10

// token is a parsed but not verified JWS in compact form.
type token struct {
	compact  string
	header   map[string]any
	claims   map[string]any
	alg, kid string
}

// bearer returns the token in a request.
func bearer(req *zap.Request) (string, bool) {
	if req.Mechanism == zap.BEARER && len(req.Credentials) == 1 {
		return string(req.Credentials[0]), true
	}
	user, password, ok := req.Plain()
	return password, ok && user == ""
}

// parseToken parses the compact serialization (RFC 7515, section 7.1). Its errors do not contain
// values of the payload.
func parseToken(text string) (*token, error) {
	if len(text) > MaxToken {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), MaxToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts, want the three of a signed token", len(parts))
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
			return nil, errors.New("header: kid is empty or not a string")
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

// decodeBase64 decodes BASE64URL of RFC 7515, and accepts only the canonical encoding.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // encoding/base64 skips these
		return nil, errors.New("not base64url")
	}
	return b, nil
}

// text returns a claim that is a string, and otherwise "".
func (t *token) text(claim string) string {
	s, _ := t.claims[claim].(string)
	return s
}

// stringList converts a claim that is a string or a list of strings. ok is false if it is
// neither. A missing claim is an empty list.
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

// time returns a claim that is a NumericDate (RFC 7519, section 2), in whole seconds.
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

package tokenendpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxUser is the longest user id in bytes (27/ZAP).
const MaxUser = 255

// parseUser parses {"userID": "…"}. Other members are ignored. Duplicate members are an error,
// since parsers disagree about which one counts.
func parseUser(body []byte) (string, error) {
	if !utf8.Valid(body) {
		return "", errors.New("response is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", errors.New(`response is not a JSON object, want {"userID": "…"}`)
	}
	members := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", fmt.Errorf("response: %w", err)
		}
		if _, twice := members[name.(string)]; twice {
			return "", fmt.Errorf("response has two members %q", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return "", fmt.Errorf("response: %w", err)
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return "", fmt.Errorf("response: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return "", errors.New("response continues after the JSON object")
	}
	return userOf(members["userID"])
}

// userOf checks the value of userID.
func userOf(value json.RawMessage) (string, error) {
	var user string
	switch {
	case value == nil:
		return "", errors.New("response has no userID")
	case value[0] != '"' || json.Unmarshal(value, &user) != nil:
		return "", errors.New("userID in the response is not a string")
	case user == "":
		return "", errors.New("userID in the response is empty")
	case len(user) > MaxUser:
		return "", fmt.Errorf("userID in the response has %d bytes, at most %d", len(user), MaxUser)
	case strings.ContainsFunc(user, unicode.IsControl):
		return "", errors.New("userID in the response contains a control character")
	}
	return user, nil
}

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

// MaxUser is how long the name of a user may be, in octets (27/ZAP).
const MaxUser = 255

// parseUser reads {"userID": "…"}. Other members do not matter; none may be there twice,
// since it could not be told which of them counts.
func parseUser(body []byte) (string, error) {
	if !utf8.Valid(body) {
		return "", errors.New("answer that is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", errors.New(`answer that is no JSON object, want {"userID": "…"}`)
	}
	members := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", fmt.Errorf("answer: %w", err)
		}
		if _, twice := members[name.(string)]; twice {
			return "", fmt.Errorf("answer with two members %q", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return "", fmt.Errorf("answer: %w", err)
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return "", errors.New("answer with something behind the JSON object")
	}
	return userOf(members["userID"])
}

// userOf reads the value of userID.
func userOf(value json.RawMessage) (string, error) {
	var user string
	switch {
	case value == nil:
		return "", errors.New("answer without userID")
	case value[0] != '"' || json.Unmarshal(value, &user) != nil:
		return "", errors.New("answer with a userID that is no string")
	case user == "":
		return "", errors.New("answer with an empty userID")
	case len(user) > MaxUser:
		return "", fmt.Errorf("answer with a userID of %d octets, at most %d are allowed", len(user), MaxUser)
	case strings.ContainsFunc(user, unicode.IsControl):
		return "", errors.New("answer with a control character in userID")
	}
	return user, nil
}

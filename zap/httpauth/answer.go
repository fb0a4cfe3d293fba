package httpauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// answer is the service's decision.
type answer struct {
	allowed bool
	tags    []string // of an allowed user
	reason  string   // for a denial; for the log
}

// maxQuoted is how much of a response an error quotes, in bytes.
const maxQuoted = 64

// parse parses a response. Everything but "allow" and "deny" is an error.
func parse(status int, body []byte) (answer, error) {
	if status != http.StatusOK && status != http.StatusCreated {
		return answer{}, fmt.Errorf("response with status %d, want 200 or 201", status)
	}
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, `"`) { // as Rails' `render json:` sends it
		var unquoted string
		if json.Unmarshal([]byte(text), &unquoted) != nil {
			return answer{}, unknown(text)
		}
		text = strings.TrimSpace(unquoted)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return answer{}, unknown(text)
	}
	word, rest, _ := strings.Cut(text, " ")
	switch strings.ToLower(word) {
	case "allow":
		return answer{allowed: true, tags: strings.Fields(strings.ToLower(rest))}, nil
	case "deny":
		return answer{reason: strings.TrimSpace(rest)}, nil
	}
	return answer{}, unknown(text)
}

// parseBool parses a response that is not about a user: nothing may follow "allow".
func parseBool(status int, body []byte) (answer, error) {
	a, err := parse(status, body)
	if err == nil && len(a.tags) > 0 {
		return answer{}, unknown(string(body))
	}
	return a, err
}

func unknown(text string) error {
	if len(text) > maxQuoted {
		text = text[:maxQuoted]
	}
	return fmt.Errorf(`response %q, want "allow" or "deny"`, text)
}

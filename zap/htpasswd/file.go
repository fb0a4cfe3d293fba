package htpasswd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/internal/watch"
)

// The limits on a file and its content.
const (
	// MaxFile is the size of a file in bytes.
	MaxFile = 16 << 20
	// MaxUser is the length of a user name in bytes, as in 24/ZMTP-PLAIN.
	MaxUser = 255
	// MaxPassword is the number of bytes of a password that bcrypt uses. A longer password
	// is refused, since anything that begins with these bytes would match it.
	MaxPassword = 72
	// MinCost and MaxCost limit bcrypt's cost, the binary logarithm of its rounds. Cost 16
	// takes seconds of processor time, and each further step doubles it.
	MinCost = 4
	MaxCost = 16
	// DefaultCost is the cost of the hashes that [Set] writes.
	DefaultCost = 10
)

// hashSize is the length of "$2y$10$", 22 characters of salt and 31 of hash.
const hashSize = 60

// table is a parsed file. It is immutable.
type table struct {
	hashes map[string]string // by user
	users  []string          // in the order of the file
}

// read reads and parses a file. Errors contain the file name and, if a line is invalid, its
// number.
func read(file string) (*table, error) {
	text, err := readText(file)
	if err != nil {
		return nil, err
	}
	t, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", file, err)
	}
	return t, nil
}

func readText(file string) (string, error) {
	text, _, err := watch.ReadFile(file, MaxFile)
	return string(text), err
}

// parse parses lines of the form "user:hash"; empty lines and those that begin with # are
// comments. Errors begin with the line number.
func parse(text string) (*table, error) {
	t := &table{hashes: make(map[string]string)}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if isComment(line) {
			continue
		}
		user, hash, _ := strings.Cut(line, ":")
		if err := checkUser(user); err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
		if err := checkHash(hash); err != nil {
			return nil, fmt.Errorf("%d: user %q: %w", number, user, err)
		}
		if _, twice := t.hashes[user]; twice {
			return nil, fmt.Errorf("%d: user %q: duplicate line for this user", number, user)
		}
		t.hashes[user] = hash
		t.users = append(t.users, user)
	}
	return t, nil
}

func isComment(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")
}

// checkUser checks that a line of the file can hold the user name.
func checkUser(user string) error {
	switch {
	case user == "":
		return errors.New("no user name before the colon")
	case len(user) > MaxUser:
		return fmt.Errorf("user name of %d bytes, at most %d", len(user), MaxUser)
	case !utf8.ValidString(user):
		return errors.New("user name is not UTF-8")
	case strings.HasPrefix(user, "#"):
		return errors.New("user name begins with #, which marks a comment")
	case strings.Contains(user, ":"):
		return errors.New("user name contains a colon, which separates it from the hash")
	case strings.TrimSpace(user) != user:
		return fmt.Errorf("user name %q begins or ends with white space", user)
	}
	for _, r := range user {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("user name %q contains a character that is not printable", user)
		}
	}
	return nil
}

// checkHash returns an error if the hash is invalid. The error does not repeat it, since it may
// be a password in clear text.
func checkHash(hash string) error {
	if !strings.HasPrefix(hash, "$2") {
		return fmt.Errorf("%s, want bcrypt ($2y$…): write the line with `zwsbridge passwd` or `htpasswd -B`", kind(hash))
	}
	if len(hash) != hashSize || !strings.ContainsRune("aby", rune(hash[2])) || hash[3] != '$' || hash[6] != '$' {
		return fmt.Errorf("malformed bcrypt hash of %d bytes, want $2a$, $2b$ or $2y$, two digits of cost, $ and 53 more (%d)", len(hash), hashSize)
	}
	cost, err := strconv.ParseUint(hash[4:6], 10, 8)
	if err != nil || cost < MinCost || cost > MaxCost {
		return fmt.Errorf("bcrypt cost %q, want %02d to %d", hash[4:6], MinCost, MaxCost)
	}
	for _, c := range hash[7:] {
		if !strings.ContainsRune("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", c) {
			return errors.New("bcrypt hash contains a character outside its alphabet")
		}
	}
	return nil
}

// kind names the other formats that are common in htpasswd files.
func kind(hash string) string {
	for _, k := range [...]struct{ prefix, name string }{
		{"$apr1$", "an Apache MD5 hash"},
		{"{SHA}", "a SHA-1 hash"},
		{"{SSHA}", "a salted SHA-1 hash"},
		{"$1$", "an MD5 hash"},
		{"$5$", "a SHA-256 hash"},
		{"$6$", "a SHA-512 hash"},
		{"$argon2", "an Argon2 hash"},
	} {
		if strings.HasPrefix(hash, k.prefix) {
			return k.name
		}
	}
	return "unknown kind of hash"
}

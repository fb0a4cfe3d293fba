package htpasswd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of a file and of what stands in it.
const (
	// MaxFile is how many octets a file may have.
	MaxFile = 16 << 20
	// MaxUser is how many octets a user name may have, as in 24/ZMTP-PLAIN.
	MaxUser = 255
	// MaxPassword is how many octets of a password bcrypt looks at. A longer one is
	// refused: it would be as good as its first 72 octets.
	MaxPassword = 72
	// MinCost and MaxCost bound bcrypt's cost, the power of two of its rounds. A cost of 16
	// takes a processor for seconds, and each one more doubles that.
	MinCost = 4
	MaxCost = 16
	// DefaultCost is the cost of the hashes that [Set] makes.
	DefaultCost = 10
)

// hashSize is the length of "$2y$10$", 22 characters of salt and 31 of hash.
const hashSize = 60

// table is the parsed file. It is never changed once it is made.
type table struct {
	hashes map[string]string // by user
	users  []string          // in the order of the file
}

// read reads and parses a file. Errors name the file, and the line where one is at fault.
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
	// Opening a FIFO would wait for somebody who writes to it.
	if info, err := os.Stat(file); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > MaxFile {
		return "", fmt.Errorf("%s: more than %d octets", file, MaxFile)
	}
	return string(text), nil
}

// parse reads lines of "user:hash"; empty ones and those that begin with # are comments.
// Errors begin with the line's number.
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
			return nil, fmt.Errorf("%d: user %q: a second line for the same user", number, user)
		}
		t.hashes[user] = hash
		t.users = append(t.users, user)
	}
	return t, nil
}

func isComment(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")
}

// checkUser holds a user name to what a line can express.
func checkUser(user string) error {
	switch {
	case user == "":
		return errors.New("no user name before the colon")
	case len(user) > MaxUser:
		return fmt.Errorf("user name of %d octets, at most %d", len(user), MaxUser)
	case !utf8.ValidString(user):
		return errors.New("user name that is not UTF-8")
	case strings.HasPrefix(user, "#"):
		return errors.New("user name that begins with #, as a comment does")
	case strings.Contains(user, ":"):
		return errors.New("user name with a colon, which ends it")
	case strings.TrimSpace(user) != user:
		return fmt.Errorf("user name %q with space around it", user)
	}
	for _, r := range user {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("user name %q with a character that does not print", user)
		}
	}
	return nil
}

// checkHash says what is wrong with a hash, without repeating it: what stands there may be
// a password in the clear.
func checkHash(hash string) error {
	if !strings.HasPrefix(hash, "$2") {
		return fmt.Errorf("%s, want bcrypt ($2y$…): make the line with `zwsbridge passwd` or `htpasswd -B`", kind(hash))
	}
	if len(hash) != hashSize || !strings.ContainsRune("aby", rune(hash[2])) || hash[3] != '$' || hash[6] != '$' {
		return fmt.Errorf("bcrypt hash of %d octets or of an unknown form, want $2a$, $2b$ or $2y$, two digits of cost, $ and 53 more (%d)", len(hash), hashSize)
	}
	cost, err := strconv.ParseUint(hash[4:6], 10, 8)
	if err != nil || cost < MinCost || cost > MaxCost {
		return fmt.Errorf("bcrypt cost %q, want %02d to %d", hash[4:6], MinCost, MaxCost)
	}
	for _, c := range hash[7:] {
		if !strings.ContainsRune("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", c) {
			return errors.New("bcrypt hash with a character that is not of its alphabet")
		}
	}
	return nil
}

// kind names the other formats that htpasswd files are known to hold.
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
	return "no hash that is known"
}

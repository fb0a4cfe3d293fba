package htpasswd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Set sets a user's password: it replaces the user's line or appends one, and keeps everything
// else in the file. A new file has mode 0600, an existing one keeps its mode; it is replaced as
// a whole, by a rename. An invalid file is an error and not changed. Of two concurrent calls
// one fails, with an error that wraps [fs.ErrExist].
func Set(file, user, password string) error { return set(file, user, password, DefaultCost) }

func set(file, user, password string, cost int) error {
	if err := checkUser(user); err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	if password == "" {
		return errors.New("htpasswd: empty password")
	}
	if len(password) > MaxPassword {
		return fmt.Errorf("htpasswd: password of %d bytes, bcrypt uses at most %d", len(password), MaxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	// "$2a$" and "$2y$" are the same in x/crypto; Apache writes the latter.
	line := user + ":$2y$" + strings.TrimPrefix(string(hash), "$2a$")
	if err := rewrite(file, func(text string) (string, error) { return replaceLine(text, user, line) }); err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	return nil
}

// ErrNoUser is returned by [Delete] if the file does not have the user.
var ErrNoUser = errors.New("no such user")

// Delete removes a user's line and keeps everything else in the file, as [Set] does.
func Delete(file, user string) error {
	err := rewrite(file, func(text string) (string, error) {
		t, err := parse(text)
		if err != nil {
			return "", err
		}
		if _, ok := t.hashes[user]; !ok {
			return "", fmt.Errorf(" user %q: %w", user, ErrNoUser)
		}
		return replaceLine(text, user, "")
	})
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	return nil
}

// Users returns the users of a file, in its order.
func Users(file string) ([]string, error) {
	t, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	return t.users, nil
}

// replaceLine replaces the user's line, or appends one. line has no line end; if it is empty,
// the user's line is removed.
func replaceLine(text, user, line string) (string, error) {
	if _, err := parse(text); err != nil {
		return "", err
	}
	if line != "" {
		line += "\n"
	}
	var b strings.Builder
	found := false
	for old := range strings.Lines(text) {
		if !isComment(old) && strings.HasPrefix(old, user+":") {
			old, found = line, true
		}
		b.WriteString(old)
	}
	if !found {
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

// rewrite replaces the file's text with the result of edit, and keeps a link to it. The temporary file beside it is
// also the lock: while it exists, no other call can start.
func rewrite(file string, edit func(string) (string, error)) (err error) {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	next := file + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: another process is changing %s; if not, remove %s", err, file, next)
	} else if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(next)
		}
	}()
	text := ""
	switch info, statErr := os.Stat(file); {
	case statErr == nil:
		if text, err = readText(file); err != nil {
			return err
		}
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	case !errors.Is(statErr, fs.ErrNotExist):
		return statErr
	}
	if text, err = edit(text); err != nil {
		return fmt.Errorf("%s:%w", file, err)
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(next, file)
}

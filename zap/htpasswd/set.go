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

// Set gives the user the password, on a line of its own that replaces the one that the
// user had. All else in the file stays as it is. The file appears as a whole, by rename: a
// new one with mode 0600, an existing one with the mode that it had. A file that has a
// fault is not touched. Two calls at the same time do not undo each other: one fails with
// an error that wraps fs.ErrExist.
func Set(file, user, password string) error { return set(file, user, password, DefaultCost) }

func set(file, user, password string, cost int) error {
	if err := checkUser(user); err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	if password == "" {
		return errors.New("htpasswd: empty password")
	}
	if len(password) > MaxPassword {
		return fmt.Errorf("htpasswd: password of %d octets: bcrypt takes at most %d", len(password), MaxPassword)
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real // a link stays one
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	// "$2a$" and "$2y$" are the same in x/crypto; the latter is what Apache writes.
	line := user + ":$2y$" + strings.TrimPrefix(string(hash), "$2a$")
	if err := rewrite(file, func(text string) (string, error) { return replaceLine(text, user, line) }); err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	return nil
}

// replaceLine puts line in place of the user's, or at the end.
func replaceLine(text, user, line string) (string, error) {
	if _, err := parse(text); err != nil {
		return "", err
	}
	var b strings.Builder
	found := false
	for old := range strings.Lines(text) {
		if !isComment(old) && strings.HasPrefix(old, user+":") {
			old, found = line+"\n", true
		}
		b.WriteString(old)
	}
	if !found {
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(line + "\n")
	}
	return b.String(), nil
}

// rewrite replaces the file by what edit makes of its text. The new file beside it is also
// the lock: while it exists nobody else begins.
func rewrite(file string, edit func(string) (string, error)) (err error) {
	next := file + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: someone is changing %s; if nobody is, remove %s", err, file, next)
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

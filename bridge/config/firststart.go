package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// emptyHtpasswd is what a new file of users says.
const emptyHtpasswd = "# Users of the bridge, one a line. Add one with: zwsbridge passwd FILE USER\n"

// MakeMissing makes the htpasswd files and the folders of CURVE keys that the
// configuration names and that are not there yet, empty: they let nobody in. Nothing that
// exists is touched. It is for the first start; [Load] has warned of each.
func (c *Config) MakeMissing() error {
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		var err error
		switch s := c.Auth[name].Settings.(type) {
		case *Htpasswd:
			err = makeFile(string(s.File), emptyHtpasswd)
		case *Curve:
			if s.Dir != "*" {
				err = os.MkdirAll(string(s.Dir), 0o700)
			}
		}
		if err != nil {
			return fmt.Errorf("auth.%s: %w", name, err)
		}
	}
	return nil
}

// makeFile makes a private file, unless there is one.
func makeFile(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

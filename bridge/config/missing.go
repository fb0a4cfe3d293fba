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

// MakeMissing creates the htpasswd files and the directories of CURVE keys that the
// configuration names and that do not exist, empty, so that they let nobody in. It changes
// nothing that exists. It is for the first start; [Load] has warned of each.
func (c *Config) MakeMissing() error {
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		if s, ok := c.Auth[name].Settings.(missingMaker); ok {
			if err := s.makeMissing(); err != nil {
				return fmt.Errorf("auth.%s: %w", name, err)
			}
		}
	}
	return nil
}

// makeFile creates a private file, unless it exists.
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

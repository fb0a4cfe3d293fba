package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ReadPublic reads a public certificate file. A secret key in it is an error, because other
// users may read the file. Errors name the file.
func ReadPublic(file string) (*Certificate, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readLimited(f, file, MaxCertificate)
	if err != nil {
		return nil, err
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if c.HasSecret {
		return nil, fmt.Errorf("%s: secret key in a public certificate: use the file without %s", file, SecretSuffix)
	}
	return c, nil
}

// ReadSecret is [Private.Certificate] of the zero value.
func ReadSecret(name string) (*Certificate, error) { return Private{}.Certificate(name) }

// Certificate reads the certificate called name with its secret key from the file
// NAME_secret. It refuses a file that other users can access (*[PermissionError]), and a
// secret key that does not belong to the public key in the same file or in the file NAME, if
// that exists ([ErrMismatch]). Errors name the file.
func (p Private) Certificate(name string) (*Certificate, error) {
	file := name + SecretSuffix
	text, err := p.Read(file, MaxCertificate)
	if err != nil {
		return nil, err
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if !c.HasSecret {
		return nil, fmt.Errorf("%s: %w: no secret-key in section curve", file, ErrCertificate)
	}
	public, err := ReadPublic(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	case public.Public != c.Public:
		return nil, fmt.Errorf("%s: %w in %s", file, ErrMismatch, name)
	}
	return c, nil
}

// Write writes the public file NAME (mode 0644) and, if c has a secret key, the secret file
// NAME_secret (mode 0600). If one of them exists, Write writes nothing and the error wraps
// fs.ErrExist.
func (c *Certificate) Write(name string) error {
	public, err := c.PublicText()
	if err != nil {
		return err
	}
	if !c.HasSecret {
		return writeNew(name, public, 0o644)
	}
	secret, err := c.SecretText()
	if err != nil {
		return err
	}
	if err := writeNew(name+SecretSuffix, secret, 0o600); err != nil {
		return err
	}
	if err := writeNew(name, public, 0o644); err != nil {
		os.Remove(name + SecretSuffix)
		return err
	}
	return nil
}

package certs

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// Limits of a certificate file.
const (
	// MaxCertificate is the maximum size of a certificate file in bytes.
	MaxCertificate = 64 << 10
	// MaxProperties is the maximum number of properties in the metadata.
	MaxProperties = 64
)

// SecretSuffix is appended to the name of a public file to form that of the secret file.
const SecretSuffix = "_secret"

// Property is a name and a value in the metadata of a certificate.
type Property struct {
	Name  string // letters, digits and $-_@.&+
	Value string // a single line
}

// Certificate is a CURVE key pair, or only a public key, with metadata. The file format is
// that of CZMQ's zcert class.
type Certificate struct {
	Public [KeySize]byte
	// Secret is valid only if HasSecret is set.
	Secret    [KeySize]byte
	HasSecret bool
	// Metadata has the order of the file. The bridge uses the property `user-id`: the user
	// name of a client that logs in with this key.
	Metadata []Property
}

var (
	// ErrCertificate is wrapped by all errors about the contents of a certificate file
	// except ErrMismatch.
	ErrCertificate = errors.New("not a CURVE certificate")
	// ErrMismatch reports a secret key that does not belong to the public key.
	ErrMismatch = errors.New("the secret key does not belong to the public key")
)

// New returns a certificate with a new key pair and no metadata.
func New() (*Certificate, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certs: new key: %w", err)
	}
	return &Certificate{
		Public:    [KeySize]byte(key.PublicKey().Bytes()),
		Secret:    [KeySize]byte(key.Bytes()),
		HasSecret: true,
	}, nil
}

// Meta returns the value of the first property called name, or "" if there is none.
func (c *Certificate) Meta(name string) string {
	for _, p := range c.Metadata {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// SetMeta sets the value of the property called name, or appends the property.
func (c *Certificate) SetMeta(name, value string) {
	for i, p := range c.Metadata {
		if p.Name == name {
			c.Metadata[i].Value = value
			return
		}
	}
	c.Metadata = append(c.Metadata, Property{name, value})
}

// Parse parses the text of a public or a secret file. A secret key that does not belong to
// the public key is an error ([ErrMismatch]). Other errors wrap [ErrCertificate] and contain
// the line. Unknown sections and keys are ignored, as by CZMQ. A duplicate key is an error.
func Parse(text []byte) (*Certificate, error) {
	if len(text) > MaxCertificate {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrCertificate, len(text), MaxCertificate)
	}
	items, err := parseZPL(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	c := new(Certificate)
	seen := make(map[string]bool) // by path
	section := ""
	for _, item := range items {
		switch item.level {
		case 0:
			section = item.name
		case 1:
			path := section + "/" + item.name
			if seen[path] {
				return nil, fmt.Errorf("%w: line %d: duplicate %s", ErrCertificate, item.line, path)
			}
			seen[path] = true
			if err := c.set(section, item); err != nil {
				return nil, fmt.Errorf("%w: line %d: %s: %w", ErrCertificate, item.line, path, err)
			}
		}
	}
	if !seen["curve/public-key"] {
		return nil, fmt.Errorf("%w: no public-key in section curve", ErrCertificate)
	}
	if c.HasSecret {
		return c, c.checkPair()
	}
	return c, nil
}

// set applies one item of a section.
func (c *Certificate) set(section string, item zplItem) (err error) {
	switch {
	case section == "metadata":
		if len(c.Metadata) == MaxProperties {
			return fmt.Errorf("more than %d properties", MaxProperties)
		}
		c.Metadata = append(c.Metadata, Property{item.name, item.value})
	case section == "curve" && item.name == "public-key":
		c.Public, err = DecodeKey(item.value)
	case section == "curve" && item.name == "secret-key":
		c.Secret, err = DecodeKey(item.value)
		c.HasSecret = true
	}
	return err
}

// checkPair returns ErrMismatch if Secret does not belong to Public.
func (c *Certificate) checkPair() error {
	key, err := ecdh.X25519().NewPrivateKey(c.Secret[:])
	if err != nil {
		return fmt.Errorf("certs: secret key: %w", err)
	}
	if [KeySize]byte(key.PublicKey().Bytes()) != c.Public {
		return ErrMismatch
	}
	return nil
}

// PublicText returns the contents of the public file. Metadata that the format cannot
// represent is an error: an invalid name, or a value with several lines or both kinds of
// quotes.
func (c *Certificate) PublicText() ([]byte, error) {
	return c.text(publicBanner, false)
}

// SecretText returns the contents of the secret file: [Certificate.PublicText] and the secret
// key. A certificate without a secret key is an error.
func (c *Certificate) SecretText() ([]byte, error) {
	if !c.HasSecret {
		return nil, errors.New("certs: the certificate has no secret key")
	}
	return c.text(secretBanner, true)
}

const (
	publicBanner = `#   ****  Generated by zwsbridge  ****
#   ZeroMQ CURVE public certificate
#   Give it to peers over a channel on which it cannot be replaced.

`
	secretBanner = `#   ****  Generated by zwsbridge  ****
#   ZeroMQ CURVE SECRET certificate
#   Keep it secret, and do not change its permissions.

`
)

// text returns the contents of a file.
func (c *Certificate) text(banner string, secret bool) ([]byte, error) {
	var b strings.Builder
	b.WriteString(banner)
	b.WriteString("metadata\n")
	for _, p := range c.Metadata {
		value, ok := quoteZPL(p.Value)
		if !ok || !validZPLName(p.Name) {
			return nil, fmt.Errorf("certs: metadata %q cannot be written: want a name of letters, digits and $-_@.&+, and a value of one line without both kinds of quotes", p.Name)
		}
		fmt.Fprintf(&b, "    %s = %s\n", p.Name, value)
	}
	fmt.Fprintf(&b, "curve\n    public-key = \"%s\"\n", EncodeKey(c.Public))
	if secret {
		fmt.Fprintf(&b, "    secret-key = \"%s\"\n", EncodeKey(c.Secret))
	}
	return []byte(b.String()), nil
}

package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// The files of [SelfSigned] in its directory.
const (
	SelfSignedCert = "portal.crt"
	SelfSignedKey  = "portal.key" // mode 0600
)

const (
	selfSignedLifetime = 365 * 24 * time.Hour
	selfSignedRenewal  = 30 * 24 * time.Hour // time before the expiry at which it is replaced
	selfSignedName     = "zwsbridge self-signed"
)

// SelfSignedOptions are the options of [SelfSigned].
type SelfSignedOptions struct {
	// Dir is the directory of portal.crt and portal.key. It is created if it is missing.
	Dir string
	// Hosts are DNS names and IP addresses of the certificate, in addition to localhost,
	// 127.0.0.1, ::1 and the host name of this machine.
	Hosts []string
	// Now returns the current time; nil means time.Now.
	Now func() time.Time
}

// selfSigned keeps a self-signed certificate valid. It is safe for concurrent use.
type selfSigned struct {
	certFile, keyFile string
	hosts             []string
	now               func() time.Time

	mu   sync.Mutex
	pair *tls.Certificate // nil before the first use
}

// SelfSigned returns a TLS configuration with a self-signed certificate, for development.
// The certificate is kept in o.Dir, so that a browser has to accept it only once. It is
// replaced before it expires, even while it is in use, and when a name is added. A
// certificate that cannot be replaced stays in use until it expires. SelfSigned returns an
// error if the directory has a certificate that it did not create, and never changes that.
func SelfSigned(o SelfSignedOptions) (*tls.Config, error) {
	s := &selfSigned{
		certFile: filepath.Join(o.Dir, SelfSignedCert),
		keyFile:  filepath.Join(o.Dir, SelfSignedKey),
		hosts:    append(localNames(), o.Hosts...),
		now:      o.Now,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := s.get(nil); err != nil {
		return nil, err
	}
	return serverConfig(s.get), nil
}

// localNames returns the names of this machine that work on itself.
func localNames() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		names = append(names, host)
	}
	return names
}

// get implements GetCertificate of [tls.Config].
func (s *selfSigned) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pair == nil {
		pair, err := s.load()
		if err != nil {
			return nil, err
		}
		s.pair = pair
	}
	if s.isValid(selfSignedRenewal) {
		return s.pair, nil
	}
	if err := s.renew(); err != nil && !s.isValid(0) { // a valid certificate leaves time for another attempt
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	return s.pair, nil
}

// load reads the certificate of an earlier run. It returns nil if there is none, or if its
// key is missing; renew then replaces it. A certificate or key that SelfSigned did not
// create is an error.
func (s *selfSigned) load() (*tls.Certificate, error) {
	text, err := os.ReadFile(s.certFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(s.keyFile); err == nil {
			return nil, fmt.Errorf("%s exists without %s: move it away, because a self-signed certificate would replace it", s.keyFile, s.certFile)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s does not contain a PEM certificate", s.certFile)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.certFile, err)
	}
	if leaf.Subject.CommonName != selfSignedName || leaf.Issuer.CommonName != selfSignedName {
		return nil, fmt.Errorf(`%s was not created by zwsbridge: use it with tls = "files", or move it away`, s.certFile)
	}
	pair, err := LoadPair(s.certFile, s.keyFile)
	if _, ok := errors.AsType[*PermissionError](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, nil // a certificate of SelfSigned without its key
	}
	return pair, nil
}

// isValid reports whether there is a certificate that is valid for all names, now and for
// the time d. s.mu is held.
func (s *selfSigned) isValid(d time.Duration) bool {
	if s.pair == nil {
		return false
	}
	leaf, now := s.pair.Leaf, s.now()
	if now.Before(leaf.NotBefore) || now.Add(d).After(leaf.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(s.hosts, func(host string) bool { return leaf.VerifyHostname(host) != nil })
}

// renew generates a new pair and writes it. s.mu is held.
func (s *selfSigned) renew() error {
	cert, key, err := newPair(selfSignedName, s.hosts, s.now())
	if err != nil {
		return err
	}
	// The certificate is written first: load replaces a certificate without a key, but not
	// a key without a certificate.
	if err := replace(s.certFile, cert, 0o644); err != nil {
		return err
	}
	if err := replace(s.keyFile, key, 0o600); err != nil {
		return err
	}
	pair, err := parsePair(s.certFile, s.keyFile, cert, key)
	if err == nil {
		s.pair = pair
	}
	return err
}

// newPair generates a self-signed certificate for hosts and its key, both in PEM.
func newPair(commonName string, hosts []string, now time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    now.Add(-time.Hour), // tolerate clocks that are behind
		NotAfter:     now.Add(selfSignedLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return cert, key, nil
}

// replace writes a temporary file and renames it, so that a reader finds the old or the new
// file.
func replace(file string, b []byte, mode fs.FileMode) error {
	next := file + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(next, b, mode); err != nil {
		return err
	}
	return os.Rename(next, file)
}

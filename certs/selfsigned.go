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

// The files of [SelfSigned] in its folder.
const (
	SelfSignedCert = "portal.crt"
	SelfSignedKey  = "portal.key" // mode 0600
)

const (
	selfSignedFor   = 365 * 24 * time.Hour // how long a certificate is valid
	selfSignedRenew = 30 * 24 * time.Hour  // how long before its end it is replaced
	selfSignedName  = "zwsbridge self-signed"
)

// SelfSignedOptions say where a self-signed certificate is kept and for whom it is.
type SelfSignedOptions struct {
	// Dir is the folder of portal.crt and portal.key; it is made if it is missing.
	Dir string
	// Hosts are further DNS names and IP addresses, beyond localhost, 127.0.0.1, ::1 and
	// the name of this machine.
	Hosts []string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// selfSigned holds the current certificate.
type selfSigned struct {
	certFile, keyFile string
	hosts             []string
	now               func() time.Time

	mu   sync.Mutex
	pair *tls.Certificate // with Leaf
}

// SelfSigned returns a TLS configuration with a certificate of our own making, for
// development: nobody trusts it, but it is kept between runs, so that a browser asks
// once. It is replaced when it is about to expire, also while it is in use, or is not for
// all of the names; one that cannot be replaced serves to its end. A certificate in the
// folder that was not made here is never touched: that is an error.
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

// localNames are the names under which this machine reaches itself.
func localNames() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		names = append(names, host)
	}
	return names
}

// get is the GetCertificate of the configuration.
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
	if s.good(selfSignedRenew) {
		return s.pair, nil
	}
	if err := s.renew(); err != nil && !s.good(0) { // else there is time to try again
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	return s.pair, nil
}

// load reads what an earlier run has left: nil if there is nothing, or half of a pair of
// ours, which renew then replaces. What is not ours is an error.
func (s *selfSigned) load() (*tls.Certificate, error) {
	text, err := os.ReadFile(s.certFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(s.keyFile); err == nil {
			return nil, fmt.Errorf("%s is there without %s: move it away, a self-signed certificate would replace it", s.keyFile, s.certFile)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM certificate", s.certFile)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.certFile, err)
	}
	if leaf.Subject.CommonName != selfSignedName || leaf.Issuer.CommonName != selfSignedName {
		return nil, fmt.Errorf(`%s was not made by zwsbridge: use it with tls = "files", or move it away`, s.certFile)
	}
	pair, err := LoadPair(s.certFile, s.keyFile)
	var open *PermissionError
	if errors.As(err, &open) {
		return nil, err
	}
	if err != nil {
		return nil, nil // our certificate without its key
	}
	return pair, nil
}

// good tells whether there is a certificate that is good for so long and for all names.
func (s *selfSigned) good(long time.Duration) bool {
	if s.pair == nil {
		return false
	}
	leaf, now := s.pair.Leaf, s.now()
	if now.Before(leaf.NotBefore) || now.Add(long).After(leaf.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(s.hosts, func(host string) bool { return leaf.VerifyHostname(host) != nil })
}

// renew makes a new pair and writes it. s.mu is held, or s is not shared yet.
func (s *selfSigned) renew() error {
	cert, key, err := newPair(selfSignedName, s.hosts, s.now())
	if err != nil {
		return err
	}
	// The certificate goes first: alone it is known as ours and replaced, a key is not.
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

// newPair makes a self-signed certificate for hosts and its key, both PEM.
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
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(selfSignedFor),
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

// replace writes a file beside the old one and renames it, so that a reader finds either.
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

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// maxPEM is the size in octets above which a PEM file is refused.
const maxPEM = 1 << 20

// serverConfig is what every TLS listener of ours has in common. HTTP/2 is not offered:
// a WebSocket takes over a connection of HTTP/1.1.
func serverConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     append([]string{"http/1.1"}, protocols...),
		GetCertificate: get,
		// The writer fills records by itself: small first ones only cost octets.
		DynamicRecordSizingDisabled: true,
	}
}

// LoadPair reads a certificate chain and its key, both PEM. A key file that others may
// reach is refused (*[PermissionError]). Errors name the files.
func LoadPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, key, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return parsePair(certFile, keyFile, cert, key)
}

func readPair(certFile, keyFile string) (cert, key []byte, err error) {
	f, err := os.Open(certFile)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if cert, err = readLimited(f, certFile, maxPEM); err != nil {
		return nil, nil, err
	}
	key, err = ReadPrivate(keyFile, maxPEM)
	return cert, key, err
}

func parsePair(certFile, keyFile string, cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// Roots reads the certificates (PEM) that those of peers are verified against. A
// file without any is an error.
func Roots(file string) (*x509.CertPool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readLimited(f, file, maxPEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no PEM certificate", file)
	}
	return pool, nil
}

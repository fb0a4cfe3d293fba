package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// maxPEM is the maximum size of a PEM file in bytes.
const maxPEM = 1 << 20

// serverConfig returns the settings common to all TLS listeners, with additional ALPN
// protocols. It does not offer HTTP/2, because the WebSocket handshake needs HTTP/1.1.
func serverConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     append([]string{"http/1.1"}, protocols...),
		GetCertificate: get,
		// Messages are written in large pieces: small first records only add overhead.
		DynamicRecordSizingDisabled: true,
	}
}

// LoadPair is [Private.Pair] of the zero value.
func LoadPair(certFile, keyFile string) (*tls.Certificate, error) {
	return Private{}.Pair(certFile, keyFile)
}

// Pair reads a TLS certificate chain and its key, both in PEM. It refuses a key file that
// other users can access (*[PermissionError]). Errors name the files.
func (p Private) Pair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, key, err := p.readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return parsePair(certFile, keyFile, cert, key)
}

func (p Private) readPair(certFile, keyFile string) (cert, key []byte, err error) {
	f, err := os.Open(certFile)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if cert, err = readLimited(f, certFile, maxPEM); err != nil {
		return nil, nil, err
	}
	key, err = p.Read(keyFile, maxPEM)
	return cert, key, err
}

func parsePair(certFile, keyFile string, cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// Roots reads the CA certificates in a PEM file. A file without a certificate is an error.
// Errors name the file.
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
		return nil, fmt.Errorf("%s does not contain a PEM certificate", file)
	}
	return pool, nil
}

package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handshake connects a client to a server and returns the state of the client's connection.
func handshake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := l.Accept(); err == nil {
			io.Copy(io.Discard, conn) // performs the handshake and waits until the client closes
			conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(conn, client)
	err = secure.Handshake()
	conn.Close()
	<-served
	return secure.ConnectionState(), err
}

func serial(t *testing.T, server *tls.Config) *big.Int {
	t.Helper()
	state, err := handshake(t, server, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].SerialNumber
}

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	config, err := SelfSigned(SelfSignedOptions{Dir: dir, Hosts: []string{"portal.example", "192.0.2.7"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, SelfSignedCert))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("portal.crt is not PEM")
	}
	names := []string{"localhost", "127.0.0.1", "::1", "portal.example", "192.0.2.7"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, name := range names {
		if _, err := handshake(t, config, &tls.Config{RootCAs: roots, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t, config, &tls.Config{RootCAs: roots, ServerName: "other.example"}); err == nil {
		t.Error("valid for a name that it does not have")
	}
	if info, err := os.Stat(filepath.Join(dir, SelfSignedKey)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
}

func TestVersionAndProtocols(t *testing.T) {
	config, err := SelfSigned(SelfSignedOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		client := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}}
		state, err := handshake(t, config, client)
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if ok && state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s: protocol %q: a WebSocket needs HTTP/1.1", tls.VersionName(version), state.NegotiatedProtocol)
		}
	}
}

func TestSelfSignedRenewal(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	o := SelfSignedOptions{Dir: dir, Now: func() time.Time { return now }}
	open := func() *tls.Config {
		config, err := SelfSigned(o)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	running := open()
	first := serial(t, running)

	now = now.Add(selfSignedLifetime - selfSignedRenewal - time.Second)
	if serial(t, open()).Cmp(first) != 0 {
		t.Error("replaced before the renewal was due")
	}
	now = now.Add(2 * time.Second)
	second := serial(t, running)
	if second.Cmp(first) == 0 {
		t.Error("not renewed while in use")
	}
	if serial(t, open()).Cmp(second) != 0 {
		t.Error("the renewed certificate was not kept")
	}
	o.Hosts = []string{"new.example"}
	third := serial(t, open())
	if third.Cmp(second) == 0 {
		t.Error("not replaced when a name was added")
	}
	if err := os.Remove(filepath.Join(dir, SelfSignedKey)); err != nil {
		t.Fatal(err)
	}
	if serial(t, open()).Cmp(third) == 0 {
		t.Error("not replaced when its key was missing")
	}
}

// TestSelfSignedRenewalFails checks that a certificate that cannot be renewed is used until
// it expires.
func TestSelfSignedRenewalFails(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	config, err := SelfSigned(SelfSignedOptions{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	first := serial(t, config)
	obstacle := filepath.Join(dir, SelfSignedCert+".new", "dir")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	now = now.Add(selfSignedLifetime - time.Second)
	if serial(t, config).Cmp(first) != 0 {
		t.Error("another certificate although it cannot be renewed")
	}
	now = now.Add(2 * time.Second)
	if _, err := config.GetCertificate(nil); err == nil {
		t.Error("used after it expired")
	}
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	if serial(t, config).Cmp(first) == 0 {
		t.Error("not renewed although it is possible again")
	}
}

// TestSelfSignedForeignFiles checks that files that SelfSigned did not create are an error
// and are not changed.
func TestSelfSignedForeignFiles(t *testing.T) {
	foreign, key := pairFor(t, "foreign.example")
	for name, files := range map[string]map[string][]byte{
		"foreign certificate":     {SelfSignedCert: foreign, SelfSignedKey: key},
		"key without certificate": {SelfSignedKey: key},
		"no PEM certificate":      {SelfSignedCert: []byte("hello")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, b := range files {
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := SelfSigned(SelfSignedOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want one that names the directory", err)
			}
			for file, b := range files {
				if now, _ := os.ReadFile(filepath.Join(dir, file)); string(now) != string(b) {
					t.Errorf("%s was changed", file)
				}
			}
		})
	}
	if runtime.GOOS == "windows" {
		return
	}
	dir := t.TempDir()
	if _, err := SelfSigned(SelfSignedOptions{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, SelfSignedKey), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(SelfSignedOptions{Dir: dir}); !errors.As(err, new(*PermissionError)) {
		t.Errorf("key of mode 0644: %v", err)
	}
}

// pairFor returns a certificate that SelfSigned treats as foreign, and its key.
func pairFor(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	cert, key, err := newPair(host, []string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// messages is a log handler that sends the messages of the records.
type messages chan string

func (m messages) Enabled(context.Context, slog.Level) bool      { return true }
func (m messages) Handle(_ context.Context, r slog.Record) error { m <- r.Message; return nil }
func (m messages) WithAttrs([]slog.Attr) slog.Handler            { return m }
func (m messages) WithGroup(string) slog.Handler                 { return m }

func TestFilesReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	write := func(cert, key []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(keyFile, key, 0o600), os.WriteFile(certFile, cert, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := pairFor(t, "localhost")
	write(cert, key)
	log := make(messages, 16)
	files, err := Files(FilesOptions{Cert: certFile, Key: keyFile, Log: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	config := files.Config()
	first := serial(t, config)

	_, otherKey := pairFor(t, "localhost")
	write(cert, otherKey)
	if m := <-log; !strings.Contains(m, "not reloaded") {
		t.Errorf("invalid pair: logged %q", m)
	}
	if serial(t, config).Cmp(first) != 0 {
		t.Error("the last valid pair is not in use")
	}

	// A renewal by rename, as done by certbot and Kubernetes.
	cert, key = pairFor(t, "localhost")
	for file, b := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := errors.Join(os.WriteFile(file+".tmp", b, 0o600), os.Rename(file+".tmp", file)); err != nil {
			t.Fatal(err)
		}
	}
	for m := range log {
		if strings.Contains(m, "certificate reloaded") {
			break
		}
	}
	if serial(t, config).Cmp(first) == 0 {
		t.Error("the new pair is not in use")
	}
}

func TestFilesErrors(t *testing.T) {
	dir := t.TempDir()
	cert, key := pairFor(t, "localhost")
	_, otherKey := pairFor(t, "localhost")
	certFile := filepath.Join(dir, "a.crt")
	if err := os.WriteFile(certFile, cert, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  []byte
		mode os.FileMode
		want string
	}{
		"another key":    {otherKey, 0o600, "does not match"},
		"readable key":   {key, 0o644, "mode 0644"},
		"no PEM":         {[]byte("x"), 0o600, "failed to find any PEM"},
		"too large file": {make([]byte, maxPEM+1), 0o600, "more than 1048576 bytes"},
	} {
		if runtime.GOOS == "windows" && tt.mode != 0o600 {
			continue
		}
		keyFile := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(keyFile, tt.key, 0o600), os.Chmod(keyFile, tt.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := Files(FilesOptions{Cert: certFile, Key: keyFile}); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), keyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoots(t *testing.T) {
	dir := t.TempDir()
	cert, key := pairFor(t, "client")
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	if err := errors.Join(os.WriteFile(good, cert, 0o644), os.WriteFile(bad, key, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := Roots(good); err != nil {
		t.Error(err)
	}
	if _, err := Roots(bad); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("file without a certificate: %v", err)
	}
}

func TestACMEOptions(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "acme")
	for _, tt := range []struct {
		o    ACMEOptions
		want string
	}{
		{ACMEOptions{Cache: cache}, "no hosts"},
		{ACMEOptions{Hosts: []string{"portal.example.org"}}, "no cache"},
		{ACMEOptions{Hosts: []string{"192.0.2.1"}, Cache: cache}, "is an IP address"},
		{ACMEOptions{Hosts: []string{"localhost"}, Cache: cache}, "full DNS name"},
		{ACMEOptions{Hosts: []string{"*.example.org"}, Cache: cache}, "full DNS name"},
		{ACMEOptions{Hosts: []string{"portal.example.org:443"}, Cache: cache}, "full DNS name"},
		{ACMEOptions{Hosts: []string{"https://portal.example.org"}, Cache: cache}, "full DNS name"},
	} {
		if _, err := ACME(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
		}
	}
	config, err := ACME(ACMEOptions{Hosts: []string{"portal.example.org"}, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	if config.MinVersion != tls.VersionTLS12 {
		t.Errorf("minimum version %x", config.MinVersion)
	}
	// A name that is not in Hosts must not cause an order.
	if _, err := handshake(t, config, &tls.Config{ServerName: "other.example.org", InsecureSkipVerify: true}); err == nil {
		t.Error("a certificate for a name that is not in Hosts")
	}
}

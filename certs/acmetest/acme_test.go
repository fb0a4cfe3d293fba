package acmetest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/testport"
	"golang.org/x/crypto/acme"
)

const host = "portal.example.org"

// authority is a running Pebble that resolves every name to 127.0.0.1 and validates it at a
// given port.
type authority struct {
	client *acme.Client
	roots  *x509.CertPool
}

func newAuthority(t *testing.T, tlsPort int) *authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	quiet := log.New(io.Discard, "", 0)

	resolver := freeAddress(t)
	dns, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{resolver}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	dns.SetDefaultDNSIPv4("127.0.0.1")
	dns.SetDefaultDNSIPv6("")
	go dns.Run()
	t.Cleanup(dns.Shutdown)

	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	validator := va.New(quiet, 0, tlsPort, false, resolver, store)
	front := wfe.New(quiet, store, validator, issuer, []string{"pebble.example"}, false, false, 0, 0)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)

	roots := x509.NewCertPool()
	roots.AddCert(issuer.GetRootCert(0).Cert)
	return &authority{
		client: &acme.Client{DirectoryURL: server.URL + wfe.DirectoryPath, HTTPClient: server.Client()},
		roots:  roots,
	}
}

// freeAddress returns an unused address.
func freeAddress(t *testing.T) string {
	t.Helper()
	return testport.Reserve(t)
}

// serve sends a line on every TLS connection.
func serve(t *testing.T, l net.Listener, config *tls.Config) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.WriteString(tls.Server(conn, config), "hello\n")
				conn.Close()
			}()
		}
	}()
}

func dial(l net.Listener, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

func TestOrderByTLSALPN01(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pebble := newAuthority(t, l.Addr().(*net.TCPAddr).Port)
	cache := filepath.Join(t.TempDir(), "acme")
	o := certs.ACMEOptions{Hosts: []string{host}, Cache: cache, Email: "admin@example.org", Client: pebble.client}
	config, err := certs.ACME(o)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, config)

	first, err := dial(l, host, pebble.roots)
	if err != nil {
		t.Fatalf("order at the first connection: %v", err)
	}
	if _, err := dial(l, "other.example.org", pebble.roots); err == nil {
		t.Error("a certificate for a name that is not in Hosts")
	}
	checkCache(t, cache)

	// After a restart the cached certificate is used: this client cannot order any.
	o.Client = &acme.Client{DirectoryURL: "https://127.0.0.1:1/"}
	config, err = certs.ACME(o)
	if err != nil {
		t.Fatal(err)
	}
	restarted, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, restarted, config)
	second, err := dial(restarted, host, pebble.roots)
	if err != nil {
		t.Fatalf("certificate in the cache: %v", err)
	}
	if !second.Equal(first) {
		t.Error("not the certificate in the cache")
	}
}

// checkCache checks that the cache has account key and certificate, readable only for the
// owner.
func checkCache(t *testing.T, cache string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		names = append(names, e.Name())
	}
	if all := strings.Join(names, " "); !strings.Contains(all, "acme_account") || !strings.Contains(all, host) {
		t.Errorf("cache holds %q", all)
	}
}

package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
)

// echoClient answers every request with the client's address and the common name of the
// verified client certificate, if there is one.
var echoClient = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, r.RemoteAddr)
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		io.WriteString(w, " "+r.TLS.VerifiedChains[0][0].Subject.CommonName)
	}
})

// serveConfig serves echoClient with the listener of c.
func serveConfig(t *testing.T, c *config.Config) net.Addr {
	t.Helper()
	c.Server.Listen = "127.0.0.1:0"
	log := slog.New(slog.DiscardHandler)
	l, tlsConfig, closer, err := listen(c, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bridge.New(c, bridge.Options{Logger: log, Handler: zap.HandlerFunc(nil)})
	if err != nil {
		t.Fatal(err)
	}
	server := httpServer(c, echoClient, log)
	l = withTLS(b.Listener(l, server), tlsConfig)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
		b.Close(context.Background())
		closer.Close()
	})
	return l.Addr()
}

// get sends prefix and an HTTP request over conn and returns the body of the response.
func get(t *testing.T, conn net.Conn, prefix string) (string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			_, err := io.WriteString(conn, prefix)
			return conn, err
		},
	}}
	resp, err := client.Get("http://bridge.test/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestProxyProtocol(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"
	for _, tt := range []struct {
		name    string
		trusted string
		prefix  string
		want    string // empty: the connection is refused
	}{
		{"trusted proxy", "127.0.0.0/8", header, "203.0.113.7:4711"},
		{"trusted proxy without the header", "127.0.0.0/8", "", ""},
		{"malformed header", "127.0.0.0/8", "PROXY TCP4 nonsense\r\n", ""},
		{"untrusted proxy", "10.0.0.0/8", header, ""},
		{"untrusted proxy without the header", "10.0.0.0/8", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config.Default()
			c.Server.TLS = config.TLSOff
			c.Server.ProxyProtocol = true
			c.Server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(tt.trusted)}
			conn, err := net.Dial("tcp", serveConfig(t, c).String())
			if err != nil {
				t.Fatal(err)
			}
			got, err := get(t, conn, tt.prefix)
			if tt.want == "" && err == nil {
				t.Errorf("served as %q", got)
			}
			if tt.want != "" && got != tt.want {
				t.Errorf("served as %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestProxyProtocolAfterRefusal checks that a refused connection does not stop the listener.
func TestProxyProtocolAfterRefusal(t *testing.T) {
	c := config.Default()
	c.Server.TLS = config.TLSOff
	c.Server.ProxyProtocol = true
	c.Server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	addr := serveConfig(t, c).String()
	untrusted, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer untrusted.Close()
	if n, err := untrusted.Read(make([]byte, 1)); err == nil {
		t.Errorf("an untrusted proxy received %d bytes", n)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	proxy, err := d.Dial("tcp", addr)
	if err != nil {
		t.Skip("127.0.0.2 is not available:", err)
	}
	if got, err := get(t, proxy, "PROXY TCP6 2001:db8::7 ::1 4711 443\r\n"); got != "[2001:db8::7]:4711" {
		t.Errorf("served as %q, %v", got, err)
	}
}

func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	// A certificate that the configured CA did not sign.
	if _, err := certs.SelfSigned(certs.SelfSignedOptions{Dir: filepath.Join(dir, "foreign")}); err != nil {
		t.Fatal(err)
	}
	client, caPEM := clientPair(t)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, caPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Server.TLS = config.TLSSelfSigned
	c.Server.Key = config.Path(filepath.Join(dir, "portal.key"))
	c.Server.ClientCA = config.Path(ca)
	addr := serveConfig(t, c)

	foreign, err := certs.LoadPair(filepath.Join(dir, "foreign", certs.SelfSignedCert), filepath.Join(dir, "foreign", certs.SelfSignedKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		certificates []tls.Certificate
		ok           bool
		commonName   string
	}{
		"none":     {nil, true, ""},
		"verified": {[]tls.Certificate{*client}, true, " ann"},
		"foreign":  {[]tls.Certificate{*foreign}, false, ""},
	} {
		conn, err := tls.Dial("tcp", addr.String(), &tls.Config{
			InsecureSkipVerify: true,
			// Sends the certificate even if the server does not list its CA.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if tt.certificates == nil {
					return new(tls.Certificate), nil
				}
				return &tt.certificates[0], nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := get(t, conn, "")
		if (err == nil) != tt.ok || tt.ok && got != conn.LocalAddr().String()+tt.commonName {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"no files": func(c *config.Config) {
			c.Server.TLS, c.Server.Cert, c.Server.Key = config.TLSFiles, "none.crt", "none.key"
		},
		"no hosts":      func(c *config.Config) { c.Server.TLS = config.TLSACME },
		"unknown kind":  func(c *config.Config) { c.Server.TLS = "magic" },
		"no CA":         func(c *config.Config) { c.Server.ClientCA = "none.pem" },
		"address taken": func(c *config.Config) { c.Server.Listen = "192.0.2.1:1" },
	} {
		c := new(config.Config)
		c.Server.TLS = config.TLSSelfSigned
		c.Server.Key = config.Path(filepath.Join(t.TempDir(), "portal.key"))
		c.Server.Listen = "127.0.0.1:0"
		change(c)
		if l, _, _, err := listen(c, slog.New(slog.DiscardHandler), nil); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// pipes is a listener for in-memory connections.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestIdleTimeout checks that a connection is closed if it sends no further request, or an
// incomplete one.
func TestIdleTimeout(t *testing.T) {
	for name, request := range map[string]string{
		"no further request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"incomplete line":    "GET /",
		"no body":            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &config.Config{}
				c.Server.HandshakeTimeout, c.Server.MaxHandshake = 10*time.Second, 16<<10
				server, listener := httpServer(c, echoClient, slog.New(slog.DiscardHandler)), make(pipes)
				go server.Serve(listener)
				defer server.Close()
				conn, serverConn := net.Pipe()
				defer conn.Close()
				listener <- serverConn
				go io.WriteString(conn, request)
				if _, err := io.ReadAll(conn); err != nil { // does not return before the connection is closed
					t.Error(err)
				}
			})
		})
	}
}

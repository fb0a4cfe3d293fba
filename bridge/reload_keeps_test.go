package bridge_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// allLogins returns a configuration that accepts every kind of login, with the files and
// services that it needs. CACHE in its text is to be replaced.
func allLogins(t *testing.T, i *issuer, certificate tls.Certificate) func(dir string) string {
	t.Helper()
	allow := func(string, func(string) string) bool { return true }
	app := newHTTPService(t, allow)
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("token") != "dora.1.2" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"userID": "dora"}`)
	}))
	t.Cleanup(chat.Close)
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		if len(req.Credentials) == 0 || !slices.Contains([]string{"carol", "carol's"}, string(req.Credentials[0])) {
			return &zap.Reply{Status: zap.Refused}
		}
		return &zap.Reply{Status: zap.OK, UserID: "carol", Metadata: zap.Metadata{{Name: "Expires", Value: fmt.Sprint(time.Now().Add(time.Hour).Unix())}}}
	})
	return func(dir string) string {
		i.dir = filepath.Join(dir, "jwt")
		keys := filepath.Join(dir, "controllers")
		must(t, os.Mkdir(i.dir, 0o700))
		must(t, os.Mkdir(keys, 0o700))
		i.key = i.newKey("first")
		controller := *bridgeKey
		controller.HasSecret = false
		controller.SetMeta("user-id", "house1")
		must(t, controller.Write(filepath.Join(keys, "house1")))
		writeKey(t, dir, "server", nativeKey)
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
		must(t, os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600))
		return fmt.Sprintf(`
[server]
curve_cert = "server"
client_ca = "ca.pem"
query_token = true
[zap]
timeout = "1m"
chain = [
  { authn = "users", authz = ["lan"] }, { authn = "app" }, { authn = "sso", authz = ["app"] }, { authn = "chat" },
  { authn = "handler", authz = ["lan"] }, { authn = "controllers" }, { authn = "people" }, { authn = "guests" },
]
cache = CACHE
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
user_prefix = "u-"
[auth.lan]
type = "ip"
allow = ["127.0.0.0/8"]
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
keys = ["jwt"]
issuer = "https://idp.example"
resource_server_id = "zwsbridge"
[auth.chat]
type = "token-endpoint"
url = %q
timeout = "1m"
single_token = true
[auth.handler]
type = "zap"
endpoint = %q
timeout = "1m"
[auth.controllers]
type = "curve"
dir = "controllers"
[auth.people]
type = "certificate"
user_from = ["cn"]
[auth.guests]
type = "anonymous"
`, chat.URL, handler) + app.authTable() +
			routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["NULL", "PLAIN", "BEARER", "CURVE", "TLS"]`, `allow = [{ user = "*", subscribe = ["a"] }]`) +
			routeTo("/e", "DEALER", echoRouter(t)) +
			relayRoute("DEALER", echoBackend(t, zmtp.ROUTER, zap.CURVE))
	}
}

// selfSigned returns a self-signed client certificate.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "frank"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS serves b over TLS to clients with or without a certificate.
func serveTLS(t *testing.T, b *bridge.Bridge, certificate tls.Certificate) (url string) {
	t.Helper()
	parsed, err := x509.ParseCertificate(certificate.Certificate[0])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	server := httptest.NewUnstartedServer(b)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots}
	server.StartTLS()
	t.Cleanup(server.Close)
	return "wss" + strings.TrimPrefix(server.URL, "https")
}

// waitForSessions returns the sessions once there are n, which is shortly after their clients
// got READY.
func waitForSessions(t testing.TB, b *bridge.Bridge, n int) (list []bridge.Session) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d sessions", n), func() bool {
		list = b.Sessions()
		return len(list) == n
	})
	return list
}

// TestReloadKeepsSessions checks that sessions of every kind of login stay through reloads that
// change nothing for them, with and without the cache of ZAP replies.
func TestReloadKeepsSessions(t *testing.T) {
	for _, cache := range []string{`"0s"`, `"1m"`} {
		certificate := selfSigned(t)
		i := &issuer{t: t}
		var dir, text string
		url, b := startIn(t, func(d string) string {
			dir, text = d, strings.Replace(allLogins(t, i, certificate)(d), "CACHE", cache, 1)
			return text
		})
		token := i.token("zwsbridge.read:*/*")
		bare := func(header http.Header) zws.DialOptions {
			return zws.DialOptions{SocketType: zmtp.SUB, Header: header, HandshakeTimeout: time.Minute}
		}
		byCertificate := bare(nil)
		byCertificate.TLS = &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}
		null := bare(nil)
		null.Security = zmtp.Null{}
		curve := bare(nil)
		curve.Security = curveLogin(nativeKey.Public)
		carol := bare(nil)
		carol.Security = zmtp.Plain{User: "carol", Password: "anything"}
		n := 0 // sessions
		for _, c := range []struct {
			url     string
			options zws.DialOptions
			login   string // mechanism and user, as operators see them
		}{
			{"/d", null, "NULL: "},
			{"/d", bare(nil), "NULL: "},
			{"/d", plainLogin("alice", zmtp.SUB), "PLAIN: u-alice"},
			{"/d", plainLogin("alice", zmtp.SUB), "PLAIN: u-alice"},
			{"/d", bare(basicAuth("bob")), "PLAIN: u-bob"},
			{"/d", serviceLogin("eve", zmtp.SUB), "PLAIN: eve"},
			{"/d", carol, "PLAIN: carol"},
			{"/d", bearerLogin("carol's", zmtp.SUB), "BEARER: carol"},
			{"/d", bearerLogin(token, zmtp.SUB), "BEARER: ann"},
			{"/d", bare(http.Header{"Authorization": {"Bearer " + token}}), "BEARER: ann"},
			{"/d", bare(http.Header{"Cookie": {"zws_token=" + token}}), "BEARER: ann"},
			{"/d?access_token=" + token, bare(nil), "BEARER: ann"},
			{"/d", bearerLogin("dora.1.2", zmtp.SUB), "BEARER: dora"},
			{"/d", curve, "CURVE: house1"},
			{"", byCertificate, "TLS: frank"},
		} {
			at := url + c.url
			if c.url == "" {
				at = serveTLS(t, b, certificate) + "/d"
			}
			connect(t, at, c.options)
			n++
			list := waitForSessions(t, b, n)
			if s := list[n-1]; s.Mechanism+": "+s.User != c.login {
				t.Errorf("%+v, want %s", s, c.login)
			}
		}
		page := dialJSON(t, url+"/d")
		page.send(loginObject("alice"))
		page.next()
		m := dialMux(t, url+"/d", "alice")
		openMux(t, m, zws.ChannelOptions{Route: "/e"})
		openMux(t, m, zws.ChannelOptions{Route: "/d", SocketType: zmtp.SUB, Subscribe: [][]byte{[]byte("a")}})
		for _, relay := range relayDialers {
			c, err := relay.dial(t, url, curveLogin(nativeKey.Public), zmtp.DEALER)
			must(t, err)
			t.Cleanup(func() { c.Close() })
		}

		before := waitForSessions(t, b, n+1+3+4) // ZWSJSON1.0; a connection and its channels; relays, one with a connection
		for i, more := range []string{"", "", routeTo("/other", "SUB", silent(t, zmtp.PUB)), "[auth.unused]\ntype = \"anonymous\"\n"} {
			reload(t, b, dir, text+more)
			after := b.Sessions()
			for _, s := range before {
				if !slices.ContainsFunc(after, func(a bridge.Session) bool { return a.Number == s.Number }) {
					t.Errorf("cache %s: reload %d ended the %s session of %q on %s with %s", cache, i+1, s.Dialect, s.User, s.Route, s.Mechanism)
				}
			}
		}
	}
}

package zws_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// asked records the requests to the ZAP handler.
func asked(o *zws.Options) <-chan *zap.Request {
	requests := make(chan *zap.Request, 10)
	o.Handler = zap.HandlerFunc(func(ctx context.Context, r *zap.Request) (*zap.Reply, error) {
		requests <- r
		return statuses(ctx, r)
	})
	return requests
}

const basic = "Authorization: Basic YWxpY2U6c2VjcmV0" // alice:secret

// TestHTTPCredentials: the ZAP request for a client without a mechanism, depending on the
// headers of its HTTP request. example.org is the server's own host.
func TestHTTPCredentials(t *testing.T) {
	const own, foreign, listed = "Origin: http://example.org", "Origin: https://evil.example", "Origin: https://portal.example"
	cookie := "Cookie: zws_token=jwt"
	everyone := func(o *zws.Options) { o.Origins = []string{"*", "https://portal.example"} }
	secure := func(o *zws.Options) { o.Secure, o.Origins = true, []string{"*"} }
	tests := []struct {
		name   string
		target string
		header []string
		change func(*zws.Options)
		want   []string // mechanism and frames; nil: refused with 4400
	}{
		{"none", "/", nil, nil, []string{"NULL"}},
		{"Basic", "/", []string{basic}, nil, []string{"PLAIN", "alice", "secret"}},
		{"Basic, lower case", "/", []string{"authorization: basic YWxpY2U6c2VjcmV0"}, nil, []string{"PLAIN", "alice", "secret"}},
		{"Basic with a colon", "/", []string{"Authorization: Basic YTpiOmM="}, nil, []string{"PLAIN", "a", "b:c"}},
		{"Bearer", "/", []string{"Authorization: Bearer jwt"}, nil, []string{"BEARER", "jwt"}},
		{"cookie", "/", []string{cookie}, nil, []string{"BEARER", "jwt"}},
		{"emptied cookie", "/", []string{"Cookie: zws_token="}, nil, []string{"NULL"}},
		{"other cookies", "/", []string{"Cookie: a=b; zws_token=jwt; c=d"}, nil, []string{"BEARER", "jwt"}},
		{"query", "/?access_token=jwt", nil, func(o *zws.Options) { o.QueryToken = true }, []string{"BEARER", "jwt"}},
		{"query, not asked for", "/?access_token=jwt", nil, nil, []string{"NULL"}},

		{"Basic and Bearer", "/", []string{basic, "Authorization: Bearer jwt"}, nil, nil},
		{"Basic and cookie", "/", []string{basic, cookie}, nil, nil},
		{"Bearer and cookie", "/", []string{"Authorization: Bearer jwt", cookie}, nil, nil},
		{"two cookies", "/", []string{"Cookie: zws_token=a; zws_token=b"}, nil, nil},
		{"query twice", "/?access_token=a&access_token=b", nil, func(o *zws.Options) { o.QueryToken = true }, nil},
		{"Digest", "/", []string{"Authorization: Digest a"}, nil, nil},
		{"Bearer of nothing", "/", []string{"Authorization: Bearer "}, nil, nil},
		{"Basic, not base64", "/", []string{"Authorization: Basic !"}, nil, nil},
		{"Basic, 256 bytes", "/", []string{"Authorization: Basic " + strings.Repeat("YWFh", 86) + "Og=="}, nil, nil},

		// what the route cannot use is for a proxy on the way
		{"Basic where only NULL", "/", []string{basic}, only(zap.NULL), []string{"NULL"}},
		{"Digest where only NULL", "/", []string{"Authorization: Digest a"}, only(zap.NULL), []string{"NULL"}},
		{"Bearer where only NULL", "/", []string{"Authorization: Bearer "}, only(zap.NULL), []string{"NULL"}},
		{"two where only NULL", "/", []string{basic, "Authorization: Negotiate a", cookie}, only(zap.NULL, zap.CURVE), []string{"NULL"}},
		{"Basic and cookie where no PLAIN", "/", []string{basic, cookie}, only(zap.NULL, zap.BEARER), []string{"BEARER", "jwt"}},
		{"malformed Basic and cookie where no PLAIN", "/", []string{"Authorization: Basic !", cookie}, only(zap.BEARER), []string{"BEARER", "jwt"}},
		{"Basic and Bearer where no PLAIN", "/", []string{basic, "Authorization: Bearer jwt"}, only(zap.BEARER), []string{"BEARER", "jwt"}},
		{"Digest and cookie", "/", []string{"Authorization: Digest a", cookie}, nil, []string{"BEARER", "jwt"}},
		{"Digest and query", "/?access_token=jwt", []string{"Authorization: Digest a"}, func(o *zws.Options) { o.QueryToken = true }, []string{"BEARER", "jwt"}},
		{"cookie and Basic where no BEARER", "/", []string{basic, cookie}, only(zap.PLAIN), []string{"PLAIN", "alice", "secret"}},
		{"Digest where NULL or BEARER", "/", []string{"Authorization: Digest a"}, only(zap.NULL, zap.BEARER), nil},
		{"Bearer of nothing and cookie", "/", []string{"Authorization: Bearer ", cookie}, nil, nil},

		{"cookie, own origin", "/", []string{cookie, own}, nil, []string{"BEARER", "jwt"}},
		{"cookie, listed origin", "/", []string{cookie, listed}, everyone, []string{"BEARER", "jwt"}},
		{"cookie, foreign origin", "/", []string{cookie, foreign}, everyone, []string{"NULL"}},
		{"Basic, foreign origin", "/", []string{basic, foreign}, everyone, []string{"NULL"}},
		{"Bearer, foreign origin", "/", []string{"Authorization: Bearer jwt", foreign}, everyone, []string{"BEARER", "jwt"}},
		{"cookie, own host in the clear", "/", []string{cookie, own}, secure, []string{"NULL"}},
		{"cookie, own host by TLS", "/", []string{cookie, "Origin: https://example.org"}, secure, []string{"BEARER", "jwt"}},
		{"cookie, no origin", "/", []string{cookie, "Origin: null"}, everyone, []string{"NULL"}},
	}
	for _, test := range tests {
		for _, dialect := range []string{"ZWS2.0", "ZWS2.0/NULL", "WSNetMQ"} {
			t.Run(test.name+" "+dialect, func(t *testing.T) {
				o := options()
				if test.change != nil {
					test.change(&o)
				}
				requests := asked(&o)
				s := serve(t, o, plain)
				p := s.dialRaw(t, test.target, append(test.header, offering(dialect))...)
				if p.status() != 101 {
					t.Fatalf("answered %q", p.head)
				}
				if test.want == nil {
					if dialect == "ZWS2.0/NULL" {
						p.expect("\x02\x05ERROR\x03400")
					}
					first, payload, err := p.receive()
					if err != nil || first != 0x88 || !strings.HasPrefix(payload, "\x11\x30") {
						t.Fatalf("received %02x %q, %v; want 4400", first, payload, err)
					}
					return
				}
				switch dialect {
				case "ZWS2.0":
					p.send("\x00me")
				case "ZWS2.0/NULL":
					p.send("\x02\x05READY" + dealerMetadata)
				}
				r := <-requests
				got := []string{string(r.Mechanism)}
				for _, frame := range r.Credentials {
					got = append(got, string(frame))
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("asked:\n%s", diff)
				}
				if r.Domain != "test" || r.Address != "127.0.0.1" {
					t.Errorf("domain %q, address %q", r.Domain, r.Address)
				}
				l := (<-s.accepted).conn.Login()
				if string(l.Mechanism) != test.want[0] || len(l.Credentials) != len(test.want)-1 {
					t.Errorf("login by %s with %d frames", l.Mechanism, len(l.Credentials))
				}
			})
		}
	}
}

// only changes options to accept these mechanisms only.
func only(m ...zap.Mechanism) func(*zws.Options) {
	return func(o *zws.Options) { o.Mechanisms = m }
}

// TestCredentialsAreNotMixed: HTTP credentials are ignored if the mechanism has its own.
func TestCredentialsAreNotMixed(t *testing.T) {
	o := options()
	requests := asked(&o)
	s := serve(t, o, plain)
	p := s.dialRaw(t, "/", "Cookie: zws_token=jwt", basic, offering("ZWS2.0+PLAIN"))
	p.send("\x02\x05HELLO\x03bob\x00")
	p.expect("\x02\x07WELCOME")
	if r := <-requests; r.Mechanism != zap.PLAIN || string(r.Credentials[0]) != "bob" {
		t.Errorf("asked about %s %q", r.Mechanism, r.Credentials)
	}
}

// TestHTTPCredentialsOfTheRoute: a bare client can log in by HTTP on a route that requires
// authentication, with a mechanism that the route accepts.
func TestHTTPCredentialsOfTheRoute(t *testing.T) {
	for _, test := range []struct {
		takes  zap.Mechanism
		header string
		code   zws.Code // 0: let in
		reason string
	}{
		{zap.PLAIN, basic, 0, ""},
		{zap.BEARER, basic, 4406, "this route does not accept PLAIN logins"},
		{zap.BEARER, "Cookie: zws_token=jwt", 0, ""},
		{zap.PLAIN, "Authorization: Bearer jwt", 4406, "this route does not accept BEARER logins"},
		{zap.PLAIN, "X: y", 4400, "authentication required"},
	} {
		o := options()
		o.Mechanisms = []zap.Mechanism{test.takes}
		p := serve(t, o, plain).dialRaw(t, "/", test.header, offering("ZWS2.0"))
		if test.code != 0 {
			p.expectClose(test.code, test.reason)
			continue
		}
		p.send("\x00")
		p.expect("\x00us")
	}
	o := options()
	o.PlaintextAllowed = false
	serve(t, o, plain).dialRaw(t, "/", basic, offering("ZWS2.0")).expectClose(4403, "PLAIN is not accepted without TLS")
	o.Secure = true
	p := serve(t, o, plain).dialRaw(t, "/", basic, offering("ZWS2.0"))
	p.send("\x00")
	p.expect("\x00us")
}

// TestOrigin: a page with another origin is answered 403 and gets no WebSocket.
func TestOrigin(t *testing.T) {
	for _, test := range []struct {
		origin  string // header lines
		origins []string
		want    int
	}{
		{"X: no page", nil, 101},
		{"Origin: http://example.org", nil, 101},
		{"Origin: https://EXAMPLE.org", nil, 101},
		{"Origin: http://example.org:8080", nil, 403},
		{"Origin: http://example.org.evil.example", nil, 403},
		{"Origin: http://evil.example", nil, 403},
		{"Origin: null", nil, 403},
		{"Origin: ", nil, 403},
		{"Origin: http://%zz", nil, 403},
		{"Origin: file://", nil, 403},
		{"Origin: http://example.org\r\nOrigin: http://evil.example", nil, 403},
		{"Origin: https://portal.example", []string{"https://portal.example"}, 101},
		{"Origin: http://portal.example", []string{"https://portal.example"}, 403},
		{"Origin: http://evil.example", []string{"*"}, 101},
	} {
		o := options()
		o.Origins = test.origins
		s := serve(t, o, plain)
		p := s.dialRaw(t, "/", test.origin, offering("ZWS2.0"))
		if got := p.status(); got != test.want {
			t.Errorf("%s with %q: %d, want %d", test.origin, test.origins, got, test.want)
		}
		p.conn.Close()
	}
}

// TestClientCertificate: a certificate that the TLS server has verified is a login; one that
// it has only requested is not.
func TestClientCertificate(t *testing.T) {
	certificate, authority := clientCertificate(t)
	for _, test := range []struct {
		name  string
		auth  cryptotls.ClientAuthType
		takes []zap.Mechanism
		want  zap.Mechanism
	}{
		{"verified", cryptotls.VerifyClientCertIfGiven, all, zap.TLS},
		{"not verified", cryptotls.RequireAnyClientCert, all, zap.NULL},
		{"not a login here", cryptotls.VerifyClientCertIfGiven, []zap.Mechanism{zap.NULL}, zap.NULL},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options()
			o.Mechanisms = test.takes
			requests := asked(&o)
			s := serve(t, o, func(s *httptest.Server) {
				s.TLS = &cryptotls.Config{ClientAuth: test.auth, ClientCAs: authority}
				s.StartTLS()
			})
			conn, err := cryptotls.Dial("tcp", s.Listener.Addr().String(), &cryptotls.Config{
				InsecureSkipVerify: true, Certificates: []cryptotls.Certificate{certificate},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			p := upgradeRaw(t, conn, "/", offering("WSNetMQ"))
			p.send("\x00a")
			p.expect("\x00a")
			r := <-requests
			if r.Mechanism != test.want {
				t.Errorf("asked about %s, want %s", r.Mechanism, test.want)
			}
			if test.want == zap.TLS && string(r.Credentials[0]) != string(certificate.Certificate[0]) {
				t.Error("the credentials are not the certificate")
			}
		})
	}
}

// clientCertificate makes a self-signed certificate.
func clientCertificate(t *testing.T) (cryptotls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	template.NotAfter = template.NotBefore.AddDate(9000, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return cryptotls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestRefuse: refusals at the upgrade.
func TestRefuse(t *testing.T) {
	causes := []*zws.CloseError{
		{Code: 4404, Status: 400, Reason: "no such route"},
		{Code: 4429, Reason: "too many connections"},
	}
	for _, cause := range causes {
		s := refuseAll(t, cause)
		for offered, errors := range map[string]string{
			"":                    "",
			"ZWS2.0":              "",
			"WSNetMQ":             "",
			"ZWS2.0/NULL, ZWS2.0": "\x02\x05ERROR\x03400",
			"ZWS2.0/PLAIN":        "\x02^RROR\x03400",
			"ZWS2.0/CURVE":        "\x02\x05ERROR\x03400",
			"ZWS2.0+BEARER":       "\x02\x05ERROR\x03400",
		} {
			t.Run(fmt.Sprint(cause.Code, " ", offered), func(t *testing.T) {
				var header []string
				if offered != "" {
					header = append(header, offering(offered))
				}
				if cause.Status == 0 {
					header = append(header, "User-Agent: Go") // libzmq hears no close that is not final
				}
				p := s.dialRaw(t, "/", header...)
				if cause.Status != 0 && errors != "" {
					p.send("\x02\x05HELLO")
					p.expect(errors)
				}
				p.expectClose(cause.Code, cause.Reason)
			})
		}
		if p := s.dialRaw(t, "/", "Origin: http://evil.example", offering("ZWS2.0")); p.status() != 403 {
			t.Errorf("a foreign page was answered %q", p.head)
		}
	}
}

package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// der returns a self-signed certificate.
func der(t *testing.T, c x509.Certificate) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(4711)
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	b, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tls(frames ...[]byte) *zap.Request {
	return &zap.Request{Domain: "global", Mechanism: zap.TLS, Credentials: frames}
}

func TestUser(t *testing.T) {
	uri, err := url.Parse("spiffe://example.org/ada")
	if err != nil {
		t.Fatal(err)
	}
	all := x509.Certificate{
		Subject:        pkix.Name{CommonName: "Ada"},
		EmailAddresses: []string{"ada@example.org", "countess@example.org"},
		DNSNames:       []string{"ada.example.org"},
		URIs:           []*url.URL{uri},
	}
	noEmail, onlyCN := all, x509.Certificate{Subject: pkix.Name{CommonName: "Ada"}}
	noEmail.EmailAddresses = nil
	for name, c := range map[string]struct {
		from []Field
		cert x509.Certificate
		want string // "": refused
	}{
		"all":               {nil, all, "ada@example.org"},
		"no email":          {nil, noEmail, "ada.example.org"},
		"only a CN":         {nil, onlyCN, "Ada"},
		"nothing":           {nil, x509.Certificate{}, ""},
		"CN only":           {[]Field{CommonName}, all, "Ada"},
		"URI first":         {[]Field{URI, CommonName}, all, "spiffe://example.org/ada"},
		"URI, then CN":      {[]Field{URI, CommonName}, onlyCN, "Ada"},
		"URI only":          {[]Field{URI}, onlyCN, ""},
		"UTF-8":             {nil, x509.Certificate{Subject: pkix.Name{CommonName: "Zoë"}}, "Zoë"},
		"longest":           {nil, x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("a", MaxUser)}}, strings.Repeat("a", MaxUser)},
		"too long":          {nil, x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("a", MaxUser+1)}}, ""},
		"control character": {nil, x509.Certificate{Subject: pkix.Name{CommonName: "ada\nroot"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := New(Options{UserFrom: c.from})
			if err != nil {
				t.Fatal(err)
			}
			reply, err := a.Authenticate(t.Context(), tls(der(t, c.cert)))
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]zap.Status{true: zap.OK, false: zap.Refused}[c.want != ""]; reply.Status != want || reply.UserID != c.want {
				t.Errorf("status %d, user %q: %s", reply.Status, reply.UserID, reply.Text)
			}
		})
	}
}

func TestTime(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		from, to time.Time
		want     zap.Status
	}{
		"valid":   {now.Add(-time.Hour), now.Add(time.Hour), zap.OK},
		"expired": {now.Add(-2 * time.Hour), now.Add(-time.Hour), zap.Refused},
		"not yet": {now.Add(time.Hour), now.Add(2 * time.Hour), zap.Refused},
	} {
		cert := der(t, x509.Certificate{Subject: pkix.Name{CommonName: "ada"}, NotBefore: c.from, NotAfter: c.to})
		reply, err := a.Authenticate(t.Context(), tls(cert))
		if err != nil || reply.Status != c.want {
			t.Errorf("%s: reply %v, error %v", name, reply, err)
		}
		if want := strconv.FormatInt(c.to.Unix(), 10); c.want == zap.OK && reply.Metadata.Get("Expires") != want {
			t.Errorf("expires %q, want %s", reply.Metadata.Get("Expires"), want)
		}
	}
}

func TestOthers(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*zap.Request{
		"NULL":       {Mechanism: zap.NULL},
		"BEARER":     {Mechanism: zap.BEARER, Credentials: [][]byte{{1}}},
		"no frame":   tls(),
		"two frames": tls([]byte{1}, []byte{2}),
	} {
		if reply, err := a.Authenticate(t.Context(), r); !errors.Is(err, zap.ErrPass) {
			t.Errorf("%s: reply %v, error %v, want a pass", name, reply, err)
		}
	}
	if reply, err := a.Authenticate(t.Context(), tls([]byte("no certificate"))); err != nil || reply.Status != zap.Refused {
		t.Errorf("not DER: reply %v, error %v", reply, err)
	}
	if _, err := New(Options{UserFrom: []Field{"dn"}}); err == nil {
		t.Error("an unknown field: no error")
	}
}

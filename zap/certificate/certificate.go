// Package certificate is a ZAP authenticator for TLS client certificates that the TLS layer
// has verified.
package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Field is a place in a certificate where the user's name may stand.
type Field string

// The fields, each of which may stand in a certificate several times; the first counts.
const (
	Email      Field = "email" // subject alternative name, rfc822Name
	DNS        Field = "dns"   // subject alternative name, dNSName
	URI        Field = "uri"   // subject alternative name, uniformResourceIdentifier
	CommonName Field = "cn"    // subject, CN
)

// DefaultUserFrom is the order in which the fields are looked at: RFC 6125 has the subject
// alternative names go before the common name.
var DefaultUserFrom = []Field{Email, DNS, URI, CommonName}

// MaxUser is how many octets a user name may have.
const MaxUser = 255

// Options describe an [Authenticator].
type Options struct {
	// UserFrom are the fields that may name the user; the first that the certificate has
	// does. None means [DefaultUserFrom].
	UserFrom []Field
}

// Authenticator is a [zap.Handler]. It answers mechanism TLS, whose one credentials frame
// is a certificate in DER, with 200 and the user that the certificate names, and with 400
// where it is out of its time or names nobody. It passes everything else. It does not
// verify the chain of issuers: whoever makes the request has done so.
//
// The reply's metadata hold Expires, the end of the certificate's validity. An
// Authenticator has no state and is safe for concurrent use.
type Authenticator struct {
	userFrom []Field
}

// New checks the options.
func New(o Options) (*Authenticator, error) {
	for _, f := range o.UserFrom {
		if !slices.Contains(DefaultUserFrom, f) {
			return nil, fmt.Errorf("certificate: user from %q: want one of %q", f, DefaultUserFrom)
		}
	}
	if len(o.UserFrom) == 0 {
		o.UserFrom = DefaultUserFrom
	}
	return &Authenticator{slices.Clone(o.UserFrom)}, nil
}

// Authenticate decides on a TLS login.
func (a *Authenticator) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.TLS || len(req.Credentials) != 1 {
		return nil, zap.Pass("no client certificate")
	}
	refused := func(format string, args ...any) (*zap.Reply, error) {
		return &zap.Reply{Status: zap.Refused, Text: "client certificate " + fmt.Sprintf(format, args...)}, nil
	}
	cert, err := x509.ParseCertificate(req.Credentials[0])
	if err != nil {
		return refused("that cannot be read: %v", err)
	}
	switch now := time.Now(); {
	case now.Before(cert.NotBefore):
		return refused("that is not valid before %v", cert.NotBefore)
	case now.After(cert.NotAfter):
		return refused("that has expired at %v", cert.NotAfter)
	}
	user := a.user(cert)
	if err := checkUser(user); err != nil {
		return refused("of serial number %v: %v", cert.SerialNumber, err)
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Metadata: zap.Metadata{
		{Name: "Expires", Value: strconv.FormatInt(cert.NotAfter.Unix(), 10)},
	}}, nil
}

// user is the first value of the first field that the certificate has.
func (a *Authenticator) user(cert *x509.Certificate) string {
	for _, f := range a.userFrom {
		var values []string
		switch f {
		case Email:
			values = cert.EmailAddresses
		case DNS:
			values = cert.DNSNames
		case URI:
			for _, u := range cert.URIs {
				values = append(values, u.String())
			}
		case CommonName:
			values = []string{cert.Subject.CommonName}
		}
		if len(values) > 0 && values[0] != "" {
			return values[0]
		}
	}
	return ""
}

func checkUser(user string) error {
	switch {
	case user == "":
		return errors.New("it names no user in the fields that are looked at")
	case len(user) > MaxUser:
		return fmt.Errorf("user name of %d octets, at most %d", len(user), MaxUser)
	case !utf8.ValidString(user):
		return errors.New("user name that is not UTF-8")
	}
	for _, r := range user {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("user name %q with a character that does not print", user)
		}
	}
	return nil
}

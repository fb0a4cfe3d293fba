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

// Field is a field of a certificate that can hold the user id.
type Field string

// The fields. A certificate can have several values of each, of which the first is used.
const (
	Email      Field = "email" // subject alternative name, rfc822Name
	DNS        Field = "dns"   // subject alternative name, dNSName
	URI        Field = "uri"   // subject alternative name, uniformResourceIdentifier
	CommonName Field = "cn"    // subject, CN
)

// DefaultUserFrom is the default order of the fields. As in RFC 6125, subject alternative names
// come before the common name.
var DefaultUserFrom = []Field{Email, DNS, URI, CommonName}

// MaxUser is the longest user id in bytes.
const MaxUser = 255

// Options configures an [Authenticator].
type Options struct {
	// UserFrom are the fields to take the user id from; the first one that the certificate
	// has is used. None means [DefaultUserFrom].
	UserFrom []Field
}

// Authenticator is a [zap.Handler]. It answers mechanism TLS, whose credentials are one
// certificate in DER: with 200 and the user id from the certificate, or with 400 if the
// certificate is outside its validity period or has no usable user id. It passes every other
// request. It does not verify the chain of issuers, which the caller must have done.
//
// The property Expires of the reply's metadata is the end of the certificate's validity. An
// Authenticator has no state and is safe for concurrent use.
type Authenticator struct {
	userFrom []Field
}

// New checks the options. An unknown field is an error.
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

// Authenticate implements [zap.Handler].
func (a *Authenticator) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.TLS || len(req.Credentials) != 1 {
		return nil, zap.Pass("no client certificate")
	}
	refused := func(format string, args ...any) (*zap.Reply, error) {
		return &zap.Reply{Status: zap.Refused, Text: "client certificate " + fmt.Sprintf(format, args...)}, nil
	}
	cert, err := x509.ParseCertificate(req.Credentials[0])
	if err != nil {
		return refused("is malformed: %v", err)
	}
	switch now := time.Now(); {
	case now.Before(cert.NotBefore):
		return refused("is not valid before %v", cert.NotBefore)
	case now.After(cert.NotAfter):
		return refused("expired at %v", cert.NotAfter)
	}
	user := a.user(cert)
	if err := checkUser(user); err != nil {
		return refused("with serial number %v: %v", cert.SerialNumber, err)
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Metadata: zap.Metadata{
		{Name: "Expires", Value: strconv.FormatInt(cert.NotAfter.Unix(), 10)},
	}}, nil
}

// Guarded implements [zap.Guarded]: the key of a certificate cannot be guessed.
func (a *Authenticator) Guarded() {}

// user returns the first value of the first field that the certificate has, or "".
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
		return errors.New("none of the configured fields holds a user name")
	case len(user) > MaxUser:
		return fmt.Errorf("user name of %d bytes, at most %d", len(user), MaxUser)
	case !utf8.ValidString(user):
		return errors.New("user name is not UTF-8")
	}
	for _, r := range user {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("user name %q contains a character that is not printable", user)
		}
	}
	return nil
}

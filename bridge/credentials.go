package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// maxPassword bounds a password file, in octets; the password itself is what 24/ZMTP-PLAIN
// allows.
const maxPassword = 4 << 10

// login makes the credentials with which we log in at a backend for l. With
// `credentials = "client"` they are the client's own. Files are read anew each time, so
// that a changed password counts from the next session on. Errors are what the client is
// told.
func login(r *config.Route, e config.Endpoint, l *zws.Login) (zmtp.ClientSecurity, error) {
	if r.Credentials == config.CredentialsClient {
		return passedOn(l)
	}
	switch r.Mechanism {
	case zap.PLAIN:
		return plain(r, l)
	case zap.CURVE:
		return curve(r, e, l)
	}
	return zmtp.Null{}, nil
}

// passedOn makes a PLAIN login of the one that the client came with; a token is a password
// with an empty user name, as RabbitMQ takes it.
func passedOn(l *zws.Login) (zmtp.ClientSecurity, error) {
	switch {
	case l.Mechanism == zap.PLAIN && len(l.Credentials) == 2:
		return zmtp.Plain{User: string(l.Credentials[0]), Password: string(l.Credentials[1])}, nil
	case l.Mechanism == zap.BEARER && len(l.Credentials) == 1:
		if n := len(l.Credentials[0]); n > zmtp.MaxPlain {
			return nil, &zws.CloseError{Code: zws.CodeBackendRefused, Status: zap.Refused,
				Reason: fmt.Sprintf("a token of %d octets cannot be passed on to the backend: at most %d fit", n, zmtp.MaxPlain)}
		}
		return zmtp.Plain{Password: string(l.Credentials[0])}, nil
	}
	return nil, &zws.CloseError{Code: zws.CodeNotTaken, Status: zap.Refused,
		Reason: fmt.Sprintf("a %s login cannot be passed on to the backend: log in with PLAIN or BEARER", l.Mechanism)}
}

// plain reads the route's own user name and password.
func plain(r *config.Route, l *zws.Login) (zmtp.ClientSecurity, error) {
	user, err := fillUser(r.Username, l, false)
	if err != nil {
		return nil, err
	}
	file, err := fillUser(string(r.PasswordFile), l, true)
	if err != nil {
		return nil, err
	}
	if file == "" {
		return zmtp.Plain{User: user}, nil
	}
	text, err := certs.ReadPrivate(file, maxPassword)
	if err != nil {
		return nil, noCredentials(r, err)
	}
	password, _, _ := strings.Cut(string(text), "\n")
	return zmtp.Plain{User: user, Password: strings.TrimSuffix(password, "\r")}, nil
}

// curve reads the route's own key pair.
func curve(r *config.Route, e config.Endpoint, l *zws.Login) (zmtp.ClientSecurity, error) {
	name, err := fillUser(string(r.Cert), l, true)
	if err != nil {
		return nil, err
	}
	cert, err := certs.ReadSecret(name)
	if err != nil {
		return nil, noCredentials(r, err)
	}
	return zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: e.ServerKey}, nil
}

// noCredentials: what the route names cannot be read. If it is the user's own and does
// not exist, the user has no rights behind; else it is a fault of ours.
func noCredentials(r *config.Route, err error) error {
	if r.PerUser() && errors.Is(err, fs.ErrNotExist) {
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: "there are no credentials for this user at the backend", Err: err}
	}
	return &zws.CloseError{Code: zws.CodeInternal, Reason: "internal error", Err: err}
}

// placeholder is what stands for the user's name in a route.
const placeholder = "{user}"

// fillUser puts the user's name in the place of {user}. In a path, the name must stay one
// harmless element of it.
func fillUser(text string, l *zws.Login, path bool) (string, error) {
	if !strings.Contains(text, placeholder) {
		return text, nil
	}
	user := l.User()
	if user == "" || strings.ContainsRune(user, 0) || path && !harmless(user) {
		return "", &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: "this route is for users with a plain name of their own"}
	}
	return strings.ReplaceAll(text, placeholder, user), nil
}

// harmless tells whether a user name may be part of a file name: letters, digits and
// ._@+- only, and no leading dot.
func harmless(name string) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("._@+-", c):
		default:
			return false
		}
	}
	return !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, certs.SecretSuffix)
}

// readOptional reads a key pair that need not exist.
func readOptional(name string) (*certs.Certificate, error) {
	cert, err := certs.ReadSecret(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return cert, err
}

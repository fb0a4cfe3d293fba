package route

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// maxPasswordFile bounds a password file, in bytes.
const maxPasswordFile = 4 << 10

// credentials are how the bridge logs in at the backends of a route.
type credentials struct {
	passThrough  bool // the client's own
	mechanism    zap.Mechanism
	username     string // may hold {user}, as passwordFile and cert
	passwordFile string
	cert         string        // without suffix
	private      certs.Private // reads these files
	perUser      bool          // one of them does, or an endpoint
}

// security returns the credentials for a backend, on behalf of l, which is nil for a shared
// connection. Files are read each time, so that a changed password counts from the next
// connection on. Errors are *[zws.CloseError].
func (c *credentials) security(e Endpoint, l *zws.Login) (zmtp.ClientSecurity, error) {
	if c.passThrough {
		return passThrough(l)
	}
	switch c.mechanism {
	case zap.PLAIN:
		return c.plain(l)
	case zap.CURVE:
		return c.curve(e, l)
	}
	return zmtp.Null{}, nil
}

// passThrough makes a PLAIN login of the client's. A token becomes a password with an empty
// user name, as RabbitMQ takes it.
func passThrough(l *zws.Login) (zmtp.ClientSecurity, error) {
	switch {
	case l.Mechanism == zap.PLAIN && len(l.Credentials) == 2:
		return zmtp.Plain{User: string(l.Credentials[0]), Password: string(l.Credentials[1])}, nil
	case l.Mechanism == zap.BEARER && len(l.Credentials) == 1:
		if n := len(l.Credentials[0]); n > zmtp.MaxPlain {
			return nil, &zws.CloseError{Code: zws.CodeBackendRefused, Status: zap.Refused,
				Reason: fmt.Sprintf("a token of %d bytes cannot be passed on to the backend: at most %d fit", n, zmtp.MaxPlain)}
		}
		return zmtp.Plain{Password: string(l.Credentials[0])}, nil
	}
	return nil, &zws.CloseError{Code: zws.CodeNotTaken, Status: zap.Refused,
		Reason: fmt.Sprintf("a %s login cannot be passed on to the backend: log in with PLAIN or BEARER", l.Mechanism)}
}

func (c *credentials) plain(l *zws.Login) (zmtp.ClientSecurity, error) {
	user, err := fillUser(c.username, l, false)
	if err != nil {
		return nil, err
	}
	file, err := fillUser(c.passwordFile, l, true)
	if err != nil {
		return nil, err
	}
	if file == "" {
		return zmtp.Plain{User: user}, nil
	}
	text, err := c.private.Read(file, maxPasswordFile)
	if err != nil {
		return nil, c.unreadable(err)
	}
	password, _, _ := strings.Cut(string(text), "\n")
	return zmtp.Plain{User: user, Password: strings.TrimSuffix(password, "\r")}, nil
}

func (c *credentials) curve(e Endpoint, l *zws.Login) (zmtp.ClientSecurity, error) {
	name, err := fillUser(c.cert, l, true)
	if err != nil {
		return nil, err
	}
	cert, err := c.private.Certificate(name)
	if err != nil {
		return nil, c.unreadable(err)
	}
	return zmtp.Curve{Public: cert.Public, Secret: cert.Secret, ServerKey: e.ServerKey}, nil
}

// unreadable returns the refusal for a file that cannot be read: a user without a file of
// their own has no access to the backend, anything else is a fault of the bridge.
func (c *credentials) unreadable(err error) error {
	if c.perUser && errors.Is(err, fs.ErrNotExist) {
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: "there are no credentials for this user at the backend", Err: err}
	}
	return &zws.CloseError{Code: zws.CodeInternal, Reason: "internal error", Err: err}
}

// userPlaceholder stands for the user's name in a setting.
const userPlaceholder = "{user}"

// fillUser replaces {user} in a setting. In a path the name must be one harmless element.
func fillUser(text string, l *zws.Login, path bool) (string, error) {
	if !strings.Contains(text, userPlaceholder) {
		return text, nil
	}
	user := l.User()
	if user == "" || strings.ContainsRune(user, 0) || path && !harmless(user) {
		return "", forbidden("this route needs a user name of letters, digits and ._@+- only")
	}
	return strings.ReplaceAll(text, userPlaceholder, user), nil
}

// harmless reports whether a user name can be part of a file name: letters, digits and
// ._@+- only, no leading dot, and not the suffix of a secret key file.
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

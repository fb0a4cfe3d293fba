package zws

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The cookie and the query parameter that carry a BEARER token.
const (
	tokenCookie    = "zws_token"
	tokenParameter = "access_token"
)

// credentials come with an HTTP request or a login message, for dialects without a
// mechanism.
type credentials struct {
	mechanism zap.Mechanism // NULL without credentials
	frames    [][]byte
}

// handler asks h about c instead of the empty credentials of a NULL handshake.
func (c credentials) handler(h zap.Handler) zap.Handler {
	if c.mechanism == zap.NULL {
		return h
	}
	return zap.HandlerFunc(func(ctx context.Context, r *zap.Request) (*zap.Reply, error) {
		with := *r
		with.Mechanism, with.Credentials = c.mechanism, c.frames
		return h.Authenticate(ctx, &with)
	})
}

// presented is what a request has as credentials. err is set if they cannot be read, and
// mechanism is empty if nobody here could.
type presented struct {
	credentials
	err error
}

// httpCredentials reads the credentials of r. More than one kind is an error, and so is what
// cannot be read, 4400: a login must not silently turn into one without credentials.
//
// What the route cannot use can be meant for a proxy on the way, such as Authorization: Basic.
// It is ignored beside credentials that the route can use, and where the route uses neither
// passwords nor tokens.
//
// A browser sends cookies, Basic and client certificates by itself, whichever page asks.
// They only count if the page has the same origin or one that is listed by name.
func httpCredentials(r *http.Request, o *Options) (credentials, error) {
	var found, others []presented
	for _, p := range allCredentials(r, o) {
		if slices.Contains(o.Mechanisms, p.mechanism) {
			found = append(found, p)
		} else {
			others = append(others, p)
		}
	}
	if len(found) == 0 && (slices.Contains(o.Mechanisms, zap.PLAIN) || slices.Contains(o.Mechanisms, zap.BEARER)) {
		found = others
	}
	for _, p := range found {
		if p.err != nil {
			return credentials{}, p.err
		}
	}
	switch len(found) {
	case 0:
		return credentials{mechanism: zap.NULL}, nil
	case 1:
		return found[0].credentials, nil
	}
	return credentials{}, badCredentials("more than one kind of credentials in the request")
}

func allCredentials(r *http.Request, o *Options) []presented {
	ambient := originNamed(r, o)
	all := authorization(r, ambient)
	if ambient {
		all = append(all, cookieTokens(r)...)
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && slices.Contains(o.Mechanisms, zap.TLS) {
			all = append(all, presented{credentials: credentials{zap.TLS, [][]byte{r.TLS.PeerCertificates[0].Raw}}})
		}
	}
	if o.QueryToken {
		for _, token := range r.URL.Query()[tokenParameter] {
			all = append(all, presented{credentials: bearer(token)})
		}
	}
	return all
}

func bearer(token string) credentials {
	return credentials{zap.BEARER, [][]byte{[]byte(token)}}
}

func badCredentials(reason string) error {
	return &CloseError{Code: CodeRefused, Status: zap.Refused, Reason: reason}
}

// authorization reads the Authorization header. Basic only counts if basic is set.
func authorization(r *http.Request, basic bool) (found []presented) {
	for _, value := range r.Header.Values("Authorization") {
		scheme, rest, _ := strings.Cut(value, " ")
		var p presented
		switch rest = strings.TrimSpace(rest); {
		case strings.EqualFold(scheme, "Bearer"):
			if p.credentials = bearer(rest); rest == "" {
				p.err = badCredentials("Authorization: Bearer without a token")
			}
		case !strings.EqualFold(scheme, "Basic"):
			p.err = badCredentials("Authorization is neither Basic nor Bearer")
		case basic:
			user, password, ok := (&http.Request{Header: http.Header{"Authorization": {value}}}).BasicAuth()
			p.credentials = credentials{zap.PLAIN, [][]byte{[]byte(user), []byte(password)}}
			if !ok || len(user) > zmtp.MaxPlain || len(password) > zmtp.MaxPlain {
				p.err = badCredentials("Authorization: Basic is malformed, or longer than 255 bytes")
			}
		default:
			continue
		}
		found = append(found, p)
	}
	return found
}

// cookieTokens returns the tokens in cookies, without the empty one that a logout leaves.
func cookieTokens(r *http.Request) (found []presented) {
	for _, c := range r.CookiesNamed(tokenCookie) {
		if c.Value != "" {
			found = append(found, presented{credentials: bearer(c.Value)})
		}
	}
	return found
}

// peerAddress returns the IP address of the TCP connection, without a zone.
func peerAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

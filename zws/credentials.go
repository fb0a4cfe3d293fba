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

// httpCredentials reads the credentials of r. More than one kind is an error, and so is what
// cannot be read, 4400: a login must not silently turn into one without credentials.
//
// A browser sends cookies, Basic and client certificates by itself, whichever page asks.
// They only count if the page has the same origin or one that is listed by name.
func httpCredentials(r *http.Request, o *Options) (credentials, error) {
	var found []credentials
	ambient := originNamed(r, o)
	header, err := authorization(r, ambient)
	if err != nil {
		return credentials{}, err
	}
	found = append(found, header...)
	if ambient {
		if cookie := cookieTokens(r); len(cookie) > 0 {
			found = append(found, cookie...)
		}
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && slices.Contains(o.Mechanisms, zap.TLS) {
			found = append(found, credentials{zap.TLS, [][]byte{r.TLS.PeerCertificates[0].Raw}})
		}
	}
	if o.QueryToken {
		for _, token := range r.URL.Query()[tokenParameter] {
			found = append(found, bearer(token))
		}
	}
	switch len(found) {
	case 0:
		return credentials{mechanism: zap.NULL}, nil
	case 1:
		return found[0], nil
	}
	return credentials{}, badCredentials("more than one kind of credentials in the request")
}

func bearer(token string) credentials {
	return credentials{zap.BEARER, [][]byte{[]byte(token)}}
}

func badCredentials(reason string) error {
	return &CloseError{Code: CodeRefused, Status: zap.Refused, Reason: reason}
}

// authorization reads the Authorization header. Basic only counts if basic is set.
func authorization(r *http.Request, basic bool) ([]credentials, error) {
	var found []credentials
	for _, value := range r.Header.Values("Authorization") {
		scheme, rest, _ := strings.Cut(value, " ")
		switch rest = strings.TrimSpace(rest); {
		case strings.EqualFold(scheme, "Bearer"):
			if rest == "" {
				return nil, badCredentials("Authorization: Bearer without a token")
			}
			found = append(found, bearer(rest))
		case !strings.EqualFold(scheme, "Basic"):
			return nil, badCredentials("Authorization is neither Basic nor Bearer")
		case basic:
			user, password, ok := (&http.Request{Header: http.Header{"Authorization": {value}}}).BasicAuth()
			if !ok || len(user) > zmtp.MaxPlain || len(password) > zmtp.MaxPlain {
				return nil, badCredentials("Authorization: Basic is malformed, or longer than 255 bytes")
			}
			found = append(found, credentials{zap.PLAIN, [][]byte{[]byte(user), []byte(password)}})
		}
	}
	return found, nil
}

// cookieTokens returns the tokens in cookies, without the empty one that a logout leaves.
func cookieTokens(r *http.Request) []credentials {
	var found []credentials
	for _, c := range r.CookiesNamed(tokenCookie) {
		if c.Value != "" {
			found = append(found, bearer(c.Value))
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

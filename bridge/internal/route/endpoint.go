package route

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// allowedEndpoints is endpoints_allowed: where endpoints with placeholders may lead.
type allowedEndpoints []allowedEndpoint

type allowedEndpoint struct {
	pattern *regexp.Regexp
	literal bool // no wildcard, so that any address is permitted
}

// maxValue bounds a value in an endpoint, in bytes: a label of a host name.
const maxValue = 63

// valuePattern is what a value in an endpoint, and a star in endpoints_allowed, can be.
const valuePattern = `[A-Za-z0-9-]+`

var validValue = regexp.MustCompile(`\A` + valuePattern + `\z`)

func newAllowedEndpoints(list []string) allowedEndpoints {
	var all allowedEndpoints
	for _, text := range list {
		literals := strings.Split(text, "*")
		for i, literal := range literals {
			literals[i] = regexp.QuoteMeta(literal)
		}
		all = append(all, allowedEndpoint{
			pattern: regexp.MustCompile(`\A` + strings.Join(literals, valuePattern) + `\z`),
			literal: len(literals) == 1,
		})
	}
	return all
}

// lists reports whether address, which has no placeholders, is among the endpoints.
func (a allowedEndpoints) lists(address string) bool {
	return slices.ContainsFunc(a, func(e allowedEndpoint) bool { return e.pattern.MatchString(address) })
}

// resolve fills in the placeholders of an endpoint for a login. permit is what the resolved
// IP address is checked with; nil permits any. A login without a value for each placeholder,
// or with one that leads elsewhere, is refused.
func (a allowedEndpoints) resolve(endpoint string, l *zws.Login) (address string, permit func(netip.AddrPort) error, err error) {
	if !strings.Contains(endpoint, "{") {
		return endpoint, nil, nil
	}
	if address, err = fill(endpoint, l); err != nil {
		return "", nil, noBackend(err)
	}
	switch {
	case !a.lists(address):
		return "", nil, noBackend(fmt.Errorf("endpoint %s is not in endpoints_allowed", address))
	case slices.ContainsFunc(a, func(e allowedEndpoint) bool { return e.literal && e.pattern.MatchString(address) }):
		return address, nil, nil
	}
	return address, permitRemote, nil
}

func noBackend(err error) error {
	return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
		Reason: "this route has no backend for this user", Err: err}
}

// fill replaces {user}, {meta.NAME} and {claim.NAME} by the login's values.
func fill(endpoint string, l *zws.Login) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(endpoint, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}")
		value := placeholderValue(name, l)
		if len(value) > maxValue || !validValue.MatchString(value) {
			return "", fmt.Errorf("{%s} is %q: want one value of 1 to %d letters, digits and -", name, value, maxValue)
		}
		b.WriteString(value)
		endpoint = after
	}
}

// placeholderValue returns the login's value for a placeholder; empty if it has none or
// several.
func placeholderValue(placeholder string, l *zws.Login) string {
	kind, name, _ := strings.Cut(placeholder, ".")
	switch kind {
	case "user":
		return l.User()
	case "meta":
		return l.Reply.Metadata.Get(name)
	case "claim":
		if values := l.Reply.Claims[name]; len(values) == 1 {
			return values[0]
		}
	}
	return ""
}

// errDisallowedAddress: the client's values lead to an address that only a literal entry of
// endpoints_allowed may lead to.
var errDisallowedAddress = errors.New("disallowed address: a name with a placeholder resolves to this machine or link, and endpoints_allowed does not list it literally")

// permitRemote keeps endpoints that depend on the client away from loopback and link-local
// addresses, whatever the name resolves to.
func permitRemote(a netip.AddrPort) error {
	ip := a.Addr().Unmap()
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
		return fmt.Errorf("%w: %s", errDisallowedAddress, ip)
	}
	return nil
}

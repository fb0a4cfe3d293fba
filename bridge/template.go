package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// allowedEndpoints is endpoints_allowed: where endpoints may lead that depend on who the
// client is.
type allowedEndpoints []allowedEndpoint

type allowedEndpoint struct {
	pattern *regexp.Regexp
	listed  bool // the host stands there in full, so that it may be any
}

// maxValue is how long a value in an endpoint may be: a label of a host name, in octets.
const maxValue = 63

// fillable is what a value in an endpoint, and a star in endpoints_allowed, may be.
const fillable = `[A-Za-z0-9-]+`

var fills = regexp.MustCompile(`\A` + fillable + `\z`)

func newAllowedEndpoints(list []string) allowedEndpoints {
	var all allowedEndpoints
	for _, text := range list {
		literals := strings.Split(text, "*")
		for i, literal := range literals {
			literals[i] = regexp.QuoteMeta(literal)
		}
		all = append(all, allowedEndpoint{
			pattern: regexp.MustCompile(`\A` + strings.Join(literals, fillable) + `\z`),
			listed:  len(literals) == 1,
		})
	}
	return all
}

// reach fills in the placeholders of an endpoint for a login and returns where that leads.
// permit is what the resolved address is to be asked about; nil if it may be any. A login
// without a value for each placeholder, or with one that leads elsewhere, is refused.
func (a allowedEndpoints) reach(endpoint string, l *zws.Login) (address string, permit func(netip.AddrPort) error, err error) {
	if !config.HasPlaceholder(endpoint) {
		return endpoint, nil, nil
	}
	if address, err = fill(endpoint, l); err != nil {
		return "", nil, notReached(err)
	}
	matches := func(e allowedEndpoint) bool { return e.pattern.MatchString(address) }
	switch {
	case !slices.ContainsFunc(a, matches):
		return "", nil, notReached(fmt.Errorf("endpoint %s is not in endpoints_allowed", address))
	case slices.ContainsFunc(a, func(e allowedEndpoint) bool { return e.listed && matches(e) }):
		return address, nil, nil
	}
	return address, abroad, nil
}

func notReached(err error) error {
	return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
		Reason: "there is no backend for this user on this route", Err: err}
}

// fill puts the login's values in the place of {user}, {meta.NAME} and {claim.NAME}.
func fill(endpoint string, l *zws.Login) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(endpoint, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}")
		value := valueOf(name, l)
		if len(value) > maxValue || !fills.MatchString(value) {
			return "", fmt.Errorf("{%s} stands for %q: want one value of 1 to %d letters, digits and -", name, value, maxValue)
		}
		b.WriteString(value)
		endpoint = after
	}
}

// valueOf is what a placeholder stands for; empty for none, and for several.
func valueOf(placeholder string, l *zws.Login) string {
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

// errAbroad: what is filled in leads to where only what is listed in full may lead.
var errAbroad = errors.New("a name that was filled in leads to this machine or this link, which endpoints_allowed does not list")

// abroad keeps endpoints that depend on the client away from loopback and link-local
// addresses, whatever the name resolves to.
func abroad(a netip.AddrPort) error {
	ip := a.Addr().Unmap()
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
		return fmt.Errorf("%w: %s", errAbroad, ip)
	}
	return nil
}

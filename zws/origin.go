package zws

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origin is an origin (RFC 6454) in the form that browsers send, with the port spelled out.
type origin struct{ scheme, host, port string }

// parseOrigin parses scheme://host[:port]. ok is false for every other text, "null" included.
func parseOrigin(text string) (o origin, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || !strings.EqualFold(u.Scheme+"://"+u.Host, text) || strings.HasSuffix(u.Host, ":") {
		return origin{}, false
	}
	return originOf(u.Scheme, u.Host), true
}

// originOf returns the origin of a page that was loaded from a host, with or without a port.
func originOf(scheme, hostport string) origin {
	u := url.URL{Host: hostport}
	o := origin{strings.ToLower(scheme), strings.ToLower(u.Hostname()), u.Port()}
	if o.port == "" {
		o.port = map[string]string{"http": "80", "https": "443"}[o.scheme]
	}
	return o
}

// wildcard is how the host of an entry for all hosts below a domain begins.
const wildcard = "*."

// ValidOrigin reports whether text can be an entry of Options.Origins.
func ValidOrigin(text string) bool {
	if text == "*" {
		return true
	}
	o, ok := parseOrigin(text)
	domain, wild := strings.CutPrefix(o.host, wildcard)
	if !ok || wild && strings.Trim(domain, "0123456789.") == "" { // an address has no hosts below it
		return false
	}
	return !strings.ContainsFunc(domain, func(r rune) bool { return r == '*' || r <= ' ' || r > '~' })
}

// MatchOrigin reports whether the value of an Origin header is one of those in origins, which
// are as in Options.Origins, and whether it is listed by name: not by "*" or another wildcard.
func MatchOrigin(origins []string, header string) (allowed, named bool) {
	o, ok := parseOrigin(header)
	for _, entry := range origins {
		if entry == "*" {
			allowed = true
			continue
		}
		listed, valid := parseOrigin(entry)
		domain, wild := strings.CutPrefix(listed.host, wildcard)
		switch {
		case !ok || !valid || listed.scheme != o.scheme || listed.port != o.port:
		case !wild && listed.host == o.host:
			return true, true
		case wild && len(o.host) > len(domain)+1 && strings.HasSuffix(o.host, "."+domain):
			allowed = true
		}
	}
	return allowed, false
}

// originAllowed reports whether r may be upgraded: it does not come from a page, or from one
// with the same origin or one of o.Origins.
func originAllowed(r *http.Request, o *Options) bool {
	if originNamed(r, o) || slices.Contains(o.Origins, "*") {
		return true
	}
	values := r.Header.Values("Origin")
	if len(values) != 1 {
		return false
	}
	allowed, _ := MatchOrigin(o.Origins, values[0])
	return allowed
}

// originNamed is originAllowed without wildcards.
func originNamed(r *http.Request, o *Options) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	if _, named := MatchOrigin(o.Origins, values[0]); named {
		return true
	}
	from, ok := parseOrigin(values[0])
	if !ok || from != originOf(from.scheme, r.Host) {
		return false
	}
	// A page that was loaded without TLS can come from anybody, whatever its host is.
	return from.scheme == "https" || from.scheme == "http" && !o.Secure
}

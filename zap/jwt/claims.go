package jwt

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// MaxUser is the longest user id in bytes, as for a string of 27/ZAP.
const MaxUser = 255

// user returns the user id, and the claim that holds it: the first of the preferred claims, sub
// and client_id that is a string and not empty.
func (t *token) user(preferred []string) (name, claim string, err error) {
	for _, claim := range slices.Concat(preferred, []string{"sub", "client_id"}) {
		name := t.text(claim)
		if name == "" {
			continue
		}
		if len(name) > MaxUser || strings.ContainsFunc(name, unicode.IsControl) {
			return "", claim, fmt.Errorf("%s contains a user name of more than %d bytes or with control characters", claim, MaxUser)
		}
		return name, claim, nil
	}
	return "", "", errors.New("no claim contains a user name")
}

// dig follows a dotted path into nested objects, and into every member of a list. It returns the
// values at its ends.
func dig(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	if list, ok := v.([]any); ok {
		var found []any
		for _, e := range list {
			found = append(found, dig(e, path)...)
		}
		return found
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	// A name may contain dots itself, as URLs do: the longest match is used.
	for n := len(path); n > 0; n-- {
		if member, ok := object[strings.Join(path[:n], ".")]; ok {
			return dig(member, path[n:])
		}
	}
	return nil
}

// flatten returns the values of claims for patterns. Members of objects have dotted names.
func flatten(claims map[string]any) map[string][]string {
	flat := make(map[string][]string)
	var add func(name string, v any)
	add = func(name string, v any) {
		var text string
		switch v := v.(type) {
		case string:
			text = v
		case json.Number:
			text = v.String()
		case bool:
			text = strconv.FormatBool(v)
		case []any:
			for _, e := range v {
				add(name, e)
			}
			return
		case map[string]any:
			for member, e := range v {
				add(name+"."+member, e)
			}
			return
		default:
			return
		}
		flat[name] = append(flat[name], text)
	}
	for name, v := range claims {
		add(name, v)
	}
	return flat
}

// collection collects the scopes of a token.
type collection struct {
	prefix  string
	aliases map[string][]string
	server  string // the resource server's id
	note    tracer
	scopes  []scope
	texts   map[string]bool // already parsed
	scoped  bool            // something in the token is meant for this resource server
}

// errScopes is the error for a token with more than [MaxScopes].
var errScopes = fmt.Errorf("more than %d scopes", MaxScopes)

// add adds a scope, up to one more than allowed.
func (c *collection) add(s scope) {
	if len(c.scopes) <= MaxScopes {
		c.scopes = append(c.scopes, s)
	}
}

// collect returns the grant from the scopes in the claims that the options name. scoped is
// false if none of them is meant for this resource server, not even an invalid one.
func (o *Options) collect(t *token, note tracer) (p *permissions, scoped bool, err error) {
	c := &collection{
		prefix: o.ScopePrefix, aliases: o.ScopeAliases, server: o.ResourceServerID,
		note: note, texts: make(map[string]bool),
	}
	if !o.ReplaceScopes || o.ExtraScopesSource == "" {
		c.claim("scope", t.claims["scope"])
	}
	if o.ExtraScopesSource != "" {
		for _, v := range dig(t.claims, strings.Split(o.ExtraScopesSource, ".")) {
			c.claim(o.ExtraScopesSource, v)
		}
	}
	if o.ResourceServerType != "" {
		c.details(t.claims["authorization_details"], o.ResourceServerType, o.ResourceServerID)
	}
	if len(c.scopes) > MaxScopes || len(c.texts) > MaxScopes {
		return nil, false, errScopes
	}
	return &permissions{c.scopes, o.StrictTopics}, c.scoped, nil
}

// claim adds the scopes in a claim: a string with scopes separated by spaces (RFC 6749, section
// 3.3), a list of strings that are one scope each, even with spaces, or an object that has
// either under the resource server's id, without the prefix.
func (c *collection) claim(name string, v any) {
	prefix := ""
	if object, ok := v.(map[string]any); ok {
		var ours bool
		if v, ours = object[c.server]; ours {
			c.scoped = true
		}
		prefix = c.prefix
	}
	list, ok := v.([]any)
	if text, isText := v.(string); isText {
		for word := range strings.SplitSeq(text, " ") {
			if word != "" {
				list = append(list, word)
			}
		}
	} else if !ok && v != nil {
		c.note.note(false, name, "is neither a string nor a list of strings: ignored")
	}
	for _, e := range list {
		if text, ok := e.(string); ok {
			c.text(name, prefix+text)
		} else {
			c.note.note(false, name, "has a member that is not a string: ignored")
		}
	}
}

// text adds one scope in the token: those that it is an alias for, and itself.
func (c *collection) text(claim, text string) {
	if c.texts[text] || len(c.texts) > MaxScopes {
		return
	}
	c.texts[text] = true
	aliases := c.aliases[text]
	if len(aliases) > 0 {
		c.note.note(true, claim, "%.100q: is an alias of %q", text, aliases)
	}
	for _, alias := range aliases {
		c.scope(claim, alias)
	}
	if len(aliases) == 0 || strings.HasPrefix(text, c.prefix) {
		c.scope(claim, text)
	}
}

// scope adds one scope with its prefix. It does not resolve aliases.
func (c *collection) scope(claim, text string) {
	rest, ok := strings.CutPrefix(text, c.prefix)
	if !ok {
		c.note.note(false, claim, "%.100q: does not begin with %q: ignored", text, c.prefix)
		return
	}
	s, err := parseScope(rest)
	// Without a prefix every scope begins with it: then it takes a permission of ours.
	word, _, _ := strings.Cut(rest, ":")
	c.scoped = c.scoped || c.prefix != "" || validPermission(word)
	if err != nil {
		c.note.note(false, claim, "%.100q: %v: ignored", text, err)
		return
	}
	c.add(s)
	c.note.note(true, claim, "%.100q: grants %s", text, s)
}

package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// MaxScopes is the largest number of scopes in a token, with aliases and authorization details
// resolved. A token with more is refused.
const MaxScopes = 2048

// The permissions that a scope can give.
const (
	permRead      = "read"
	permWrite     = "write"
	permConfigure = "configure"
	permTag       = "tag"
)

// scope is one permission, without the prefix of its resource server.
type scope struct {
	permission    string
	domain, route zap.Glob
	topic         zap.Glob //  nil if the scope names none
	tag           string   // of permTag
}

// parseScope parses a scope without its prefix. The error is the reason why it is ignored.
func parseScope(text string) (scope, error) {
	permission, rest, ok := strings.Cut(text, ":")
	if !ok {
		return scope{}, errors.New("no colon after the permission")
	}
	s := scope{permission: permission}
	switch permission {
	case permTag:
		if s.tag = rest; !validTag(rest) {
			return scope{}, errors.New("tag is not a word of printable ASCII")
		}
		return s, nil
	case permRead, permWrite, permConfigure:
	default:
		return scope{}, errors.New("unknown permission, want read, write, configure or tag")
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 2 && len(parts) != 3 {
		return scope{}, fmt.Errorf("%d parts, want domain/route or domain/route/topic", len(parts))
	}
	for i, into := range []*zap.Glob{&s.domain, &s.route, &s.topic}[:len(parts)] {
		var err error
		if *into, err = parseGlob(parts[i]); err != nil {
			return scope{}, err
		}
	}
	return s, nil
}

// validPermission reports whether word is one of the permissions.
func validPermission(word string) bool {
	return slices.Contains([]string{permRead, permWrite, permConfigure, permTag}, word)
}

// validTag reports whether a tag is valid: tags are separated by spaces in metadata.
func validTag(tag string) bool {
	return tag != "" && !strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r > '~' })
}

// parseGlob splits the text at its stars and decodes the parts, so that %2A is a literal star.
func parseGlob(text string) (zap.Glob, error) {
	g := zap.Glob(strings.Split(text, "*"))
	for i, literal := range g {
		var err error
		if g[i], err = url.PathUnescape(literal); err != nil {
			return nil, errors.New("% is not followed by two hexadecimal digits")
		}
	}
	return g, nil
}

// anything matches everything.
var anything = zap.Glob{"", ""}

// permissions implements [zap.Grant] with the scopes of a token.
type permissions struct {
	scopes []scope
	strict bool // a scope without a topic permits no topics
}

// In reports whether a scope with any permission is for the domain, as RabbitMQ decides on
// access to a vhost.
func (p *permissions) In(_ context.Context, domain string) (bool, error) {
	return slices.ContainsFunc(p.scopes, func(s scope) bool {
		return s.permission != permTag && s.domain.Match([]byte(domain))
	}), nil
}

// On returns the union of what the scopes grant for a route of a domain.
func (p *permissions) On(_ context.Context, domain, route string) (zap.Access, error) {
	var a zap.Access
	for _, s := range p.scopes {
		if s.permission == permTag || !s.domain.Match([]byte(domain)) || !s.route.Match([]byte(route)) {
			continue
		}
		topic := s.topic
		if topic == nil && !p.strict {
			topic = anything
		}
		switch s.permission {
		case permRead:
			a.Read, a.Receive = true, appendTopic(a.Receive, topic)
		case permWrite:
			a.Write, a.Send = true, appendTopic(a.Send, topic)
		}
	}
	return a, nil
}

func appendTopic(topics []zap.Glob, topic zap.Glob) []zap.Glob {
	if topic == nil {
		return topics
	}
	return append(topics, topic)
}

// equal reports whether two grants are the same.
func (p *permissions) equal(q *permissions) bool {
	same := func(a, b scope) bool {
		return a.permission == b.permission && a.tag == b.tag && slices.Equal(a.domain, b.domain) &&
			slices.Equal(a.route, b.route) && (a.topic == nil) == (b.topic == nil) && slices.Equal(a.topic, b.topic)
	}
	return p.strict == q.strict && slices.EqualFunc(p.scopes, q.scopes, same)
}

// tags returns the tags in the scopes, without duplicates.
func (p *permissions) tags() (tags []string) {
	for _, s := range p.scopes {
		if s.permission == permTag && !slices.Contains(tags, s.tag) {
			tags = append(tags, s.tag)
		}
	}
	return tags
}

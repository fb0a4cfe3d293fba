package jwt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// locationNames maps the names in a location of authorization_details, ours and RabbitMQ's, to
// ours.
var locationNames = map[string]string{
	"cluster": "cluster",
	"domain":  "domain", "vhost": "domain",
	"route": "route", "queue": "route", "exchange": "route",
	"topic": "topic", "routing-key": "topic",
}

// tagActions are RabbitMQ's actions that are tags without the prefix "tag:".
var tagActions = []string{"administrator", "monitoring", "management", "policymaker"}

// details adds the scopes in the claim authorization_details (RFC 9396, section 2) that are for
// the resource server with the given type and id.
func (c *collection) details(claim any, kind, id string) {
	list, ok := claim.([]any)
	if !ok {
		if claim != nil {
			c.note.note(false, "authorization_details", "is not a list: ignored")
		}
		return
	}
	for i, e := range list {
		subject := fmt.Sprintf("authorization_details[%d]", i)
		object, ok := e.(map[string]any)
		if !ok || object["type"] != kind {
			c.note.note(false, subject, "is not of type %q: ignored", kind)
			continue
		}
		c.scoped = true
		locations, ok1 := stringList(object["locations"])
		actions, ok2 := stringList(object["actions"])
		if !ok1 || !ok2 {
			c.note.note(false, subject, "locations and actions must be strings or lists of strings: ignored")
			continue
		}
		for _, location := range locations {
			c.location(subject, location, actions, id)
		}
	}
}

// location adds the scopes of one location and its actions.
func (c *collection) location(subject, text string, actions []string, id string) {
	l, err := parseLocation(text)
	if err != nil {
		c.note.note(false, subject, "location %.100q: %v: ignored", text, err)
		return
	}
	if !l.cluster.Match([]byte(id)) {
		c.note.note(false, subject, "location %.100q: not for cluster %q: ignored", text, id)
		return
	}
	for _, action := range actions {
		s := l.scope
		tag, isTag := strings.CutPrefix(action, permTag+":")
		switch {
		case slices.Contains([]string{permRead, permWrite, permConfigure}, action):
			s.permission = action
		case slices.Contains(tagActions, action), isTag && validTag(tag):
			s = scope{permission: permTag, tag: tag}
			if !isTag {
				s.tag = action
			}
		default:
			c.note.note(false, subject, "action %.50q: unknown: ignored", action)
			continue
		}
		c.add(s)
		c.note.note(true, subject, "location %.100q: grants %s", text, s)
	}
}

// place is a location of authorization_details.
type place struct {
	cluster zap.Glob
	scope   // without a permission
}

// parseLocation parses "cluster:ID/domain:D/route:R/topic:T". Unknown names are ignored. What is
// left out matches anything, except the cluster, which is required.
func parseLocation(text string) (place, error) {
	p := place{scope: scope{domain: anything, route: anything, topic: anything}}
	seen := make(map[string]string)
	for part := range strings.SplitSeq(text, "/") {
		name, value, ok := strings.Cut(part, ":")
		known := locationNames[name]
		if !ok || known == "" {
			continue
		}
		// RabbitMQ accepts a queue and an exchange only if they are the same.
		if other, twice := seen[known]; twice && other != value {
			return place{}, fmt.Errorf("two values for the %s", known)
		}
		seen[known] = value
		g, err := parseGlob(value)
		if err != nil {
			return place{}, err
		}
		switch known {
		case "cluster":
			p.cluster = g
		case "domain":
			p.domain = g
		case "route":
			p.route = g
		case "topic":
			p.topic = g
		}
	}
	if p.cluster == nil {
		return place{}, errors.New("no cluster")
	}
	return p, nil
}

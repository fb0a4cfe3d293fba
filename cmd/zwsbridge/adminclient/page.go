package adminclient

import (
	"encoding/json"
	"net/url"
	"slices"
)

// sessionPage is an answer to GET /sessions: an object, or of a bridge without pages the list of all
// sessions, which it does not filter.
type sessionPage struct {
	Sessions []json.RawMessage
	Next     string // for ?after=; empty if there are no more
	all      bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *sessionPage) UnmarshalJSON(b []byte) error {
	if p.all = b[0] == '['; p.all {
		return json.Unmarshal(b, &p.Sessions)
	}
	var page struct {
		Sessions []json.RawMessage `json:"sessions"`
		Next     string            `json:"next"`
	}
	err := json.Unmarshal(b, &page)
	p.Sessions, p.Next = page.Sessions, page.Next
	return err
}

// filter removes what the query does not ask for.
func (p *sessionPage) filter(query url.Values) {
	user, route := query.Get("user"), query.Get("route")
	p.Sessions = slices.DeleteFunc(p.Sessions, func(object json.RawMessage) bool {
		var s struct{ User, Route string }
		err := json.Unmarshal(object, &s)
		return err != nil || user != "" && s.User != user || route != "" && s.Route != route
	})
}

package admin

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
)

// maxLimit is how many sessions one answer has at most if it is limited.
const maxLimit = 1000

// SessionList is the answer to GET /sessions.
type SessionList struct {
	Total    int       `json:"total"`    // sessions on the bridge
	Matching int       `json:"matching"` // of them, those that the query asks for
	Sessions []Session `json:"sessions"`
	Next     string    `json:"next,omitempty"` // for ?after=; empty if there are no more
}

// sessionOrders compare sessions by the names that ?sort= takes.
var sessionOrders = map[string]func(a, b *sortKey) int{
	"session": func(_, _ *sortKey) int { return 0 }, // by the number alone
	"user":    byText,
	"route":   byText,
	"address": byText,
	"queue":   byNumber,
	"lag":     byNumber,
	"dropped": byNumber,
}

func byText(a, b *sortKey) int   { return cmp.Compare(a.Text, b.Text) }
func byNumber(a, b *sortKey) int { return cmp.Compare(a.Number, b.Number) }

// sortKey is the place of a session in a sorted list. The number of the session makes it unique. As a
// cursor it is the place after which the next page begins: it stays valid when the session that had it
// ends, and no session is twice on two pages or on none of them unless its own value changes.
type sortKey struct {
	Sort    string  `json:"sort"`
	Text    string  `json:"text,omitempty"`
	Number  float64 `json:"number,omitempty"`
	Session uint64  `json:"session"`
}

func keyOf(s *Session, sort string) sortKey {
	k := sortKey{Sort: sort, Session: s.Number}
	switch strings.TrimPrefix(sort, "-") {
	case "user":
		k.Text = s.User
	case "route":
		k.Text = s.Route
	case "address":
		k.Text = s.Address
	case "queue":
		k.Number = float64(s.Bytes)
	case "lag":
		k.Number = s.Lag
	case "dropped":
		k.Number = float64(s.Dropped)
	}
	return k
}

func (k *sortKey) cursor() string {
	text, _ := json.Marshal(k) // nothing in it can fail
	return base64.RawURLEncoding.EncodeToString(text)
}

// sessionQuery is what GET /sessions asks for.
type sessionQuery struct {
	user, route, search string
	address             netip.Prefix // not valid: all
	sort                string
	descending          bool
	compare             func(a, b *sortKey) int
	limit               int // 0 = all
	after               *sortKey
}

var sessionParameters = []string{"user", "route", "address", "search", "sort", "limit", "after"}

func parseSessionQuery(v url.Values) (*sessionQuery, error) {
	q := &sessionQuery{
		user: printable.Name(printable.ParseName(v.Get("user"))), route: v.Get("route"), search: strings.ToLower(v.Get("search")),
		sort: cmp.Or(v.Get("sort"), "session"),
	}
	if v.Get("user") == "" {
		q.user = ""
	}
	if text := v.Get("address"); text != "" {
		if q.address = parseNetwork(text); !q.address.IsValid() {
			return nil, fmt.Errorf("address %.60q: want an IP address or a network such as 10.0.0.0/8", text)
		}
	}
	name, descending := strings.CutPrefix(q.sort, "-")
	if q.compare, q.descending = sessionOrders[name], descending; q.compare == nil {
		return nil, fmt.Errorf("unknown sort %.60q (one of session, user, route, address, queue, lag, dropped; with - in front for the largest first)", q.sort)
	}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return nil, fmt.Errorf("limit %.60q: want a number from 1 to %d", text, maxLimit)
		}
		q.limit = n
	}
	if text := v.Get("after"); text != "" {
		cursor, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(cursor, &q.after) != nil || q.after == nil || q.after.Sort != q.sort {
			return nil, fmt.Errorf("after %.60q: want next of an earlier answer with the same sort", text)
		}
	}
	return q, nil
}

// parseNetwork returns a network, or that of a single address; not valid if text is neither.
func parseNetwork(text string) netip.Prefix {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
	}
	return netip.Prefix{}
}

func (q *sessionQuery) matches(s *Session) bool {
	return (q.user == "" || s.User == q.user) &&
		(q.route == "" || s.Route == q.route) &&
		(!q.address.IsValid() || q.address.Contains(clientaddr.Parse(s.Address))) &&
		(q.search == "" || strings.Contains(strings.ToLower(s.User+"\n"+s.Route+"\n"+s.Address+"\n"+s.Dialect), q.search))
}

// order compares two places in the order that the query asks for.
func (q *sessionQuery) order(a, b *sortKey) int {
	n := cmp.Or(q.compare(a, b), cmp.Compare(a.Session, b.Session))
	if q.descending {
		return -n
	}
	return n
}

// of returns what the query asks for of all sessions.
func (q *sessionQuery) of(all []Session) *SessionList {
	type item struct {
		key     sortKey
		session *Session
	}
	list := &SessionList{Total: len(all), Sessions: []Session{}}
	var rest []item // what comes after the cursor
	for i := range all {
		if s := &all[i]; q.matches(s) {
			list.Matching++
			if k := keyOf(s, q.sort); q.after == nil || q.order(&k, q.after) > 0 {
				rest = append(rest, item{k, s})
			}
		}
	}
	slices.SortFunc(rest, func(a, b item) int { return q.order(&a.key, &b.key) })
	if q.limit > 0 && len(rest) > q.limit {
		rest = rest[:q.limit]
		list.Next = rest[len(rest)-1].key.cursor()
	}
	for _, i := range rest {
		list.Sessions = append(list.Sessions, *i.session)
	}
	return list
}

func (a *admin) serveSessions(w http.ResponseWriter, r *http.Request, _ *operator) {
	q, err := parseSessionQuery(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, q.of(a.bridge.Sessions()))
}

// checkQuery answers a request whose query has a parameter that is not one of names, or has one twice,
// and reports false: an operator who misspells a filter must not take all for what was asked for.
func checkQuery(w http.ResponseWriter, r *http.Request, names []string) bool {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		http.Error(w, "query: "+err.Error(), http.StatusBadRequest)
		return false
	}
	for name, list := range values {
		switch {
		case !slices.Contains(names, name):
			want := "no parameters"
			if len(names) > 0 {
				want = "one of " + strings.Join(names, ", ")
			}
			http.Error(w, fmt.Sprintf("unknown parameter %.60q (%s)", name, want), http.StatusBadRequest)
			return false
		case len(list) > 1:
			http.Error(w, fmt.Sprintf("parameter %q is given %d times: want one", name, len(list)), http.StatusBadRequest)
			return false
		}
	}
	return true
}

package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// someSessions are six sessions of four users on two routes.
func someSessions() []Session {
	since := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	return []Session{
		{Number: 1, User: "bob", Route: "/d", Address: "192.0.2.1", Dialect: "ZWS2.0/PLAIN", Since: since, Bytes: 10},
		{Number: 2, User: "alice", Route: "/d", Address: "192.0.2.2", Dialect: "ZWS2.0", Since: since, Bytes: 30, Lag: 2},
		{Number: 3, User: "alice", Route: "/e", Address: "10.1.2.3", Dialect: "ZWS2.0", Since: since, Dropped: 7},
		{Number: 4, User: "Carol", Route: "/e", Address: "2001:db8::1", Dialect: "JSON", Since: since, Bytes: 30},
		{Number: 5, User: "", Route: "/d", Address: "10.1.2.3", Dialect: "ZWS2.0", Since: since, Lag: 1},
		{Number: 6, User: `"\xff"`, Route: "/d", Address: "192.0.2.1", Dialect: "ZWS2.0", Since: since},
	}
}

func numbersOf(list []Session) []uint64 {
	numbers := []uint64{}
	for _, s := range list {
		numbers = append(numbers, s.Number)
	}
	return numbers
}

// TestSessionQuery checks which sessions a query returns, and in which order.
func TestSessionQuery(t *testing.T) {
	for _, tc := range []struct {
		query    string
		want     []uint64
		matching int
		more     bool
	}{
		{"", []uint64{1, 2, 3, 4, 5, 6}, 6, false},
		{"user=alice", []uint64{2, 3}, 2, false},
		{"user=Alice", []uint64{}, 0, false},
		{"user=%22%5Cxff%22", []uint64{6}, 1, false}, // the form that the list shows
		{"user=%FF", []uint64{6}, 1, false},          // the name itself
		{"route=/e", []uint64{3, 4}, 2, false},
		{"address=10.1.2.3", []uint64{3, 5}, 2, false},
		{"address=192.0.2.0/24", []uint64{1, 2, 6}, 3, false},
		{"address=2001:db8::/32", []uint64{4}, 1, false},
		{"user=alice&route=/d", []uint64{2}, 1, false},
		{"search=CAR", []uint64{4}, 1, false},
		{"search=0.2.1", []uint64{1, 6}, 2, false},
		{"search=json", []uint64{4}, 1, false},
		{"sort=-session", []uint64{6, 5, 4, 3, 2, 1}, 6, false},
		{"sort=user", []uint64{5, 6, 4, 2, 3, 1}, 6, false},
		{"sort=-user", []uint64{1, 3, 2, 4, 6, 5}, 6, false},
		{"sort=route&limit=4", []uint64{1, 2, 5, 6}, 6, true},
		{"sort=address", []uint64{3, 5, 1, 6, 2, 4}, 6, false},
		{"sort=-queue&limit=3", []uint64{4, 2, 1}, 6, true},
		{"sort=-lag&limit=2", []uint64{2, 5}, 6, true},
		{"sort=-dropped&limit=1", []uint64{3}, 6, true},
		{"limit=6", []uint64{1, 2, 3, 4, 5, 6}, 6, false},
	} {
		t.Run(tc.query, func(t *testing.T) {
			list := ask(t, someSessions(), tc.query)
			if got := numbersOf(list.Sessions); !slices.Equal(got, tc.want) {
				t.Errorf("sessions %v, want %v", got, tc.want)
			}
			if list.Total != 6 || list.Matching != tc.matching || (list.Next != "") != tc.more {
				t.Errorf("total %d, matching %d, next %q; want 6, %d, next: %v", list.Total, list.Matching, list.Next, tc.matching, tc.more)
			}
		})
	}
}

func ask(t *testing.T, all []Session, query string) *SessionList {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := parseSessionQuery(values)
	if err != nil {
		t.Fatal(err)
	}
	return q.of(all)
}

// TestSessionPages follows the cursor in every order, while sessions start and end: each session that
// stays is on one page.
func TestSessionPages(t *testing.T) {
	for name := range sessionOrders {
		for _, sort := range []string{name, "-" + name} {
			all := someSessions()
			var seen []uint64
			after := ""
			for page := 0; page == 0 || after != ""; page++ {
				list := ask(t, all, "limit=2&sort="+sort+"&after="+after)
				seen = append(seen, numbersOf(list.Sessions)...)
				after = list.Next
				if page == 0 { // what the cursor was made of ends, another one starts
					last := list.Sessions[1].Number
					all = slices.DeleteFunc(all, func(s Session) bool { return s.Number == last })
					all = append(all, Session{Number: 7, User: "dave", Route: "/d", Address: "192.0.2.9"})
				}
			}
			for n := range uint64(6) {
				if i := slices.Index(seen, n+1); i < 0 || slices.Contains(seen[i+1:], n+1) {
					t.Errorf("sort=%s: the pages have %v, want session %d once", sort, seen, n+1)
				}
			}
		}
	}
}

// TestSessionQueryInvalid checks what is said about queries that are not understood.
func TestSessionQueryInvalid(t *testing.T) {
	other := ask(t, someSessions(), "sort=user&limit=1").Next
	for query, want := range map[string]string{
		"address=here":                    `address "here": want an IP address or a network such as 10.0.0.0/8`,
		"sort=age":                        `unknown sort "age" (one of session, user,`,
		"sort=--user":                     `unknown sort "--user"`,
		"limit=0":                         `limit "0": want a number from 1 to 1000`,
		"limit=1001":                      `want a number from 1 to 1000`,
		"limit=ten":                       `want a number from 1 to 1000`,
		"after=7":                         `after "7": want next of an earlier answer`,
		"after=bnVsbA":                    `want next of an earlier answer with the same sort`, // null
		"after=" + other:                  `want next of an earlier answer with the same sort`,
		"after=" + other + "&sort=-user":  `want next of an earlier answer with the same sort`,
		"after=" + other + "&sort=-route": `want next of an earlier answer with the same sort`,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseSessionQuery(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

// TestCheckQuery checks that no parameter is ignored.
func TestCheckQuery(t *testing.T) {
	for query, want := range map[string]string{
		"":                 "",
		"user=a":           "",
		"user=a&limit=":    "",
		"usr=a":            `unknown parameter "usr" (one of user, limit)`,
		"user=a&user=b":    `parameter "user" is given 2 times: want one`,
		"user=a;limit=3":   `query: invalid semicolon separator in query`,
		"user=%zz&limit=3": `query: invalid URL escape "%zz"`,
	} {
		w := httptest.NewRecorder()
		r := &http.Request{URL: &url.URL{Path: "/sessions", RawQuery: query}}
		ok := checkQuery(w, r, []string{"user", "limit"})
		got := strings.TrimSpace(w.Body.String())
		if ok != (want == "") || got != want || !ok && w.Code != http.StatusBadRequest {
			t.Errorf("%s: %v, %d %s; want %s", query, ok, w.Code, got, want)
		}
	}
}

// BenchmarkSessionQuery is one page of 5,000 sessions.
func BenchmarkSessionQuery(b *testing.B) {
	var all []Session
	for i := range 5000 {
		all = append(all, Session{Number: uint64(i), User: fmt.Sprint("user", i%997), Route: "/d", Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250)})
	}
	q, err := parseSessionQuery(url.Values{"sort": {"-user"}, "limit": {"50"}, "search": {"user1"}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		q.of(all)
	}
}

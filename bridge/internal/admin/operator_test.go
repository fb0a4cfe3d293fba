package admin

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestOperators: logins at the admin page end, and there are never too many of them.
func TestOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l operators
		var cookies []string
		for i := range maxOperators {
			cookies = append(cookies, l.add(&operator{name: fmt.Sprint(i), until: time.Now().Add(time.Duration(i+1) * time.Minute)}))
		}
		if o := l.find(cookies[0]); len(l.logins) != maxOperators || o == nil || o.name != "0" {
			t.Errorf("%d logins, the first is %v", len(l.logins), o)
		}
		last := l.add(&operator{name: "last", until: time.Now().Add(time.Hour)})
		if len(l.logins) != maxOperators || l.find(cookies[0]) != nil || l.find(cookies[1]) == nil || l.find(last) == nil {
			t.Errorf("%d logins: the one that would end first makes room, and no other", len(l.logins))
		}
		time.Sleep(time.Hour - time.Nanosecond)
		if l.find(last) == nil {
			t.Error("just before its end the login counts")
		}
		time.Sleep(time.Nanosecond)
		if l.find(last) != nil {
			t.Error("at its end the login counts no more")
		}
		l.add(&operator{until: time.Now().Add(time.Hour)})
		if want := maxOperators - 60 + 1; len(l.logins) != want {
			t.Errorf("%d logins, want %d: those that have ended are forgotten", len(l.logins), want)
		}
	})
}

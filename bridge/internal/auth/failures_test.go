package auth

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

var errTooMany = errors.New("too many")

// onlyAlice accepts the user alice and refuses all others.
var onlyAlice = zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if user, _, ok := req.Plain(); ok && user == "alice" {
		return &zap.Reply{Status: zap.OK, UserID: user}, nil
	}
	return &zap.Reply{Status: zap.Refused}, nil
})

// newFailures returns a handler in front of next with a limit.
func newFailures(next zap.Handler, limit int) *Failures {
	f := NewFailures(next, errTooMany)
	f.SetLimit(limit, zap.DefaultTimeout)
	return f
}

func plain(address, user, password string) *zap.Request {
	return &zap.Request{
		Domain: "global", Address: address, Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte(password)},
	}
}

func bearer(address, token string) *zap.Request {
	return &zap.Request{Domain: "global", Address: address, Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(token)}}
}

// login sends a PLAIN login through f and returns the reply and how long it took.
func login(t *testing.T, f *Failures, address, user string) (*zap.Reply, time.Duration) {
	t.Helper()
	start := time.Now()
	reply, err := f.Authenticate(t.Context(), plain(address, user, "x"))
	if err != nil {
		t.Fatal(err)
	}
	return reply, time.Since(start)
}

func TestFailuresDelayAndBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures(onlyAlice, 3)
		for i, want := range []time.Duration{0, 0, time.Second} {
			if reply, took := login(t, f, "192.0.2.1", "mallory"); reply.Status != zap.Refused || took != want {
				t.Errorf("refusal %d: status %d after %v, want 400 after %v", i+1, reply.Status, took, want)
			}
		}
		if reply, _ := login(t, f, "192.0.2.1", "alice"); reply.Status != zap.Temporary || reply.Cause != errTooMany {
			t.Errorf("the address is not blocked: %+v", reply)
		}
		if reply, _ := login(t, f, "192.0.2.2", "mallory"); reply.Status != zap.Temporary {
			t.Errorf("the user name is not blocked from another address: %+v", reply)
		}
		if reply, _ := login(t, f, "192.0.2.2", "alice"); reply.Status != zap.OK {
			t.Errorf("another user from another address is blocked: %+v", reply)
		}
		time.Sleep(failureWindow)
		if reply, _ := login(t, f, "192.0.2.1", "alice"); reply.Status != zap.OK {
			t.Errorf("still blocked after the window: %+v", reply)
		}
	})
}

func TestFailuresWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(onlyAlice, errTooMany)
		for range 20 {
			if reply, took := login(t, f, "192.0.2.1", "mallory"); reply.Status != zap.Refused || took != 0 {
				t.Fatalf("status %d after %v, want 400 at once", reply.Status, took)
			}
		}
	})
}

// TestFailuresIgnoreNULL: logins with NULL are not counted, but are refused from an address at the
// limit.
func TestFailuresIgnoreNULL(t *testing.T) {
	f := newFailures(onlyAlice, 1)
	null := &zap.Request{Address: "192.0.2.1", Mechanism: zap.NULL}
	for range 2 {
		reply, err := f.Authenticate(t.Context(), null)
		if err != nil || reply.Status != zap.Refused {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
	login(t, f, "192.0.2.1", "mallory")
	if reply, _ := f.Authenticate(t.Context(), null); reply.Cause != errTooMany {
		t.Errorf("%+v, want %v", reply, errTooMany)
	}
}

// TestFailuresPolicy: who gets through beyond the limit. Alice and Carol have logged in from home,
// with "x"; all else is refused.
func TestFailuresPolicy(t *testing.T) {
	const home, cafe, evil = "192.0.2.1", "192.0.2.2", "2001:db8::1"
	type step struct {
		address, user, password string
		times                   int
		after                   time.Duration
	}
	wrong := func(address, user string, times int) step { return step{address, user, "wrong", times, 0} }
	for name, tc := range map[string]struct {
		before []step
		login  *zap.Request
		want   zap.Status // 300: refused unasked
	}{
		"nothing has happened":                      {nil, plain(cafe, "bob", "x"), 200},
		"address below the limit":                   {[]step{wrong(cafe, "bob", 2)}, plain(cafe, "carol", "x"), 200},
		"address at the limit, another user":        {[]step{wrong(cafe, "bob", 3)}, plain(cafe, "dave", "x"), 300},
		"address at the limit by many users":        {[]step{wrong(cafe, "b", 1), wrong(cafe, "c", 1), wrong(cafe, "d", 1)}, plain(cafe, "dave", "x"), 300},
		"address at the limit, a known user":        {[]step{wrong(home, "bob", 3)}, plain(home, "alice", "x"), 200},
		"a known user, but elsewhere":               {[]step{wrong(cafe, "bob", 3)}, plain(cafe, "alice", "x"), 300},
		"user at the limit, from elsewhere":         {[]step{wrong(cafe, "alice", 3)}, plain("192.0.2.9", "alice", "x"), 300},
		"user at the limit, from home":              {[]step{wrong(cafe, "alice", 3)}, plain(home, "alice", "x"), 200},
		"user at the limit from many, from home":    {[]step{wrong("192.0.2.7", "alice", 1), wrong("192.0.2.8", "alice", 1), wrong(cafe, "alice", 1)}, plain(home, "alice", "x"), 200},
		"both at the limit, from home":              {[]step{wrong(cafe, "alice", 3), wrong(home, "bob", 3)}, plain(home, "alice", "x"), 200},
		"a known pair that fails itself":            {[]step{wrong(home, "alice", 3)}, plain(home, "alice", "x"), 300},
		"a known pair below its own limit":          {[]step{wrong(home, "bob", 3), wrong(home, "alice", 2)}, plain(home, "alice", "x"), 200},
		"another known pair of that address":        {[]step{wrong(home, "alice", 3)}, plain(home, "carol", "x"), 200},
		"a known pair, wrong password":              {[]step{wrong(home, "bob", 3)}, plain(home, "alice", "y"), 400},
		"a known pair after 23 hours":               {[]step{{home, "bob", "wrong", 3, 23 * time.Hour}}, plain(home, "alice", "x"), 200},
		"a known pair after 25 hours":               {[]step{{home, "bob", "wrong", 3, 25 * time.Hour}}, plain(home, "alice", "x"), 300},
		"the window is over":                        {[]step{wrong(cafe, "bob", 3), {home, "alice", "x", 1, time.Minute}}, plain(cafe, "dave", "x"), 200},
		"another address of the same /64":           {[]step{wrong(evil, "bob", 3)}, plain("2001:db8::2", "dave", "x"), 300},
		"another /64":                               {[]step{wrong(evil, "bob", 3)}, plain("2001:db8:0:1::1", "dave", "x"), 200},
		"a token":                                   {[]step{wrong(cafe, "bob", 3)}, bearer(cafe, "x"), 200},
		"a wrong token":                             {[]step{wrong(cafe, "bob", 3)}, bearer(cafe, "y"), 400},
		"a certificate":                             {[]step{wrong(cafe, "bob", 3)}, &zap.Request{Address: cafe, Mechanism: zap.TLS, Credentials: [][]byte{[]byte("x")}}, 200},
		"a CURVE key":                               {[]step{wrong(cafe, "bob", 3)}, &zap.Request{Address: cafe, Mechanism: zap.CURVE, Credentials: [][]byte{[]byte("x")}}, 200},
		"no credentials":                            {[]step{wrong(cafe, "bob", 3)}, &zap.Request{Address: cafe, Mechanism: zap.NULL}, 300},
		"no credentials, another address":           {[]step{wrong(cafe, "bob", 3)}, &zap.Request{Address: home, Mechanism: zap.NULL}, 200},
		"no user name":                              {[]step{wrong(cafe, "", 3)}, plain(home, "", "x"), 200},
		"no user name, address at the limit":        {[]step{wrong(cafe, "", 3)}, plain(cafe, "", "x"), 300},
		"no address, user at the limit":             {[]step{wrong("", "bob", 3)}, plain("", "bob", "x"), 300},
		"no address, another user":                  {[]step{wrong("", "bob", 3)}, plain("", "dave", "x"), 200},
		"a name made to look like user and address": {[]step{wrong(home, "alic", 3)}, plain(home, "alice", "x"), 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailures(zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
					if n := len(req.Credentials); n == 0 || string(req.Credentials[n-1]) == "x" {
						return &zap.Reply{Status: zap.OK}, nil
					}
					return &zap.Reply{Status: zap.Refused}, nil
				}), 3)
				for _, user := range []string{"alice", "carol"} {
					login(t, f, home, user)
				}
				for _, s := range tc.before {
					time.Sleep(s.after)
					for range s.times {
						_, _ = f.Authenticate(t.Context(), plain(s.address, s.user, s.password))
					}
				}
				reply, err := f.Authenticate(t.Context(), tc.login)
				if err != nil || reply.Status != tc.want {
					t.Errorf("%+v, %v, want %d", reply, err, tc.want)
				}
				if unasked := reply.Cause == errTooMany; unasked != (tc.want == 300) {
					t.Errorf("%+v: refused unasked: %v", reply, unasked)
				}
				noPlaces(t, f)
			})
		})
	}
}

// noPlaces fails the test if places are taken or logins wait.
func noPlaces(t *testing.T, f *Failures) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tb := range f.tables {
		if tb.byAge.Len() > len(tb.tallies) {
			t.Errorf("%d tallies with failures of %d", tb.byAge.Len(), len(tb.tallies))
		}
		for _, tally := range tb.tallies {
			if tally.judging != 0 || tally.waiting.Len() != 0 || tally.failures == 0 {
				t.Errorf("%d are judged, %d wait, %d have failed", tally.judging, tally.waiting.Len(), tally.failures)
			}
		}
	}
	if f.waiting != 0 {
		t.Errorf("%d logins wait", f.waiting)
	}
}

func TestFailuresTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures(onlyAlice, 10)
		fail := func(k kind, name string) subject {
			f.mu.Lock()
			defer f.mu.Unlock()
			s := f.hash.subject(k, name)
			f.fail(s)
			return s
		}
		first := fail(byUser, "first")
		time.Sleep(failureWindow)
		for i := range maxTracked + 10 {
			fail(byUser, fmt.Sprint(i))
			f.pairs.add(f.hash.subject(byPair, fmt.Sprint(i)))
		}
		if s := f.Stats(); s.Tracked["user"] != maxTracked || s.Known != maxKnown || len(f.tables[byUser].tallies) != maxTracked {
			t.Errorf("%+v, want at most %d users and %d pairs", s, maxTracked, maxKnown)
		}
		if f.find(first) != nil {
			t.Error("an expired count was kept while others had to go")
		}
		if f.pairs.has(f.hash.subject(byPair, "9")) || !f.pairs.has(f.hash.subject(byPair, "10")) {
			t.Error("the pair with the oldest login has to go, and no other")
		}
		time.Sleep(failureWindow)
		fail(byUser, "last")
		if s := f.Stats(); s.Tracked["user"] != 1 || s.Blocked["user"] != 0 {
			t.Errorf("%+v, want one user", s)
		}
	})
}

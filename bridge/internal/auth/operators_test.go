package auth

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// operatorsToken calls AuthenticateToken and returns the outcome: "in", the status of the chain, or
// 429 for a login that was not judged.
func operatorsToken(f *Failures, address, token string) (status int, compared bool) {
	reply, matched := f.AuthenticateToken(context.Background(), bearer(address, token), func() bool {
		compared = true
		return token == "sesame"
	})
	switch {
	case matched:
		return 200, compared
	case reply.Cause == errTooMany:
		return 429, compared
	}
	return int(reply.Status), compared
}

// TestOperatorsToken: guesses at the operators' token are limited like those at a password, tokens
// that the chain accepts are not.
func TestOperatorsToken(t *testing.T) {
	const home, cafe = "192.0.2.1", "192.0.2.2"
	type step struct {
		address, token string
		want           int
		compared       bool
	}
	wrong := step{home, "y", 400, true}
	for name, steps := range map[string][]step{
		"right":                            {{home, "sesame", 200, true}},
		"wrong, then right":                {wrong, wrong, {home, "sesame", 200, true}},
		"too many, then right":             {wrong, wrong, wrong, {home, "sesame", 429, false}},
		"elsewhere":                        {wrong, wrong, wrong, {cafe, "sesame", 200, true}},
		"another token of the chain":       {wrong, wrong, wrong, {home, "x", 200, false}},
		"tokens of the chain do not count": {{home, "x", 200, true}, {home, "x", 200, true}, {home, "x", 200, true}, {home, "x", 200, true}, {home, "sesame", 200, true}},
		"an operator who was here before":  {{home, "sesame", 200, true}, {home, "blocked by a password", 0, false}, {home, "sesame", 200, true}},
		"one who was not":                  {{home, "blocked by a password", 0, false}, {home, "sesame", 429, false}},
		"one who was, and too many wrong":  {{home, "sesame", 200, true}, wrong, wrong, wrong, {home, "sesame", 429, false}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := (&service{local: true}).inChain(t, 3, 0)
				for i, s := range steps {
					if s.want == 0 {
						for range 3 {
							_, _ = f.Authenticate(t.Context(), plain(s.address, "bob", "y"))
						}
						continue
					}
					if status, compared := operatorsToken(f, s.address, s.token); status != s.want || compared != s.compared {
						t.Errorf("step %d: %d, compared: %v, want %d, %v", i+1, status, compared, s.want, s.compared)
					}
				}
				noPlaces(t, f)
			})
		})
	}
}

// TestOperatorsTokenUndecided: a wrong guess counts although the chain cannot decide on the token.
func TestOperatorsTokenUndecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := (&service{undecidable: true}).inChain(t, 3, 0)
		n := 0
		for range 10 {
			if _, compared := operatorsToken(f, "192.0.2.1", "y"); compared {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d guesses were compared, want 3", n)
		}
	})
}

// TestAttempt: a login at a provider counts if the provider was asked.
func TestAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures(onlyAlice, 2)
		address := plain("192.0.2.1", "", "")
		ip, _ := address.IP()
		attempt := func(asks bool, status zap.Status) (asked bool) {
			ctx, done := f.Attempt(t.Context(), ip)
			if asks {
				guard := zap.GuardOf(ctx)
				if guard.Enter(ctx) == nil {
					asked = true
					guard.Leave()
				}
			}
			done(status)
			return asked
		}
		for range 10 {
			attempt(false, zap.Refused)
		}
		if n := f.Stats().Tracked["address"]; n != 0 {
			t.Error("a login counts about which nobody was asked")
		}
		var asked int
		for range 10 {
			if attempt(true, zap.Refused) {
				asked++
			}
		}
		if asked != 2 {
			t.Errorf("the provider was asked %d times, want 2", asked)
		}
		time.Sleep(askInterval)
		if !attempt(true, zap.OK) {
			t.Error("beyond the limit nobody is asked")
		}
		noPlaces(t, f)
	})
}

// TestOperatorsTokenAtOnce: of many guesses at the same time as many are compared as the limit
// allows.
func TestOperatorsTokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := (&service{took: time.Second, local: true}).inChain(t, 3, 0)
		var mu sync.Mutex
		n := 0
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() {
				if _, compared := operatorsToken(f, "192.0.2.1", "y"); compared {
					mu.Lock()
					defer mu.Unlock()
					n++
				}
			})
		}
		all.Wait()
		if n != 3 {
			t.Errorf("%d guesses were compared, want 3", n)
		}
	})
}

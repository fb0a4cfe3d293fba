package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// service is a handler that takes some time for each question, and accepts what ends in "x". It enters the guard
// as those do that ask a service, unless local.
type service struct {
	took  time.Duration
	local bool

	mu          sync.Mutex
	asked       int
	now, most   int // at the same time
	undecidable bool
	revoked     bool // everything
}

func (s *service) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	if !s.local {
		guard := zap.GuardOf(ctx)
		if err := guard.Enter(ctx); err != nil {
			return nil, err
		}
		defer guard.Leave()
	}
	s.mu.Lock()
	s.asked++
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(s.took):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	switch {
	case s.undecidable:
		return nil, fmt.Errorf("out of order")
	case s.revoked:
	case strings.HasSuffix(string(req.Credentials[len(req.Credentials)-1]), "x"):
		return &zap.Reply{Status: zap.OK}, nil
	}
	return &zap.Reply{Status: zap.Refused}, nil
}

func (s *service) Guarded() {}

// inChain returns Failures in front of a chain of s, with or without a cache.
func (s *service) inChain(t *testing.T, limit int, cache time.Duration) *Failures {
	t.Helper()
	chain, err := zap.NewChain(zap.ChainOptions{
		Entries: []zap.Entry{{Name: "service", Handler: s}}, Cache: zap.CacheOptions{TTL: cache}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	return newFailures(chain, limit)
}

// storm sends all requests at the same time and returns the replies by status, and how many were
// told that there were too many refused logins.
func storm(f *Failures, requests []*zap.Request) (statuses map[zap.Status]int, tooMany int) {
	statuses = make(map[zap.Status]int)
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, req := range requests {
		all.Go(func() {
			reply, _ := f.Authenticate(context.Background(), req)
			mu.Lock()
			defer mu.Unlock()
			statuses[reply.Status]++
			if reply.Cause == errTooMany {
				tooMany++
			}
		})
	}
	all.Wait()
	return statuses, tooMany
}

func many(n int, req func(i int) *zap.Request) (list []*zap.Request) {
	for i := range n {
		list = append(list, req(i))
	}
	return list
}

// TestGuessesAtOnce: of many guesses at the same time no more are judged than the limit, and a
// right one among the others is not found.
func TestGuessesAtOnce(t *testing.T) {
	guess := func(i int) string {
		if i == 700 {
			return "x"
		}
		return fmt.Sprint(i)
	}
	for name, req := range map[string]func(i int) *zap.Request{
		"passwords of one user, one address": func(i int) *zap.Request { return plain("192.0.2.1", "bob", guess(i)) },
		"passwords of many users":            func(i int) *zap.Request { return plain("192.0.2.1", fmt.Sprint(i), guess(i)) },
		"passwords, many addresses":          func(i int) *zap.Request { return plain(fmt.Sprintf("2001:db8:%x::1", i), "bob", guess(i)) },
		"passwords, one /64":                 func(i int) *zap.Request { return plain(fmt.Sprintf("2001:db8::%x", i), "bob", guess(i)) },
		"tokens":                             func(i int) *zap.Request { return bearer("192.0.2.1", guess(i)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{took: 100 * time.Millisecond}
				f := s.inChain(t, 10, 0)
				statuses, _ := storm(f, many(1000, req))
				if s.asked != 10 || statuses[zap.Refused] != 10 || statuses[zap.OK] != 0 {
					t.Errorf("%d were judged, answers %v, want 10", s.asked, statuses)
				}
				noPlaces(t, f)
			})
		})
	}
}

// TestGoodLoginsWait: logins that succeed give their places to others, and none is refused for
// waiting.
func TestGoodLoginsWait(t *testing.T) {
	for name, req := range map[string]func(i int) *zap.Request{
		"one address": func(i int) *zap.Request { return plain("192.0.2.1", fmt.Sprint(i), "x") },
		"one user":    func(i int) *zap.Request { return plain(fmt.Sprintf("2001:db8:%x::1", i), "bob", "x") },
		"tokens":      func(i int) *zap.Request { return bearer("192.0.2.1", fmt.Sprint(i, "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{took: 10 * time.Millisecond}
				f := s.inChain(t, 10, 0)
				start := time.Now()
				if statuses, _ := storm(f, many(3000, req)); statuses[zap.OK] != 3000 || s.most != 10 {
					t.Errorf("answers %v, %d judged at the same time", statuses, s.most)
				}
				if took := time.Since(start); took != 3*time.Second {
					t.Errorf("took %v, want 3s: ten at a time", took)
				}
				noPlaces(t, f)
			})
		})
	}
}

// TestGoodAmongWrong: right passwords from other addresses, for other users, are not delayed by a
// storm of wrong ones; those from the same address before the limit is reached get in.
func TestGoodAmongWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: 100 * time.Millisecond}
		f := s.inChain(t, 10, 0)
		requests := many(1000, func(i int) *zap.Request { return plain("192.0.2.1", "bob", fmt.Sprint(i)) })
		good := many(5, func(i int) *zap.Request { return plain(fmt.Sprintf("192.0.2.%d", 10+i), fmt.Sprint("user", i), "x") })
		statuses, tooMany := storm(f, append(requests, good...))
		if statuses[zap.OK] != 5 || tooMany != 990 || s.asked != 15 {
			t.Errorf("answers %v, %d refused unasked, %d judged", statuses, tooMany, s.asked)
		}
	})
}

// TestBusy: a login that would wait too long is told when to come back; one for whom there is no
// place to wait at once. The more have been told, the later.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: 4 * time.Second}
		f := s.inChain(t, 10, 0)
		start := time.Now()
		requests := many(maxWaitingForOne+11, func(i int) *zap.Request { return plain("192.0.2.1", fmt.Sprint(i), "x") })
		var advice []time.Duration
		statuses, mu, all := make(map[zap.Status]int), sync.Mutex{}, sync.WaitGroup{}
		for _, req := range requests {
			all.Go(func() {
				reply, _ := f.Authenticate(t.Context(), req)
				mu.Lock()
				defer mu.Unlock()
				statuses[reply.Status]++
				if busy, ok := reply.Cause.(*zap.BusyError); ok {
					advice = append(advice, busy.RetryAfter)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("took %v, want 4s: nobody waits for more than three quarters of zap.timeout", took)
		}
		if statuses[zap.OK] != 10 || len(advice) != maxWaitingForOne+1 {
			t.Fatalf("answers %v, %d with advice", statuses, len(advice))
		}
		noPlaces(t, f)
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFailures(onlyAlice, 10)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.judged = 2 * time.Second
		tally := f.tables[byAddress].make(f.hash.subject(byAddress, "192.0.2.1"))
		last := time.Duration(0)
		for range 10_000 {
			busy := f.busy(tally).(*zap.BusyError)
			if busy.RetryAfter < last || busy.RetryAfter > zap.MaxRetryAfter {
				t.Fatalf("%v after %v", busy.RetryAfter, last)
			}
			last = busy.RetryAfter
		}
		if last != zap.MaxRetryAfter {
			t.Errorf("10,000 logins of which each takes 0.2 s: %v", last)
		}
	})
}

// TestWaitingClientLeaves: it is neither judged nor counted. One that leaves while it is judged
// keeps its place for a second, so that nobody can have services asked as often as they like.
func TestWaitingClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: 3 * time.Second}
		f := s.inChain(t, 1, 0)
		judged, leaveJudged := context.WithCancel(t.Context())
		waits, leaveWaiting := context.WithCancel(t.Context())
		var all sync.WaitGroup
		ask := func(ctx context.Context) {
			all.Go(func() { _, _ = f.Authenticate(ctx, plain("192.0.2.1", "bob", "y")) })
			synctest.Wait()
		}
		ask(judged)
		ask(waits)
		if f.Stats().Waiting != 1 || s.asked != 1 {
			t.Fatalf("%d wait, %d were judged", f.Stats().Waiting, s.asked)
		}
		leaveWaiting()
		synctest.Wait()
		if f.Stats().Waiting != 0 {
			t.Error("a client that has left still waits")
		}
		leaveJudged()
		synctest.Wait()
		start := time.Now()
		ask(t.Context())
		if f.Stats().Waiting != 1 {
			t.Error("no place is taken by a client that has just left")
		}
		all.Wait()
		if took := time.Since(start); took != lingering+s.took || s.asked != 2 {
			t.Errorf("took %v, %d were judged", took, s.asked)
		}
		if n := f.Stats().Tracked["address"]; n != 1 {
			t.Errorf("%d addresses with refused logins", n)
		}
		noPlaces(t, f)
	})
}

// TestTokensBeyondTheLimit: a service is asked about one token of an address in each interval; the
// others are told when to come back. It is asked at once about one that it has accepted before, and
// after wrong passwords. Tokens that need no service are judged at once.
func TestTokensBeyondTheLimit(t *testing.T) {
	block := func(f *Failures) {
		for range 3 {
			_, _ = f.Authenticate(context.Background(), bearer("192.0.2.1", "y"))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: 10 * time.Millisecond}
		f := s.inChain(t, 3, 0)
		token := func(token string) zap.Status {
			reply, _ := f.Authenticate(t.Context(), bearer("192.0.2.1", token))
			return reply.Status
		}
		token("known x")
		block(f)
		s.asked = 0
		for range 5 {
			time.Sleep(askInterval)
			statuses, tooMany := storm(f, many(20, func(i int) *zap.Request { return bearer("192.0.2.1", fmt.Sprint(i)) }))
			if statuses[zap.Refused] != 1 || statuses[zap.Temporary] != 19 || tooMany != 0 {
				t.Errorf("answers %v, want one", statuses)
			}
		}
		if s.asked != 5 {
			t.Errorf("%d questions in five intervals", s.asked)
		}
		if got := token("known x"); got != zap.OK {
			t.Errorf("a token that was accepted before: %v", got)
		}
		time.Sleep(askInterval)
		if got := token("new x"); got != zap.OK {
			t.Errorf("a valid token: %v", got)
		}
		reply, _ := f.Authenticate(t.Context(), bearer("192.0.2.1", "newer x"))
		if busy, ok := reply.Cause.(*zap.BusyError); !ok || busy.RetryAfter > maxAskAdvice {
			t.Errorf("another one at once: %+v", reply)
		}
		if got := token("new x"); got != zap.OK {
			t.Errorf("the first one again: %v", got)
		}
		noPlaces(t, f)
	})
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		f := s.inChain(t, 3, 0)
		storm(f, many(3, func(int) *zap.Request { return plain("192.0.2.1", "bob", "y") }))
		if reply, _ := f.Authenticate(t.Context(), bearer("192.0.2.1", "x")); reply.Status != zap.OK {
			t.Errorf("a token after wrong passwords: %+v", reply)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		f := s.inChain(t, 3, 0)
		if storm(f, []*zap.Request{bearer("192.0.2.1", "x")}); f.Stats().Known != 1 {
			t.Error("the token is not known")
		}
		s.revoked = true
		if storm(f, []*zap.Request{bearer("192.0.2.1", "x")}); f.Stats().Known != 0 {
			t.Error("a token is known that was refused")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &service{local: true}
		f := s.inChain(t, 3, 0)
		block(f)
		statuses, _ := storm(f, many(50, func(i int) *zap.Request { return bearer("192.0.2.1", map[bool]string{true: "x"}[i%2 == 0]) }))
		if statuses[zap.OK] != 25 || statuses[zap.Refused] != 25 {
			t.Errorf("without a service: answers %v", statuses)
		}
	})
}

// TestCachedAnswersDoNotWait: what the chain knows needs no place.
func TestCachedAnswersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: time.Second}
		f := s.inChain(t, 1, time.Hour)
		right := bearer("192.0.2.1", "x")
		storm(f, []*zap.Request{right})
		var other sync.WaitGroup
		other.Go(func() { storm(f, []*zap.Request{bearer("192.0.2.1", "y")}) })
		synctest.Wait()
		start := time.Now()
		if statuses, _ := storm(f, []*zap.Request{right, right}); statuses[zap.OK] != 2 || time.Since(start) != 0 {
			t.Errorf("answers %v after %v", statuses, time.Since(start))
		}
		other.Wait()
	})
}

// TestSharedFlight: a question that two clients share keeps its place when the one that caused it
// leaves.
func TestSharedFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: 3 * time.Second}
		f := s.inChain(t, 1, time.Hour)
		first, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, ctx := range []context.Context{first, t.Context()} {
			all.Go(func() { _, _ = f.Authenticate(ctx, plain("192.0.2.1", "bob", "y")) })
			synctest.Wait()
		}
		leave()
		time.Sleep(2 * lingering)
		all.Go(func() { storm(f, []*zap.Request{plain("192.0.2.1", "eve", "z")}) })
		all.Wait()
		if s.asked != 1 {
			t.Errorf("%d questions, want 1: it counts as a refusal until it is decided", s.asked)
		}
		time.Sleep(2 * lingering)
		noPlaces(t, f)
	})
}

// TestUndecidedGivesPlacesBack: a service that fails does not block anybody.
func TestUndecidedGivesPlacesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{took: time.Millisecond, undecidable: true}
		f := s.inChain(t, 2, 0)
		storm(f, many(100, func(int) *zap.Request { return plain("192.0.2.1", "bob", "y") }))
		if s.asked != 100 {
			t.Errorf("%d were judged, want 100", s.asked)
		}
		noPlaces(t, f)
	})
}

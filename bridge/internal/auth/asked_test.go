package auth

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// question asks a about a PLAIN login and returns the reply and how long it took.
func question(t *testing.T, a *asked, domain, address, user string) (*zap.Reply, time.Duration) {
	t.Helper()
	start := time.Now()
	reply, err := a.Authenticate(t.Context(), &zap.Request{
		Domain: domain, Address: address, Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reply, time.Since(start)
}

func listening(limit int, domains ...string) *asked {
	a := newAsked(onlyAlice, nil)
	a.rules.Store(&askedRules{domain: "global", domains: domains})
	a.failures.SetLimit(limit, zap.DefaultTimeout)
	return a
}

func TestAskedLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := listening(4)
		for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
			reply, took := question(t, a, "global", fmt.Sprintf("192.0.2.%d", i), fmt.Sprint("guess", i))
			if reply.Status != zap.Refused || took != want {
				t.Errorf("refusal %d: status %d after %v, want 400 after %v", i+1, reply.Status, took, want)
			}
		}
		if reply, _ := question(t, a, "global", "192.0.2.200", "alice"); reply.Status != zap.Temporary {
			t.Errorf("the asker is not blocked: %+v", reply)
		}
	})
}

// TestAskedSubjects: one user name at one address is blocked for every asker, and nobody else is.
func TestAskedSubjects(t *testing.T) {
	f := NewFailures(onlyAlice, errAskedTooOften)
	f.subjects = func(f *Failures, ctx context.Context, req *zap.Request) counted {
		c := askedSubjects(f, ctx, req)
		c.limited = c.limited[1:] // any asker
		return c
	}
	f.SetLimit(2, zap.DefaultTimeout)
	for range 2 {
		login(t, f, "192.0.2.1", "bob")
	}
	for _, c := range []struct {
		address, user string
		want          zap.Status
	}{
		{"192.0.2.1", "bob", zap.Temporary},
		{"192.0.2.2", "bob", zap.Refused},
		{"192.0.2.1", "alice", zap.OK},
		{"localhost:@pid", "alice", zap.OK},
	} {
		if reply, _ := login(t, f, c.address, c.user); reply.Status != c.want {
			t.Errorf("%s at %s: status %d, want %d", c.user, c.address, reply.Status, c.want)
		}
	}
}

func TestAskedDomains(t *testing.T) {
	for _, c := range []struct {
		domains []string
		domain  string
		want    zap.Status
	}{
		{nil, "anything", zap.OK},
		{[]string{"lights", "global"}, "global", zap.OK},
		{[]string{"lights"}, "global", zap.Refused},
		{[]string{"lights"}, "light", zap.Refused},
	} {
		if reply, _ := question(t, listening(0, c.domains...), c.domain, "192.0.2.1", "alice"); reply.Status != c.want {
			t.Errorf("domain %q of %q: status %d, want %d", c.domain, c.domains, reply.Status, c.want)
		}
	}
}

// TestAskedTurns: no more questions than the limit are judged at the same time, in a share of
// their own.
func TestAskedTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		a := newAsked(zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			return &zap.Reply{Status: zap.OK, UserID: "alice"}, nil
		}), nil)
		a.rules.Store(&askedRules{domain: "global"})
		var all sync.WaitGroup
		for range 3 * maxAsked {
			all.Go(func() { question(t, a, "global", "192.0.2.1", "alice") })
		}
		start := time.Now()
		all.Wait()
		if most.Load() != maxAsked || time.Since(start) != 3*time.Second {
			t.Errorf("%d at a time, %v for all", most.Load(), time.Since(start))
		}
	})
}

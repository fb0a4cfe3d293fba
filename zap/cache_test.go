package zap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counting counts the calls of its handler.
type counting struct {
	h     Handler
	asked atomic.Int32
}

func (c *counting) Authenticate(ctx context.Context, req *Request) (*Reply, error) {
	c.asked.Add(1)
	return c.h.Authenticate(ctx, req)
}

func newCache(t testing.TB, h Handler, o CacheOptions) *Cache {
	t.Helper()
	c, err := NewCache(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestCacheLifetimes: how long each kind of result is reused.
func TestCacheLifetimes(t *testing.T) {
	expires := func(in time.Duration) func() Handler {
		return func() Handler {
			at := time.Now().Add(in).Unix()
			return HandlerFunc(func(context.Context, *Request) (*Reply, error) {
				return &Reply{Status: OK, Metadata: Metadata{{"expires", strconv.FormatInt(at, 10)}}}, nil
			})
		}
	}
	static := func(h Handler) func() Handler { return func() Handler { return h } }
	const ttl, refused = time.Minute, 10 * time.Second
	for name, c := range map[string]struct {
		handler func() Handler
		want    time.Duration
	}{
		"200":                    {static(answers(OK, "ada")), ttl},
		"400":                    {static(answers(Refused, "")), refused},
		"pass":                   {static(fails(Pass("unknown"))), refused},
		"300":                    {static(answers(Temporary, "")), 0},
		"500":                    {static(answers(Internal, "")), 0},
		"error":                  {static(fails(errors.New("down"))), 0},
		"expires before the TTL": {expires(30 * time.Second), 30 * time.Second},
		"expires after the TTL":  {expires(time.Hour), ttl},
		"expired already":        {expires(-time.Second), 0},
		"expires unreadable": {static(HandlerFunc(func(context.Context, *Request) (*Reply, error) {
			return &Reply{Status: OK, Metadata: Metadata{{"Expires", "tomorrow"}}}, nil
		})), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &counting{h: c.handler()}
				cache := newCache(t, h, CacheOptions{TTL: ttl, RefusedTTL: refused})
				first := Decide(t.Context(), cache, plain("ada", "x"))
				if c.want > 0 {
					time.Sleep(c.want - time.Nanosecond)
					if again := Decide(t.Context(), cache, plain("ada", "x")); again.Status != first.Status || h.asked.Load() != 1 {
						t.Errorf("just before: status %d, asked %d times", again.Status, h.asked.Load())
					}
					time.Sleep(time.Nanosecond)
				}
				Decide(t.Context(), cache, plain("ada", "x"))
				if n := h.asked.Load(); n != 2 {
					t.Errorf("after %v: asked %d times, want 2", c.want, n)
				}
			})
		})
	}
}

// TestCacheKey: which requests have different keys, and that fields cannot run into each other.
func TestCacheKey(t *testing.T) {
	base := func() *Request { return plain("ada", "secret") }
	change := func(f func(*Request)) *Request { r := base(); f(r); return r }
	different := []*Request{
		base(),
		change(func(r *Request) { r.Domain = "devices" }),
		change(func(r *Request) { r.Address = "192.0.2.2" }),
		change(func(r *Request) { r.RoutingID = []byte("x") }),
		change(func(r *Request) { r.Mechanism = "X" }),
		change(func(r *Request) { r.Credentials = frames("ada", "Secret") }),
		change(func(r *Request) { r.Credentials = frames("adas", "ecret") }),
		change(func(r *Request) { r.Credentials = frames("adasecret") }),
		change(func(r *Request) { r.Credentials = frames("ada", "secret", "") }),
		change(func(r *Request) { r.Domain, r.Address = "global1", "92.0.2.1" }),
	}
	cache := newCache(t, answers(OK, ""), CacheOptions{TTL: time.Minute})
	seen := make(map[key]int)
	for i, r := range different {
		if j, ok := seen[cache.key(r)]; ok {
			t.Errorf("requests %d and %d have the same key", j, i)
		}
		seen[cache.key(r)] = i
	}
	if cache.key(base()) != cache.key(change(func(r *Request) { r.ID = "7" })) {
		t.Error("the request id is part of the key")
	}
	any := newCache(t, answers(OK, ""), CacheOptions{TTL: time.Minute, AnyAddress: true})
	if any.key(base()) != any.key(different[2]) {
		t.Error("AnyAddress: the address is part of the key")
	}
	if any.key(base()) == cache.key(change(func(r *Request) { r.Address = "" })) {
		t.Error("two caches have the same hash for a request")
	}
}

// TestCacheSingleFlight: requests with the same credentials share one call, those with
// others do not.
func TestCacheSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &counting{h: deaf(release)}
		cache := newCache(t, h, CacheOptions{TTL: time.Minute})
		var done sync.WaitGroup
		for i := range 100 {
			done.Go(func() {
				if r := Decide(t.Context(), cache, plain("user"+strconv.Itoa(i%2), "x")); r.Status != OK {
					t.Errorf("status %d", r.Status)
				}
			})
		}
		synctest.Wait()
		close(release)
		done.Wait()
		if n := h.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

// TestCacheLeavers: a request that gives up does not affect those that still wait. The last
// one cancels the call, and a later request starts another.
func TestCacheLeavers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		h := &counting{h: HandlerFunc(func(ctx context.Context, _ *Request) (*Reply, error) {
			select {
			case <-ctx.Done():
				ended.Add(1)
				return nil, ctx.Err()
			case <-time.After(time.Second):
				return &Reply{Status: OK}, nil
			}
		})}
		cache := newCache(t, h, CacheOptions{TTL: time.Minute})
		status := make(chan Status, 2)
		first, leave := context.WithCancel(t.Context())
		go func() { status <- Decide(first, cache, plain("a", "b")).Status }()
		synctest.Wait()
		go func() { status <- Decide(t.Context(), cache, plain("a", "b")).Status }()
		synctest.Wait()
		leave()
		if a, b := <-status, <-status; a != Temporary || b != OK {
			t.Errorf("the request that left got %d, the one that stayed %d, want 300 and 200", a, b)
		}
		if h.asked.Load() != 1 || ended.Load() != 0 {
			t.Errorf("called %d times, %d ended early", h.asked.Load(), ended.Load())
		}

		alone, leave := context.WithCancel(t.Context())
		go func() { status <- Decide(alone, cache, plain("c", "d")).Status }()
		synctest.Wait()
		leave()
		<-status
		synctest.Wait()
		if ended.Load() != 1 {
			t.Error("a call for which nobody waits was not canceled")
		}
		if s := Decide(t.Context(), cache, plain("c", "d")).Status; s != OK {
			t.Errorf("a later request got %d", s)
		}
	})
}

// TestCacheClear: the result of a call from before Clear is delivered but not kept.
func TestCacheClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &counting{h: deaf(release)}
		cache := newCache(t, h, CacheOptions{TTL: time.Minute})
		status := make(chan Status, 1)
		go func() { status <- Decide(t.Context(), cache, plain("a", "b")).Status }()
		synctest.Wait()
		cache.Clear()
		close(release)
		if s := <-status; s != OK {
			t.Errorf("status %d", s)
		}
		Decide(t.Context(), cache, plain("a", "b"))
		if n := h.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

// TestCacheClearDuringACall: a request after Clear does not join a call from before.
func TestCacheClearDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &counting{h: deaf(release)}
		cache := newCache(t, h, CacheOptions{TTL: time.Minute})
		var done sync.WaitGroup
		for range 2 {
			done.Go(func() { Decide(t.Context(), cache, plain("a", "b")) })
			synctest.Wait()
			cache.Clear()
		}
		close(release)
		done.Wait()
		if n := h.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

// TestCacheCredentialsAreItsOwn is TestChainCredentialsAreItsOwn for a cache alone.
func TestCacheCredentialsAreItsOwn(t *testing.T) {
	release, read := make(chan struct{}), make(chan string, 1)
	cache := newCache(t, HandlerFunc(func(_ context.Context, req *Request) (*Reply, error) {
		<-release
		read <- string(req.Credentials[1])
		return nil, ErrPass
	}), CacheOptions{TTL: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := plain("ada", "secret")
	Decide(ctx, cache, req)
	copy(req.Credentials[1], "xxxxxx")
	close(release)
	if got := <-read; got != "secret" {
		t.Errorf("read %q", got)
	}
}

// TestCacheBounds: neither kind of result exceeds its bound, and refusals do not evict
// accepted requests.
func TestCacheBounds(t *testing.T) {
	h := &counting{h: HandlerFunc(func(_ context.Context, req *Request) (*Reply, error) {
		if user, _, _ := req.Plain(); user == "good" {
			return &Reply{Status: OK}, nil
		}
		return &Reply{Status: Refused}, nil
	})}
	cache := newCache(t, h, CacheOptions{TTL: time.Hour, Entries: 10})
	login := func(user string, password int) { Decide(t.Context(), cache, plain(user, strconv.Itoa(password))) }
	login("good", 0)
	for i := range 1000 {
		login("bad", i)
	}
	before := h.asked.Load()
	login("good", 0)
	if h.asked.Load() != before {
		t.Error("the accepted request was evicted")
	}
	for i := range 1000 {
		login("good", i)
		login("good", 0) // used all the time, so it stays
	}
	if a, r := len(cache.accepted.byKey), len(cache.refused.byKey); a != 10 || r != 10 {
		t.Errorf("%d accepted and %d refused, want 10 each", a, r)
	}
	before = h.asked.Load()
	login("good", 0)
	if h.asked.Load() != before {
		t.Error("the most recently used request was evicted")
	}
}

// TestCachePassWork: a cached pass takes as long as a cached refusal, without work.
func TestCachePassWork(t *testing.T) {
	var worked atomic.Int32
	h := fails(&PassError{Reason: "unknown user", Work: func(context.Context) error { worked.Add(1); return nil }})
	cache := newCache(t, h, CacheOptions{TTL: time.Minute})
	for range 3 {
		if r := Decide(t.Context(), cache, plain("a", "b")); r.Status != Refused {
			t.Errorf("status %d", r.Status)
		}
	}
	if n := worked.Load(); n != 1 {
		t.Errorf("worked %d times, want 1", n)
	}
}

// TestCacheProperty: for random requests at random times, a cached result is one that the
// handler gave for the same request within its lifetime.
func TestCacheProperty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl, refused = 10 * time.Second, 3 * time.Second
		type given struct {
			status Status
			at     time.Time
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		last := make(map[string]given)
		h := HandlerFunc(func(_ context.Context, req *Request) (*Reply, error) {
			id := fmt.Sprint(req.Domain, req.Credentials)
			status := []Status{OK, OK, Refused, Temporary}[rnd.IntN(4)]
			last[id] = given{status, time.Now()}
			return &Reply{Status: status, UserID: id}, nil
		})
		cache := newCache(t, h, CacheOptions{TTL: ttl, RefusedTTL: refused, Entries: 5})
		for range 5000 {
			time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond)
			if rnd.IntN(100) == 0 {
				cache.Clear()
				clear(last)
			}
			req := plain(strconv.Itoa(rnd.IntN(4)), strconv.Itoa(rnd.IntN(2)))
			req.Domain = []string{"a", "b"}[rnd.IntN(2)]
			id := fmt.Sprint(req.Domain, req.Credentials)
			reply := Decide(t.Context(), cache, req)
			g, ok := last[id]
			age := time.Since(g.at)
			switch {
			case !ok || reply.UserID != id || reply.Status != g.status:
				t.Fatalf("%s: got %d for %q, the handler said %v", id, reply.Status, reply.UserID, g)
			case reply.Status == OK && age >= ttl, reply.Status == Refused && age >= refused, reply.Status == Temporary && age > 0:
				t.Fatalf("%s: a %d that is %v old", id, reply.Status, age)
			}
		}
	})
}

func TestNewCacheErrors(t *testing.T) {
	h := answers(OK, "")
	for name, c := range map[string]struct {
		h Handler
		o CacheOptions
	}{
		"no handler":           {nil, CacheOptions{TTL: 1}},
		"no TTL":               {h, CacheOptions{}},
		"negative TTL":         {h, CacheOptions{TTL: -1}},
		"refusals stay longer": {h, CacheOptions{TTL: 1, RefusedTTL: 2}},
		"negative refused TTL": {h, CacheOptions{TTL: 1, RefusedTTL: -1}},
		"negative size":        {h, CacheOptions{TTL: 1, Entries: -1}},
	} {
		if _, err := NewCache(c.h, c.o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkChainCacheHit(b *testing.B) {
	chain := newChain(b, ChainOptions{
		Entries: []Entry{{Name: "users", Handler: answers(OK, "ada")}},
		Cache:   CacheOptions{TTL: time.Hour},
	})
	req := plain("ada", "secret")
	b.ReportAllocs()
	for b.Loop() {
		if Decide(b.Context(), chain, req).Status != OK {
			b.Fatal("refused")
		}
	}
}

func BenchmarkChain(b *testing.B) {
	chain := newChain(b, ChainOptions{Entries: []Entry{{Name: "users", Handler: answers(OK, "ada")}}})
	req := plain("ada", "secret")
	b.ReportAllocs()
	for b.Loop() {
		if Decide(b.Context(), chain, req).Status != OK {
			b.Fatal("refused")
		}
	}
}

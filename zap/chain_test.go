package zap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The handlers of the chains in these tests.
func answers(status Status, user string) Handler {
	return HandlerFunc(func(context.Context, *Request) (*Reply, error) {
		return &Reply{Status: status, Text: "because", UserID: user}, nil
	})
}

func fails(err error) Handler {
	return HandlerFunc(func(context.Context, *Request) (*Reply, error) { return nil, err })
}

// deaf ignores its context and returns once until is closed.
func deaf(until <-chan struct{}) Handler {
	return HandlerFunc(func(context.Context, *Request) (*Reply, error) {
		<-until
		return &Reply{Status: OK, UserID: "late"}, nil
	})
}

type authzFunc func(*Request, *Reply) error

func (f authzFunc) Authorize(_ context.Context, req *Request, reply *Reply) error {
	return f(req, reply)
}

var (
	agrees = authzFunc(func(*Request, *Reply) error { return nil })
	denies = authzFunc(func(*Request, *Reply) error { return fmt.Errorf("%w: not from there", ErrDenied) })
	breaks = authzFunc(func(*Request, *Reply) error { return errors.New("rules cannot be read") })
	panics = authzFunc(func(*Request, *Reply) error { panic("oops") })
)

var quiet = slog.New(slog.DiscardHandler)

func newChain(t testing.TB, o ChainOptions) *Chain {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	c, err := NewChain(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func plain(user, password string) *Request {
	return &Request{Domain: "global", Address: "192.0.2.1", Mechanism: PLAIN, Credentials: frames(user, password)}
}

// TestChainOrder covers which entry decides, and how.
func TestChainOrder(t *testing.T) {
	pass := fails(Pass("unknown user"))
	wrapped := fails(fmt.Errorf("asked elsewhere: %w", ErrPass))
	ada, bob := answers(OK, "ada"), answers(OK, "bob")
	type result struct {
		Status      Status
		User, Entry string
	}
	for name, c := range map[string]struct {
		entries []Entry
		want    result
	}{
		"no entry":                     {nil, result{Refused, "", ""}},
		"the first decides":            {[]Entry{{Name: "a", Handler: ada}, {Name: "b", Handler: bob}}, result{OK, "ada", "a"}},
		"a pass goes on":               {[]Entry{{Name: "a", Handler: pass}, {Name: "b", Handler: bob}}, result{OK, "bob", "b"}},
		"a wrapped pass goes on":       {[]Entry{{Name: "a", Handler: wrapped}, {Name: "b", Handler: bob}}, result{OK, "bob", "b"}},
		"nobody answers":               {[]Entry{{Name: "a", Handler: pass}, {Name: "b", Handler: pass}}, result{Refused, "", ""}},
		"400 ends":                     {[]Entry{{Name: "a", Handler: answers(Refused, "")}, {Name: "b", Handler: bob}}, result{Refused, "", "a"}},
		"300 ends":                     {[]Entry{{Name: "a", Handler: answers(Temporary, "")}, {Name: "b", Handler: bob}}, result{Temporary, "", "a"}},
		"500 ends":                     {[]Entry{{Name: "a", Handler: answers(Internal, "")}, {Name: "b", Handler: bob}}, result{Internal, "", "a"}},
		"an error ends with 300":       {[]Entry{{Name: "a", Handler: fails(errors.New("down"))}, {Name: "b", Handler: bob}}, result{Temporary, "", "a"}},
		"an error after a pass":        {[]Entry{{Name: "a", Handler: pass}, {Name: "b", Handler: fails(errors.New("down"))}}, result{Temporary, "", "b"}},
		"status 299 is an error":       {[]Entry{{Name: "a", Handler: answers(299, "ada")}, {Name: "b", Handler: bob}}, result{Temporary, "", "a"}},
		"another domain goes on":       {[]Entry{{Name: "a", Handler: ada, Domains: []string{"devices"}}, {Name: "b", Handler: bob}}, result{OK, "bob", "b"}},
		"one of its domains":           {[]Entry{{Name: "a", Handler: ada, Domains: []string{"devices", "global"}}}, result{OK, "ada", "a"}},
		"domains are whole names":      {[]Entry{{Name: "a", Handler: ada, Domains: []string{"glob", "globals", "GLOBAL"}}}, result{Refused, "", ""}},
		"all authz agree":              {[]Entry{{Name: "a", Handler: ada, Authz: []Authorizer{agrees, agrees}}}, result{OK, "ada", "a"}},
		"one authz denies, which ends": {[]Entry{{Name: "a", Handler: ada, Authz: []Authorizer{agrees, denies}}, {Name: "b", Handler: bob}}, result{Refused, "", "a"}},
		"one authz fails":              {[]Entry{{Name: "a", Handler: ada, Authz: []Authorizer{breaks, agrees}}, {Name: "b", Handler: bob}}, result{Temporary, "", "a"}},
		"one authz panics":             {[]Entry{{Name: "a", Handler: ada, Authz: []Authorizer{panics}}, {Name: "b", Handler: bob}}, result{Temporary, "", "a"}},
		"authz of a passing entry":     {[]Entry{{Name: "a", Handler: pass, Authz: []Authorizer{denies}}, {Name: "b", Handler: bob}}, result{OK, "bob", "b"}},
		"a prefix":                     {[]Entry{{Name: "a", Handler: ada, UserPrefix: "sso-"}}, result{OK, "sso-ada", "a"}},
		"a prefix of nobody":           {[]Entry{{Name: "a", Handler: answers(OK, ""), UserPrefix: "sso-"}}, result{OK, "", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			var seen result
			chain := newChain(t, ChainOptions{Entries: c.entries, Observe: func(entry string, status Status, _ time.Duration) {
				seen.Entry, seen.Status = entry, status
			}})
			reply, err := chain.Authenticate(t.Context(), plain("ada", "secret"))
			if err != nil {
				t.Fatal(err)
			}
			got := result{reply.Status, reply.UserID, reply.Authenticator}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if seen.Entry != got.Entry || seen.Status != got.Status {
				t.Errorf("observed %+v, want %+v", seen, got)
			}
		})
	}
}

func TestChainPanic(t *testing.T) {
	chain := newChain(t, ChainOptions{Entries: []Entry{{Name: "a", Handler: HandlerFunc(func(context.Context, *Request) (*Reply, error) { panic("oops") })}}})
	if reply := Decide(t.Context(), chain, plain("a", "b")); reply.Status != Internal {
		t.Errorf("status %d, want 500", reply.Status)
	}
}

// TestChainAuthzSeesTheUser: authorizers see the user id that the login will have.
func TestChainAuthzSeesTheUser(t *testing.T) {
	var saw string
	look := authzFunc(func(_ *Request, reply *Reply) error { saw = reply.UserID; return nil })
	chain := newChain(t, ChainOptions{Entries: []Entry{{Name: "a", Handler: answers(OK, "ada"), UserPrefix: "x:", Authz: []Authorizer{look}}}})
	Decide(t.Context(), chain, plain("ada", ""))
	if saw != "x:ada" {
		t.Errorf("the authorizer saw %q", saw)
	}
}

// TestAgreeTooLate: consent after the deadline does not count.
func TestAgreeTooLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := agree(ctx, agrees, plain("a", "b"), &Reply{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestChainTimeout: the chain's deadline applies to all its handlers together, whatever they
// do.
func TestChainTimeout(t *testing.T) {
	for name, entries := range map[string]func(release chan struct{}) []Entry{
		"a deaf handler": func(release chan struct{}) []Entry {
			return []Entry{{Name: "a", Handler: deaf(release)}, {Name: "b", Handler: answers(OK, "bob")}}
		},
		"a deaf authorizer": func(release chan struct{}) []Entry {
			wait := authzFunc(func(*Request, *Reply) error { <-release; return nil })
			return []Entry{{Name: "a", Handler: answers(OK, "ada"), Authz: []Authorizer{wait}}}
		},
		"two slow handlers": func(chan struct{}) []Entry {
			slow := HandlerFunc(func(context.Context, *Request) (*Reply, error) {
				time.Sleep(3 * time.Second)
				return nil, ErrPass
			})
			return []Entry{{Name: "a", Handler: slow}, {Name: "b", Handler: slow}, {Name: "c", Handler: answers(OK, "c")}}
		},
		"an obedient handler": func(chan struct{}) []Entry {
			return []Entry{{Name: "a", Handler: HandlerFunc(func(ctx context.Context, _ *Request) (*Reply, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})}}
		},
		"slow work of a pass": func(release chan struct{}) []Entry {
			return []Entry{{Name: "a", Handler: fails(&PassError{Work: func(context.Context) error { <-release; return nil }})}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				chain := newChain(t, ChainOptions{Entries: entries(release), Timeout: 5 * time.Second})
				start := time.Now()
				reply := Decide(t.Context(), chain, plain("ada", "secret"))
				if took := time.Since(start); reply.Status != Temporary || took != 5*time.Second {
					t.Errorf("status %d after %v, want 300 after 5s", reply.Status, took)
				}
				close(release)
			})
		})
	}
}

// TestChainCredentialsAreItsOwn: a handler that outlives its request may still read the
// credentials although the caller reuses their memory (the race detector would report it).
func TestChainCredentialsAreItsOwn(t *testing.T) {
	release, read := make(chan struct{}), make(chan string, 1)
	chain := newChain(t, ChainOptions{Entries: []Entry{{Name: "a", Handler: HandlerFunc(func(_ context.Context, req *Request) (*Reply, error) {
		<-release
		read <- string(req.Credentials[1])
		return nil, ErrPass
	})}}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := plain("ada", "secret")
	if reply := Decide(ctx, chain, req); reply.Status != Temporary {
		t.Errorf("status %d", reply.Status)
	}
	copy(req.Credentials[1], "xxxxxx")
	close(release)
	if got := <-read; got != "secret" {
		t.Errorf("read %q", got)
	}
}

func TestChainMaxPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		chain := newChain(t, ChainOptions{Entries: []Entry{{Name: "a", Handler: deaf(release)}}, MaxPending: 2})
		statuses := make(chan Status, 3)
		ask := func() { statuses <- Decide(t.Context(), chain, plain("a", "b")).Status }
		go ask()
		go ask()
		synctest.Wait()
		ask()
		if s := <-statuses; s != Temporary {
			t.Errorf("the third of two: status %d, want 300", s)
		}
		close(release)
		if a, b := <-statuses, <-statuses; a != OK || b != OK {
			t.Errorf("the first two: %d and %d", a, b)
		}
	})
}

func TestChainClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		chain, err := NewChain(ChainOptions{Entries: []Entry{{Name: "a", Handler: deaf(release)}}, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		Decide(t.Context(), chain, plain("a", "b"))
		if err := chain.Close(); err == nil || !strings.Contains(err.Error(), "1 handlers") {
			t.Errorf("Close with a handler that hangs: %v", err)
		}
		close(release)
		if reply := Decide(t.Context(), chain, plain("a", "b")); reply.Status != Temporary {
			t.Errorf("after Close: status %d, want 300", reply.Status)
		}
		if err := chain.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// TestPassWork: the work that hides an unknown user is done once, by the refusal.
func TestPassWork(t *testing.T) {
	var worked atomic.Int32
	unknown := fails(&PassError{Reason: "unknown user", Work: func(context.Context) error { worked.Add(1); return nil }})
	other := fails(Pass("not mine"))
	for name, c := range map[string]struct {
		entries []Handler
		want    int32
	}{
		"alone":           {[]Handler{unknown}, 1},
		"twice":           {[]Handler{unknown, unknown}, 1},
		"before another":  {[]Handler{unknown, other}, 1},
		"after another":   {[]Handler{other, unknown}, 1},
		"another accepts": {[]Handler{unknown, answers(OK, "ada")}, 0},
		"another refuses": {[]Handler{unknown, answers(Refused, "")}, 0},
	} {
		worked.Store(0)
		var entries []Entry
		for _, h := range c.entries {
			entries = append(entries, Entry{Name: "x", Handler: h})
		}
		Decide(t.Context(), newChain(t, ChainOptions{Entries: entries}), plain("a", "b"))
		if got := worked.Load(); got != c.want {
			t.Errorf("%s: worked %d times, want %d", name, got, c.want)
		}
	}
	worked.Store(0)
	if reply := Decide(t.Context(), unknown, plain("a", "b")); reply.Status != Refused || worked.Load() != 1 {
		t.Errorf("without a chain: status %d, worked %d times", reply.Status, worked.Load())
	}
	busy := fails(&PassError{Work: func(context.Context) error { return errors.New("too many at once") }})
	if reply := Decide(t.Context(), busy, plain("a", "b")); reply.Status != Temporary {
		t.Errorf("work that could not be done: status %d, want 300", reply.Status)
	}
}

// TestChainLog: every decision is logged, without secrets and without the name that a refused
// peer claimed.
func TestChainLog(t *testing.T) {
	var mu sync.Mutex
	var b bytes.Buffer
	chain := newChain(t, ChainOptions{
		Logger: slog.New(slog.NewTextHandler(lockedWriter{&mu, &b}, nil)),
		Entries: []Entry{
			{Name: "users", Handler: HandlerFunc(func(_ context.Context, req *Request) (*Reply, error) {
				if user, _, _ := req.Plain(); user == "ada" {
					return &Reply{Status: OK, UserID: user}, nil
				}
				return nil, Pass("unknown user")
			})},
		},
	})
	Decide(t.Context(), chain, plain("ada", "geheim-1"))
	Decide(t.Context(), chain, plain("geheim-2", "geheim-3"))
	Decide(t.Context(), chain, &Request{Domain: "global", Mechanism: BEARER, RoutingID: []byte("geheim-4"), Credentials: frames("geheim-5")})
	log := b.String()
	if n := strings.Count(log, "\n"); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
	if strings.Contains(log, "geheim") {
		t.Errorf("a secret in the log:\n%s", log)
	}
	for _, want := range []string{"login accepted", "login refused", "user=ada", "authenticator=users", "address=192.0.2.1", "mechanism=BEARER", "status=400"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func TestNewChainErrors(t *testing.T) {
	h := answers(OK, "")
	for name, o := range map[string]ChainOptions{
		"no name":          {Entries: []Entry{{Handler: h}}},
		"no handler":       {Entries: []Entry{{Name: "a"}}},
		"nil authorizer":   {Entries: []Entry{{Name: "a", Handler: h, Authz: []Authorizer{nil}}}},
		"empty domain":     {Entries: []Entry{{Name: "a", Handler: h, Domains: []string{""}}}},
		"negative timeout": {Timeout: -1},
		"negative pending": {MaxPending: -1},
		"negative TTL":     {Cache: CacheOptions{TTL: -1}},
	} {
		if _, err := NewChain(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

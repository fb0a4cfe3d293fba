package backend

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// guarded is a backend behind pipes that is away, or refuses logins.
type guarded struct {
	*pipes
	mu       sync.Mutex
	away     error
	refuses  map[string]bool // passwords
	attempts map[string]int  // by password
}

func (g *guarded) set(away error, refuses ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away, g.refuses = away, make(map[string]bool)
	for _, password := range refuses {
		g.refuses[password] = true
	}
}

func (g *guarded) dial(ctx context.Context, address string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error) {
	password := sec.(zmtp.Plain).Password
	g.mu.Lock()
	g.attempts[password]++
	err := g.away
	if err == nil && g.refuses[password] {
		err = &zmtp.RefusedError{Status: zap.Refused}
	}
	g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return g.pipes.dial(ctx, address, zmtp.Null{}, o)
}

func (g *guarded) attempted(password string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.attempts[password]
}

// open opens a socket that logs in with what password returns.
func (g *guarded) open(t *testing.T, group *Group, honor bool, password func() string) *Dedicated {
	t.Helper()
	o := g.options(zmtp.DEALER)
	o.Backoff, o.MaxBackoff, o.Rand = 10*time.Second, 10*time.Second, func() float64 { return 0 }
	o.Group, o.HonorError, o.Ready = group, honor, None
	o.Endpoints[0].Security = zmtp.Plain{Password: password()}
	o.Endpoints[0].Renew = func() (zmtp.ClientSecurity, error) { return zmtp.Plain{Password: password()}, nil }
	o.dial = g.dial
	s, err := Dial(t.Context(), o, newInbox())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newGuarded(t *testing.T) *guarded {
	return &guarded{pipes: newPipes(t, zmtp.ROUTER, "one"), attempts: make(map[string]int)}
}

func always(password string) func() string { return func() string { return password } }

// TestNewcomerHurriesOthers checks that a socket whose first connection is ready hurries the others
// that wait for the same backend, at most one time a second each, and that other groups wait.
func TestNewcomerHurriesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		g.set(zmtp.ErrUnreachable)
		var group, another Group
		waits, stranger := g.open(t, &group, false, always("waits")), g.open(t, &another, false, always("stranger"))
		defer waits.Close()
		defer stranger.Close()
		time.Sleep(500 * time.Millisecond)
		newcomer := g.open(t, &group, false, always("in vain"))
		synctest.Wait()
		newcomer.Close()
		g.set(nil)
		defer g.open(t, &group, false, always("newcomer")).Close()
		synctest.Wait()
		if n := g.attempted("waits"); n != 1 {
			t.Errorf("%d attempts within half a second, want 1", n)
		}
		time.Sleep(500 * time.Millisecond) // a second after the first
		synctest.Wait()
		if s := waits.Status()[0]; s.State != Connected {
			t.Errorf("a second after its attempt: %+v, want that it is connected", s)
		}
		if s := stranger.Status()[0]; s.State != Waiting {
			t.Errorf("of another group: %+v, want that it waits", s)
		}
	})
}

// TestNewcomerWithSameLogin checks which sockets are tried again that the backend has refused when it
// accepts a newcomer: those with the same login, also if refusals are honored.
func TestNewcomerWithSameLogin(t *testing.T) {
	for _, honor := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuarded(t)
			g.set(nil, "alice's", "bob's")
			var group Group
			alice, bob := g.open(t, &group, honor, always("alice's")), g.open(t, &group, honor, always("bob's"))
			defer alice.Close()
			defer bob.Close()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			g.set(nil, "bob's")
			defer g.open(t, &group, honor, always("alice's")).Close()
			synctest.Wait()
			if s := alice.Status()[0]; s.State != Connected {
				t.Errorf("honor %v: with the login that was accepted: %+v, want that it is connected", honor, s)
			}
			if n := g.attempted("bob's"); n != 1 {
				t.Errorf("honor %v: %d attempts with another login, want 1", honor, n)
			}
		})
	}
}

// TestRenewed checks that a login that a backend has refused is repeated only once it was renewed.
func TestRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		g.set(nil, "old")
		token := "old"
		s := g.open(t, new(Group), true, func() string { return token })
		defer s.Close()
		time.Sleep(time.Hour)
		s.Renewed()
		synctest.Wait()
		if n := g.attempted("old"); n != 1 {
			t.Errorf("%d attempts with the token that was refused, want 1", n)
		}
		token = "new"
		s.Renewed()
		synctest.Wait()
		if status := s.Status()[0]; status.State != Connected {
			t.Errorf("with another token: %+v, want that it is connected", status)
		}
	})
}

// TestClientLogin checks that an update with the renewed login of a client keeps the connection.
func TestClientLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		s := g.open(t, new(Group), true, always("old"))
		defer s.Close()
		synctest.Wait()
		for own, attempts := range map[bool]int{true: 0, false: 1} {
			e := s.d.o.Endpoints[0]
			e.ClientLogin = own
			if err := s.SetEndpoints([]Endpoint{e}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until it is connected, if it was connected again
			e.Security = zmtp.Plain{Password: "new"}
			before := g.attempted("new")
			if err := s.SetEndpoints([]Endpoint{e}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := g.attempted("new") - before; n != attempts {
				t.Errorf("ClientLogin %v: %d attempts with the other login, want %d", own, n, attempts)
			}
		}
	})
}

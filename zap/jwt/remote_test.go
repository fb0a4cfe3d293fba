package jwt

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// provider is an identity provider in memory. It is an http.RoundTripper, so that it works with
// synctest.
type provider struct {
	mu       sync.Mutex
	keys     []any // of its key set
	requests int   // for the key set
	down     bool
}

func (p *provider) publish(keys ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) stop(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *provider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func (p *provider) RoundTrip(*http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if p.down {
		return nil, errors.New("connection refused")
	}
	keys := p.keys
	if keys == nil {
		keys = []any{}
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(text)))}, err
}

// follow returns an authenticator for the provider, which is closed when the test ends.
func (p *provider) follow(t *testing.T) *Authenticator {
	t.Helper()
	o := idp()
	o.JWKSURL = "https://idp.example/jwks"
	o.transport = p
	o.Logger = slog.New(slog.DiscardHandler)
	return start(t, o, 0)
}

// drawn returns a random key that is not in a file.
func drawn(t testing.TB, kid string) *SigningKey {
	t.Helper()
	k, err := GenerateKey(kid, "ES256")
	must(t, err)
	return k
}

// TestRotation: the first token with a new key fetches it, and logins with a removed key are
// revoked within the interval.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := drawn(t, "one"), drawn(t, "two")
		p := new(provider)
		p.publish(jwkOf(t, one))
		a := p.follow(t)
		changes := 0
		defer a.OnChange(func() { changes++ })()
		login, err := ask(t, a, signed(t, one, nil))
		if verdict(login, err) != "200" {
			t.Fatalf("%+v, %v", login, err)
		}
		p.publish(jwkOf(t, one), jwkOf(t, two))
		if got := verdict(ask(t, a, signed(t, two, nil))); got != "200" {
			t.Errorf("a new key: %s, want 200", got)
		}
		if a.Revoked(login) {
			t.Error("the login with a key that is still published is revoked")
		}
		synctest.Wait()
		before := changes
		p.publish(jwkOf(t, two))
		time.Sleep(RefreshInterval + time.Second)
		synctest.Wait()
		if !a.Revoked(login) || changes == before {
			t.Errorf("the login with a removed key: revoked %v, %d changes", a.Revoked(login), changes-before)
		}
	})
}

// TestUnknownKid: many tokens with unknown kids cause one request per interval.
func TestUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known, stranger := drawn(t, "known"), drawn(t, "stranger")
		p := new(provider)
		p.publish(jwkOf(t, known))
		a := p.follow(t)
		synctest.Wait()
		if n := p.asked(); n != 1 {
			t.Fatalf("%d requests at the start, want 1", n)
		}
		var running sync.WaitGroup
		var passed atomic.Int32
		for range 100 {
			running.Go(func() {
				switch got := verdict(ask(t, a, signed(t, stranger, nil))); got {
				case "pass":
					passed.Add(1)
				case "error": // the keys may have changed since the request
				default:
					t.Errorf("unknown kid: %s, want pass or error", got)
				}
			})
		}
		running.Wait()
		if n := passed.Load(); n != 1 {
			t.Errorf("%d tokens passed, want the one that caused the request", n)
		}
		if n := p.asked(); n != 2 {
			t.Errorf("%d requests after 100 tokens, want 2", n)
		}
		if got := verdict(ask(t, a, signed(t, known, nil))); got != "200" {
			t.Errorf("a known key meanwhile: %s, want 200", got)
		}
		ask(t, a, signed(t, known, map[string]any{"iss": "https://other.example"}))
		ask(t, a, "nonsense")
		time.Sleep(RefetchInterval)
		for range 100 {
			ask(t, a, signed(t, stranger, nil))
		}
		if n := p.asked(); n != 3 {
			t.Errorf("%d requests after the interval, want 3", n)
		}
	})
}

// TestRotationWithinInterval: a key that the issuer publishes just after a token with an unknown
// kid is undecided, not refused, until the keys may be fetched again. Without an issuer the
// token may belong to another authenticator and is passed.
func TestRotationWithinInterval(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
		within string
	}{
		{"with issuer", func(*Options) {}, "error"},
		{"without issuer", func(o *Options) { o.Issuer = "" }, "pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old, next, stranger := drawn(t, "old"), drawn(t, "next"), drawn(t, "stranger")
				p := new(provider)
				p.publish(jwkOf(t, old))
				o := idp()
				o.JWKSURL, o.transport, o.Logger = "https://idp.example/jwks", p, slog.New(slog.DiscardHandler)
				tt.change(&o)
				a := start(t, o, 0)
				synctest.Wait()
				if got := verdict(ask(t, a, signed(t, stranger, nil))); got != "pass" {
					t.Errorf("unknown kid, keys just fetched for it: %s, want pass", got)
				}
				p.publish(jwkOf(t, next))
				for range 3 {
					if got := verdict(ask(t, a, signed(t, next, nil))); got != tt.within {
						t.Errorf("rotated key within the interval: %s, want %s", got, tt.within)
					}
				}
				if got := verdict(ask(t, a, signed(t, old, nil))); got != "200" {
					t.Errorf("known key within the interval: %s, want 200", got)
				}
				time.Sleep(RefetchInterval)
				if got := verdict(ask(t, a, signed(t, next, nil))); got != "200" {
					t.Errorf("rotated key after the interval: %s, want 200", got)
				}
				time.Sleep(RefetchInterval)
				if got := verdict(ask(t, a, signed(t, stranger, nil))); got != "pass" {
					t.Errorf("unknown kid after the interval: %s, want pass", got)
				}
			})
		})
	}
}

// TestUnreachable: without the issuer's keys its tokens cannot be decided on, and known keys stay
// in force.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := drawn(t, "one"), drawn(t, "two")
		p := &provider{down: true}
		p.publish(jwkOf(t, one))
		a := p.follow(t)
		for range 3 {
			if got := verdict(ask(t, a, signed(t, one, nil))); got != "error" {
				t.Errorf("before the keys are fetched: %s, want error", got)
			}
		}
		if got := verdict(ask(t, a, signed(t, one, map[string]any{"iss": "x"}))); got != "pass" {
			t.Errorf("token of another issuer: %s, want pass", got)
		}
		p.stop(false)
		time.Sleep(RetryInterval)
		synctest.Wait()
		login, err := ask(t, a, signed(t, one, nil))
		if got := verdict(login, err); got != "200" {
			t.Errorf("after the keys are fetched: %s, want 200", got)
		}
		p.stop(true)
		time.Sleep(2 * RefreshInterval)
		synctest.Wait()
		if got := verdict(ask(t, a, signed(t, one, nil))); got != "200" || a.Revoked(login) {
			t.Errorf("a known key while the issuer is unreachable: %s, want 200", got)
		}
		if got := verdict(ask(t, a, signed(t, two, nil))); got != "error" {
			t.Errorf("an unknown key while the issuer is unreachable: %s, want error", got)
		}
	})
}

// TestReload: an authenticator that replaces another one at a reload decides on its logins by
// its own options, and by its keys once they are fetched.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := drawn(t, "one")
		p := new(provider)
		p.publish(jwkOf(t, one))
		login, err := ask(t, p.follow(t), signed(t, one, map[string]any{"scope": "zwsbridge.read:a/b alias"}))
		must(t, err)
		next := func(change func(*Options)) *Authenticator {
			o := idp()
			o.JWKSURL, o.transport, o.Logger = "https://idp.example/jwks", p, slog.New(slog.DiscardHandler)
			change(&o)
			return start(t, o, 0)
		}
		same := next(func(*Options) {})
		if same.Revoked(login) {
			t.Error("revoked before the keys are fetched")
		}
		synctest.Wait()
		if same.Revoked(login) {
			t.Error("revoked by the same options")
		}
		for name, change := range map[string]func(*Options){
			"another issuer":     func(o *Options) { o.Issuer = "https://other.example" },
			"another audience":   func(o *Options) { o.ResourceServerID = "other" },
			"another algorithm":  func(o *Options) { o.Algorithms = []string{"RS256"} },
			"another user claim": func(o *Options) { o.PreferredUsernameClaims = []string{"iss"} },
			"another alias":      func(o *Options) { o.ScopeAliases = map[string][]string{"alias": {"zwsbridge.write:*/*"}} },
			"strict topics":      func(o *Options) { o.StrictTopics = true },
			"another prefix":     func(o *Options) { o.ScopePrefix = "" },
			"a leeway":           func(o *Options) { o.Leeway = time.Minute },
		} {
			a := next(change)
			synctest.Wait()
			if !a.Revoked(login) {
				t.Errorf("%s: the login is not revoked", name)
			}
		}
		p.publish()
		p.mu.Lock() // no key set is fetched before OnChange
		gone := next(func(*Options) {})
		notified := false
		defer gone.OnChange(func() { notified = true })()
		p.mu.Unlock()
		synctest.Wait()
		if !notified || !gone.Revoked(login) {
			t.Errorf("an empty key set: notified %v, revoked %v", notified, gone.Revoked(login))
		}
	})
}

// TestKeySets: unusable keys in a key set are ignored.
func TestKeySets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := drawn(t, "one")
		secret := &SigningKey{"secret", "HS256", make([]byte, 32)}
		encryption := jwkOf(t, drawn(t, "encryption"))
		encryption["use"] = "enc"
		p := new(provider)
		p.publish(
			map[string]any{"kty": "oct", "kid": "secret", "k": encodeBase64(make([]byte, 32))},
			map[string]any{"kty": "AKP", "kid": "of a newer kind", "alg": "ML-DSA-44"},
			map[string]any{"kty": "RSA", "kid": "broken"},
			"no object", encryption, jwkOf(t, one),
		)
		a := p.follow(t)
		if got := verdict(ask(t, a, signed(t, one, nil))); got != "200" {
			t.Errorf("the good key among others: %s, want 200", got)
		}
		if got := verdict(ask(t, a, signed(t, secret, nil))); got == "200" {
			t.Error("a published shared secret is accepted")
		}
		if n := a.ring.size(); n != 1 {
			t.Errorf("%d keys, want 1", n)
		}
	})
}

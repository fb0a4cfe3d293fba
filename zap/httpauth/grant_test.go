package httpauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// rightsOn logs alice in and opens a route.
func rightsOn(t testing.TB, c *Client, route string) zap.Access {
	t.Helper()
	reply, err := c.Authenticate(t.Context(), plain("alice", "pw", "house"))
	if err != nil || reply.Status != zap.OK {
		t.Fatalf("%+v, %v", reply, err)
	}
	access, err := reply.Grants[0].On(t.Context(), "house", route)
	if err != nil {
		t.Fatal(err)
	}
	return access
}

func TestRights(t *testing.T) {
	s := serve(t, func(path string, form url.Values) string {
		switch {
		case path == "/auth/vhost" && form.Get("vhost") == "cellar",
			path == "/auth/resource" && form.Get("name") == "cellar",
			path == "/auth/resource" && form.Get("permission") == "write" && form.Get("name") == "view",
			path == "/auth/topic" && !strings.HasPrefix(form.Get("routing_key"), "alice/"):
			return "deny"
		}
		return "allow"
	})
	c := open(t, s.options())
	ctx := t.Context()
	if a := rightsOn(t, c, "cellar"); a.Read || a.Write || a.Topics != nil {
		t.Errorf("a route without read: %+v", a)
	}
	devices := rightsOn(t, c, "devices")
	if !devices.Read || !devices.Write {
		t.Errorf("devices: %+v", devices)
	}
	view := rightsOn(t, c, "view")
	for _, tc := range []struct {
		name    string
		err     error
		allowed bool
	}{
		{"receive one's own", devices.Topics.Receive(ctx, []byte("alice/temp")), true},
		{"receive all", devices.Topics.Receive(ctx, nil), false},
		{"receive another's", devices.Topics.Receive(ctx, []byte("bob/")), false},
		{"send one's own", devices.Topics.Send(ctx, []byte("alice/set")), true},
		{"send to another's", devices.Topics.Send(ctx, []byte("bob/set")), false},
		{"send where only read is allowed", view.Topics.Send(ctx, []byte("alice/set")), false},
		{"the longest topic", devices.Topics.Send(ctx, []byte("alice/"+strings.Repeat("x", MaxTopic-6))), true},
		{"a longer topic", devices.Topics.Send(ctx, []byte("alice/"+strings.Repeat("x", MaxTopic-5))), false},
	} {
		if tc.allowed && tc.err != nil || !tc.allowed && !errors.Is(tc.err, zap.ErrDenied) {
			t.Errorf("%s: %v, want allowed: %v", tc.name, tc.err, tc.allowed)
		}
	}
	reply, err := c.Authenticate(ctx, plain("alice", "pw", "house"))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]bool{"house": true, "cellar": false} {
		if in, err := reply.Grants[0].In(ctx, domain); err != nil || in != want {
			t.Errorf("in %s: %v, %v", domain, in, err)
		}
	}
}

// TestCache: one request for the lifetime of the response, however many callers there are; an
// error is not cached.
func TestCache(t *testing.T) {
	var topics atomic.Int64
	answers := make(chan string)
	s := serve(t, func(path string, _ url.Values) string {
		if path == "/auth/topic" {
			topics.Add(1)
			return <-answers
		}
		return "allow"
	})
	o := s.options()
	o.Cache = time.Hour
	devices := rightsOn(t, open(t, o), "devices").Topics

	send := func(topic string) chan error {
		done := make(chan error, 1)
		go func() { done <- devices.Send(t.Context(), []byte(topic)) }()
		return done
	}
	first := send("a")
	answers <- "perhaps"
	if err := <-first; err == nil || errors.Is(err, zap.ErrDenied) {
		t.Errorf("got %v, want an error other than a refusal", err)
	}
	var crowd []chan error
	for range 20 {
		crowd = append(crowd, send("a"))
	}
	answers <- "allow"
	for _, done := range crowd {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	refused := send("b")
	answers <- "deny"
	if err := <-refused; !errors.Is(err, zap.ErrDenied) {
		t.Errorf("got %v, want a refusal", err)
	}
	for topic, allowed := range map[string]bool{"a": true, "b": false} {
		if err := devices.Send(t.Context(), []byte(topic)); (err == nil) != allowed {
			t.Errorf("%s: %v", topic, err)
		}
	}
	if n := topics.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// TestCacheIsBounded: the most recently used topics are cached, up to the limit.
func TestCacheIsBounded(t *testing.T) {
	var topics atomic.Int64
	s := serve(t, func(path string, _ url.Values) string {
		if path == "/auth/topic" {
			topics.Add(1)
		}
		return "allow"
	})
	o := s.options()
	o.Resource, o.Cache, o.CacheEntries = "", time.Hour, 10
	devices := rightsOn(t, open(t, o), "devices").Topics
	send := func(n int) (questions int64) {
		before := topics.Load()
		if err := devices.Send(t.Context(), fmt.Append(nil, n)); err != nil {
			t.Fatal(err)
		}
		return topics.Load() - before
	}
	for n := range 11 {
		if send(n) != 1 {
			t.Errorf("there was no request about topic %d", n)
		}
	}
	for n := 10; n > 0; n-- {
		if send(n) != 0 {
			t.Errorf("topic %d is not cached", n)
		}
	}
	if send(0) != 1 {
		t.Error("the topic beyond the limit is cached")
	}
}

// TestDecisions: in any order, with and without a cache, exactly what the service allows is
// allowed.
func TestDecisions(t *testing.T) {
	allows := func(user, vhost, name, permission, key string) bool {
		sum := sha256.Sum256([]byte(strings.Join([]string{user, vhost, name, permission, key}, "\x00")))
		return sum[0]%3 > 0
	}
	s := serve(t, func(path string, f url.Values) string {
		if path == "/auth/user" || allows(f.Get("username"), f.Get("vhost"), f.Get("name"), f.Get("permission"), f.Get("routing_key")) {
			return "allow"
		}
		return "deny"
	})
	o := s.options()
	o.Vhost = ""
	bare := open(t, o)
	o.Cache, o.CacheEntries = time.Hour, 20
	cached := open(t, o)
	random := rand.New(rand.NewPCG(1, 2))
	// Fields whose plain concatenations are equal.
	words := []string{"a", "aa", "a a", "a&b=c", "", "é\xff", "a%00"}
	word := func() string { return words[random.IntN(len(words))] }
	for range 500 {
		c := []*Client{bare, cached}[random.IntN(2)]
		user, vhost, name, key := "u"+word(), word(), word(), word()
		access, err := c.login(user, nil, "").On(t.Context(), vhost, name)
		if err != nil {
			t.Fatal(err)
		}
		attached := allows(user, vhost, name, "read", "")
		if access.Read != attached {
			t.Fatalf("%q attaches to %q in %q: %v", user, name, vhost, access.Read)
		}
		if !attached {
			continue
		}
		for permission, ask := range map[string]func(context.Context, []byte) error{"read": access.Topics.Receive, "write": access.Topics.Send} {
			want := allows(user, vhost, name, permission, "") && allows(user, vhost, name, permission, key)
			if err := ask(t.Context(), []byte(key)); (err == nil) != want || err != nil && !errors.Is(err, zap.ErrDenied) {
				t.Fatalf("%q, %s of %q on %q in %q: %v, want allowed: %v", user, permission, key, name, vhost, err, want)
			}
		}
	}
}

package tokenendpoint

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

func TestIdentities(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identities.db")
	m, err := OpenIdentities(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenIdentities(file); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opened twice: %v", err)
	}
	ids := make(chan string, 50)
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			id, err := m.ID("alice")
			if err != nil {
				t.Error(err)
			}
			ids <- id
		})
	}
	running.Wait()
	alice := <-ids
	for range 49 {
		if id := <-ids; id != alice {
			t.Fatalf("alice is %s and %s", alice, id)
		}
	}
	bob, err := m.ID("bob")
	if err != nil || bob == alice || !uuid4.MatchString(alice) || !uuid4.MatchString(bob) {
		t.Errorf("alice %s, bob %s, %v", alice, bob, err)
	}
	for _, user := range []string{"", strings.Repeat("x", MaxUser+1)} {
		if id, err := m.ID(user); err == nil {
			t.Errorf("%d bytes: %s", len(user), id)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	if m, err = OpenIdentities(file); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if id, err := m.ID("alice"); id != alice || err != nil {
		t.Errorf("alice is %s, was %s: %v", id, alice, err)
	}
	if user, ok, err := m.LookupUser(bob); user != "bob" || !ok || err != nil {
		t.Errorf("%s is %q, %v, %v", bob, user, ok, err)
	}
	if id, ok, err := m.LookupID("carol"); ok || err != nil {
		t.Errorf("carol is %s, %v", id, err)
	}
	if user, ok, err := m.LookupUser(""); ok || err != nil {
		t.Errorf("nobody is %s, %v", user, err)
	}
}

// TestIdentity: replies have the UUID as user id. A PLAIN login has it as user name, or the name
// at the endpoint, or none.
func TestIdentity(t *testing.T) {
	m, err := OpenIdentities(filepath.Join(t.TempDir(), "identities.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	url, _ := endpoint(t)
	c := open(t, Options{URL: url, Identities: m})
	reply, err := c.Authenticate(t.Context(), bearer("alice.alice.1"))
	if err != nil || !uuid4.MatchString(reply.UserID) || len(reply.Metadata) > 0 {
		t.Fatalf("%+v, %v", reply, err)
	}
	for _, user := range []string{reply.UserID, "alice", ""} {
		if again, err := c.Authenticate(t.Context(), plain(user, "alice.alice.2")); err != nil || again.UserID != reply.UserID {
			t.Errorf("as %q: %+v, %v", user, again, err)
		}
	}
	bob, err := m.ID("bob")
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"bob", bob, "Alice", "alice ", strings.ToUpper(reply.UserID), "alice\x00"} {
		if _, err := c.Authenticate(t.Context(), plain(user, "alice.alice.2")); !errors.Is(err, zap.ErrPass) {
			t.Errorf("as %q: %v, want a pass", user, err)
		}
	}
}

package htpasswd

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestCache: a verified password is not hashed again until the file changes; a wrong one, that
// of an unknown user and one that is too long always are.
func TestCache(t *testing.T) {
	long := strings.Repeat("x", MaxPassword)
	file := filepath.Join(t.TempDir(), "users")
	lines := "ada:" + hashOf(t, "ADA", "2y") + "\nbob:" + hashOf(t, "BOB", "2y") + "\nlong:" + hashOf(t, long, "2y") + "\n"
	must(t, os.WriteFile(file, []byte(lines), 0o600))
	a := open(t, file)
	var hashed atomic.Int32
	a.compare = func(hash, password []byte) error {
		hashed.Add(1)
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	login := func(user, password string, status zap.Status, hashes int32) {
		t.Helper()
		hashed.Store(0)
		if r := zap.Decide(t.Context(), a, plain(user, password)); r.Status != status || hashed.Load() != hashes {
			t.Errorf("%s: status %d with %d hashes, want %d with %d", user, r.Status, hashed.Load(), status, hashes)
		}
	}
	login("ada", "ADA", zap.OK, 1)
	login("ada", "ADA", zap.OK, 0)
	login("bob", "ADA", zap.Refused, 1)
	login("ada", "BOB", zap.Refused, 1)
	login("ada", "BOB", zap.Refused, 1)
	login("ada", "ADA", zap.OK, 0) // a wrong password does not displace the right one
	login("eve", "ADA", zap.Refused, 1)
	login("eve", "ADA", zap.Refused, 1)
	login("long", long, zap.OK, 1)
	login("long", long+"x", zap.Refused, 1)
	login("long", long+"x", zap.Refused, 1)

	changed := make(chan struct{}, 1)
	a.OnChange(func() { changed <- struct{}{} })
	must(t, os.WriteFile(file, []byte(lines+"carol:"+hashOf(t, "CAROL", "2y")+"\n"), 0o600))
	<-changed
	login("ada", "ADA", zap.OK, 1)
	login("ada", "ADA", zap.OK, 0)

	a.verified = newVerified(0)
	login("ada", "ADA", zap.OK, 1)
	login("ada", "ADA", zap.OK, 1)
}

// TestCacheSums: the key depends on user, line and password, and no two of these can be
// mistaken for each other.
func TestCacheSums(t *testing.T) {
	v, other := newVerified(10), newVerified(10)
	seen := make(map[sum]bool)
	for _, s := range []sum{
		v.sum("ada", "hash", "secret"), v.sum("ad", "ahash", "secret"), v.sum("ada", "hashs", "ecret"),
		v.sum("bob", "hash", "secret"), v.sum("ada", "hash2", "secret"), v.sum("ada", "hash", "secret2"),
		other.sum("ada", "hash", "secret"),
	} {
		if seen[s] {
			t.Error("two sums are equal")
		}
		seen[s] = true
	}
	for i := range 1000 {
		user := fmt.Sprint(i)
		v.add(user, v.sum(user, "hash", "secret"))
		if !v.has(user, v.sum(user, "hash", "secret")) || len(v.sums) > 10 {
			t.Fatalf("user %d: %d remembered", i, len(v.sums))
		}
	}
}

// TestOneHashForOneAccount: of many clients that log in to one account at the same time, more than
// the queue has room for, one causes a hash, and all are logged in.
func TestOneHashForOneAccount(t *testing.T) {
	a, err := New(Options{File: users(t, "ada"), Concurrency: 1, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, a.Close())
	synctest.Test(t, func(t *testing.T) {
		hashed := 0
		a.compare = func(_, _ []byte) error {
			hashed++
			time.Sleep(time.Second)
			return nil
		}
		var logins sync.WaitGroup
		for range maxWaiting + 1000 {
			logins.Go(func() {
				if r := zap.Decide(t.Context(), a, plain("ada", "ADA")); r.Status != zap.OK {
					t.Errorf("status %d: %s", r.Status, r.Text)
				}
			})
		}
		logins.Wait()
		if hashed != 1 {
			t.Errorf("%d hashes", hashed)
		}
	})
}

// TestSameTimeForUnknown: logins with the same wrong password at the same time take as long for an unknown user as
// for a known one.
func TestSameTimeForUnknown(t *testing.T) {
	a, err := New(Options{File: users(t, "ada"), Concurrency: 4, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, a.Close())
	synctest.Test(t, func(t *testing.T) {
		a.compare = func(_, _ []byte) error {
			time.Sleep(time.Second)
			return bcrypt.ErrMismatchedHashAndPassword
		}
		took := func(user string) time.Duration {
			start := time.Now()
			var logins sync.WaitGroup
			for i := range 3 {
				logins.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					if r := zap.Decide(t.Context(), a, plain(user, "wrong")); r.Status != zap.Refused {
						t.Errorf("%s: status %d: %s", user, r.Status, r.Text)
					}
				})
			}
			logins.Wait()
			return time.Since(start)
		}
		if known, unknown := took("ada"), took("eve"); known != unknown {
			t.Errorf("%v for a known user, %v for an unknown one", known, unknown)
		}
	})
}

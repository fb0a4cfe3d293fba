package htpasswd

import (
	"bytes"
	"context"
	"errors"
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

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users writes a file with a line for each name. The password is the name in capitals.
func users(t testing.TB, names ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	rewriteUsers(t, file, names...)
	return file
}

func rewriteUsers(t testing.TB, file string, names ...string) {
	t.Helper()
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%s:%s\n", n, hashOf(t, strings.ToUpper(n), "2y"))
	}
	must(t, os.WriteFile(file+".tmp", []byte(b.String()), 0o600))
	must(t, os.Rename(file+".tmp", file))
}

func open(t testing.TB, file string) *Authenticator {
	t.Helper()
	a, err := New(Options{File: file, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

func plain(user, password string) *zap.Request {
	return &zap.Request{Domain: "global", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte(password)}}
}

func TestAuthenticate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	long := strings.Repeat("x", MaxPassword)
	lines := "ada:" + hashOf(t, "2a", "2a") + "\nbob:" + hashOf(t, "2b", "2b") + "\ncarol:" + hashOf(t, "2y", "2y") + "\nlong:" + hashOf(t, long, "2y")
	must(t, os.WriteFile(file, []byte(lines), 0o600))
	a := open(t, file)
	for name, c := range map[string]struct {
		req    *zap.Request
		status zap.Status // 0: pass
	}{
		"$2a$":            {plain("ada", "2a"), zap.OK},
		"$2b$":            {plain("bob", "2b"), zap.OK},
		"$2y$":            {plain("carol", "2y"), zap.OK},
		"wrong password":  {plain("ada", "2b"), zap.Refused},
		"empty password":  {plain("ada", ""), zap.Refused},
		"72 bytes":        {plain("long", long), zap.OK},
		"73 bytes":        {plain("long", long+"x"), zap.Refused},
		"another case":    {plain("Ada", "2a"), 0},
		"unknown user":    {plain("eve", "2a"), 0},
		"empty user":      {plain("", "2a"), 0},
		"NULL":            {&zap.Request{Mechanism: zap.NULL}, 0},
		"BEARER":          {&zap.Request{Mechanism: zap.BEARER, Credentials: [][]byte{[]byte("ada")}}, 0},
		"PLAIN without":   {&zap.Request{Mechanism: zap.PLAIN}, 0},
		"line feed":       {plain("ada\nbob", "2a"), 0},
		"colon":           {plain("ada:"+hashOf(t, "2a", "2a"), "2a"), 0},
		"a comment":       {plain("#", ""), 0},
		"user with a NUL": {plain("ada\x00", "2a"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := a.Authenticate(t.Context(), c.req)
			if c.status == 0 {
				if !errors.Is(err, zap.ErrPass) {
					t.Errorf("reply %v, error %v, want a pass", reply, err)
				}
				return
			}
			if err != nil || reply.Status != c.status {
				t.Fatalf("reply %v, error %v, want %d", reply, err, c.status)
			}
			if user, password, _ := c.req.Plain(); reply.Status == zap.OK && reply.UserID != user {
				t.Errorf("user %q", reply.UserID)
			} else if password != "" && strings.Contains(reply.Text, password) {
				t.Errorf("the text repeats the password: %q", reply.Text)
			}
		})
	}
}

// TestSameCost: an unknown user's password is hashed once, like a wrong one, with the cost of
// a line of the file that is always the same for one name.
func TestSameCost(t *testing.T) {
	a := open(t, users(t, "ada", "bob", "carol"))
	var compared []string
	a.compare = func(hash, _ []byte) error {
		compared = append(compared, string(hash))
		return bcrypt.ErrMismatchedHashAndPassword
	}
	costs := func(user string) string {
		t.Helper()
		compared = nil
		if reply := zap.Decide(t.Context(), a, plain(user, "x")); reply.Status != zap.Refused {
			t.Fatalf("%s: status %d", user, reply.Status)
		}
		if len(compared) != 1 {
			t.Fatalf("%s: %d hashes, want 1", user, len(compared))
		}
		return compared[0]
	}
	known := make(map[string]bool)
	for _, hash := range a.table.Load().hashes {
		known[hash] = true
	}
	costs("ada")
	for i := range 50 {
		user := fmt.Sprintf("eve%d", i)
		if first := costs(user); !known[first] || costs(user) != first {
			t.Errorf("%s: compared with %q, then with %q", user, first, compared[0])
		}
	}
	a.table.Store(&table{})
	if hash := costs("eve"); checkHash(hash) != nil {
		t.Errorf("without users: compared with %q", hash)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(noUsers), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("the hash for no users cannot be computed: %v", err)
	}
}

// TestUnknownUserNeverComesIn: not even with the password of the line that it is compared with.
func TestUnknownUserNeverComesIn(t *testing.T) {
	a := open(t, users(t, "ada"))
	for _, user := range []string{"eve", "mallory"} {
		if reply := zap.Decide(t.Context(), a, plain(user, "ADA")); reply.Status != zap.Refused {
			t.Errorf("%s: status %d", user, reply.Status)
		}
	}
}

// TestStorm: with many concurrent logins no more hashes than the limit are computed at once,
// every hash is finished in time, and every other login is refused with advice.
func TestStorm(t *testing.T) {
	a, err := New(Options{File: users(t, "ada"), Concurrency: 3, MaxCached: -1, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, a.Close()) // the watcher does not work in the bubble
	synctest.Test(t, func(t *testing.T) {
		var now, most, hashed atomic.Int32
		a.compare = func(_, _ []byte) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			hashed.Add(1)
			now.Add(-1)
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+10*time.Millisecond)
		defer cancel()
		var logins sync.WaitGroup
		var ok, late atomic.Int32
		for range 1000 {
			logins.Go(func() {
				reply, err := a.Authenticate(ctx, plain("ada", "x"))
				if _, busy := errors.AsType[*zap.BusyError](err); busy {
					late.Add(1)
				} else if err == nil && reply.Status == zap.OK && ctx.Err() == nil {
					ok.Add(1)
				} else {
					t.Errorf("reply %v, error %v", reply, err)
				}
			})
		}
		logins.Wait()
		// Three hashes a second for ten seconds, the last of them with a second to spare.
		if most.Load() != 3 || ok.Load() != hashed.Load() || ok.Load() != 27 || ok.Load()+late.Load() != 1000 {
			t.Errorf("at most %d at once, %d hashed, %d accepted, %d refused", most.Load(), hashed.Load(), ok.Load(), late.Load())
		}
	})
}

// TestSharedBound: authenticators without a limit of their own share one.
func TestSharedBound(t *testing.T) {
	a, b := open(t, users(t, "ada")), open(t, users(t, "bob"))
	if a.queue != b.queue || a.queue.slots < 1 {
		t.Errorf("limits of %d and %d are not shared", a.queue.slots, b.queue.slots)
	}
	for processors, want := range []int{1: 1, 2, 3, 3, 4, 5} {
		if got := slotsFor(processors); processors > 0 && got != want {
			t.Errorf("%d processors: %d slots, want %d", processors, got, want)
		}
	}
}

// TestChange: users are added, changed and removed with the file, and exactly the logins of
// removed users and changed passwords are revoked.
func TestChange(t *testing.T) {
	file := users(t, "ada", "bob")
	a := open(t, file)
	changed := make(chan struct{}, 10)
	a.OnChange(func() { changed <- struct{}{} })
	ada := zap.Decide(t.Context(), a, plain("ada", "ADA"))
	bob := zap.Decide(t.Context(), a, plain("bob", "BOB"))
	if ada.Status != zap.OK || bob.Status != zap.OK || a.Revoked(ada) || a.Revoked(bob) {
		t.Fatalf("ada %d, bob %d", ada.Status, bob.Status)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	kept := strings.SplitAfter(string(text), "\n")[1] // bob's line
	must(t, os.WriteFile(file, []byte(kept+"carol:"+hashOf(t, "CAROL", "2y")+"\n"), 0o600))
	<-changed
	if !a.Revoked(ada) || a.Revoked(bob) {
		t.Errorf("revoked: ada %v, bob %v", a.Revoked(ada), a.Revoked(bob))
	}
	if r := zap.Decide(t.Context(), a, plain("carol", "CAROL")); r.Status != zap.OK {
		t.Errorf("carol: status %d", r.Status)
	}
	if _, err := a.Authenticate(t.Context(), plain("ada", "ADA")); !errors.Is(err, zap.ErrPass) {
		t.Errorf("ada: %v", err)
	}
	must(t, set(file, "bob", "another", MinCost))
	<-changed
	if !a.Revoked(bob) {
		t.Error("bob's login is not revoked although the password has changed")
	}
	if !a.Revoked(&zap.Reply{Status: zap.OK, UserID: "carol"}) {
		t.Error("a reply from elsewhere is not revoked")
	}
}

// TestBadChange: while the file is invalid or missing, no login is decided on, not even one
// whose password was verified before, and earlier logins stay. The error is logged with the
// line number, and does not prevent a later change.
func TestBadChange(t *testing.T) {
	file := users(t, "ada")
	log := &notes{lines: make(chan string, 100)}
	a, err := New(Options{File: file, Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(t, err)
	defer a.Close()
	changed := make(chan struct{}, 10)
	a.OnChange(func() { changed <- struct{}{} })
	good, err := os.ReadFile(file)
	must(t, err)
	ada := zap.Decide(t.Context(), a, plain("ada", "ADA"))
	undecided := func(when string) {
		t.Helper()
		for user, password := range map[string]string{"ada": "ADA", "bob": "BOB", "nobody": "x"} {
			if r := zap.Decide(t.Context(), a, plain(user, password)); r.Status != zap.Temporary {
				t.Errorf("%s while the file is %s: status %d, want 300", user, when, r.Status)
			}
		}
		if a.Err() == nil || a.Revoked(ada) {
			t.Errorf("the file is %s: error %v, the earlier login is revoked: %v", when, a.Err(), a.Revoked(ada))
		}
		if _, err := a.Authenticate(t.Context(), &zap.Request{Mechanism: zap.NULL}); !errors.Is(err, zap.ErrPass) {
			t.Errorf("NULL while the file is %s: %v, want a pass", when, err)
		}
	}

	must(t, os.WriteFile(file, []byte("bob:"+hashOf(t, "BOB", "2y")+"\nada:$2y$04$half"), 0o600))
	log.await(file + ":2:")
	undecided("invalid")
	<-changed // so that no cache answers
	must(t, os.Remove(file))
	log.await("no such file")
	undecided("missing")
	must(t, os.Mkdir(file, 0o700))
	log.await("not a regular file")
	undecided("a directory")
	must(t, os.Remove(file))
	must(t, os.WriteFile(file, good, 0o600))
	log.await("users can be read again")
	if r := zap.Decide(t.Context(), a, plain("ada", "ADA")); r.Status != zap.OK || a.Err() != nil || a.Revoked(ada) {
		t.Errorf("after it was put back: status %d, error %v, revoked %v", r.Status, a.Err(), a.Revoked(ada))
	}
	rewriteUsers(t, file, "carol")
	<-changed
	if r := zap.Decide(t.Context(), a, plain("carol", "CAROL")); r.Status != zap.OK || !a.Revoked(ada) {
		t.Errorf("after it was corrected: status %d, the removed user's login is revoked: %v", r.Status, a.Revoked(ada))
	}
}

// notes is a log whose lines a test can wait for.
type notes struct{ lines chan string }

func (n *notes) Write(p []byte) (int, error) {
	n.lines <- string(bytes.Clone(p))
	return len(p), nil
}

func (n *notes) await(part string) {
	for !strings.Contains(<-n.lines, part) {
	}
}

func TestNewErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "users")
	must(t, os.WriteFile(bad, []byte("\nada:{SHA}x"), 0o600))
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no file":              {Options{}, "no file"},
		"missing file":         {Options{File: bad + ".no"}, "no such file"},
		"bad line":             {Options{File: bad}, bad + ":2:"},
		"negative concurrency": {Options{File: bad, Concurrency: -1}, "-1"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func BenchmarkLogin(b *testing.B) {
	file := filepath.Join(b.TempDir(), "users")
	must(b, Set(file, "ada", "secret"))
	a := open(b, file)
	a.verified = newVerified(0)
	for b.Loop() {
		if zap.Decide(b.Context(), a, plain("ada", "secret")).Status != zap.OK {
			b.Fatal("refused")
		}
	}
}

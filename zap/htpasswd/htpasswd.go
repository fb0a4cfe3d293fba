package htpasswd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/internal/watch"
	"github.com/zwsbridge/zwsbridge/zap"
)

// hashing is the queue of the process, for any number of files. It has a slot for each processor
// but one, which is left to the traffic; for each where there are up to three, since storms of
// logins would take too long otherwise.
var hashing = sync.OnceValue(func() *queue { return newQueue(slotsFor(runtime.GOMAXPROCS(0)), cheapest()) })

func slotsFor(processors int) int {
	if processors > 3 {
		return processors - 1
	}
	return processors
}

// DefaultMaxCached is the default of [Options.MaxCached].
const DefaultMaxCached = 100_000

// Options configures an [Authenticator].
type Options struct {
	// File is the htpasswd file. It is read again when it changes. If it is then invalid or
	// missing, the error is logged, no login is decided on until it can be read again, and
	// earlier logins stay. Required.
	File string
	// Concurrency is how many hashes may be computed at the same time. 0 means one for each
	// processor, or one less if there are more than three, shared with every other
	// Authenticator of the process.
	Concurrency int
	// MaxCached is for how many users the last verified password is kept, as a keyed hash in
	// memory, so that it need not be hashed again until the file changes. 0 means
	// [DefaultMaxCached], a negative number none.
	MaxCached int
	// Waiting, if not nil, is called when a login begins to wait for its hash, and the
	// function that it returns when the wait has ended. Both must not block.
	Waiting func() (done func())
	// Logger gets a line when a changed file was read or is invalid. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Authenticator is a [zap.Handler] and a [zap.Revoker]. It answers PLAIN for the users in the
// file, with 200 or, for a wrong password, 400. It passes every other request; passing an
// unknown user takes as long as refusing a wrong password, see [zap.PassError].
//
// Logins wait in a queue for their hash, in which shares ([zap.WithShare]) and, of requests
// without a share, client networks take turns. A login whose
// hash would not be finished before the deadline of its context is refused at once with a
// [*zap.BusyError], status 300. No hash is computed for a login whose context has ended.
// An Authenticator is safe for concurrent use.
type Authenticator struct {
	file     string
	log      *slog.Logger
	queue    *queue
	waiting  func() (done func())
	verified *verified
	compare  func(hash, password []byte) error // bcrypt
	seed     maphash.Seed
	table    atomic.Pointer[table] // as last read without an error
	broken   atomic.Pointer[error] // why the file cannot be read now; nil if it can
	watcher  *watch.Watcher
	changes  zap.Changes
}

// basis is the line of the file that a login depends on.
type basis struct{ user, hash string }

// New reads the file and watches it until Close. An invalid file is an error.
func New(o Options) (*Authenticator, error) {
	if o.File == "" {
		return nil, errors.New("htpasswd: no file")
	}
	if o.Concurrency < 0 {
		return nil, fmt.Errorf("htpasswd: concurrency %d: want 0 or more", o.Concurrency)
	}
	a := &Authenticator{
		file:    o.File,
		log:     o.Logger,
		queue:   hashing(),
		waiting: o.Waiting,
		compare: bcrypt.CompareHashAndPassword,
		seed:    maphash.MakeSeed(),
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if o.Concurrency > 0 {
		a.queue = newQueue(o.Concurrency, cheapest())
	}
	if a.waiting == nil {
		a.waiting = func() func() { return func() {} }
	}
	a.verified = newVerified(max(0, cmp.Or(o.MaxCached, DefaultMaxCached)))
	w, err := watch.Start(o.File, a.load, a.log)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	a.watcher = w
	return a, nil
}

// load reads the file and puts it in force.
func (a *Authenticator) load() error {
	t, err := read(a.file)
	if err != nil {
		if a.broken.Swap(&err) == nil && a.table.Load() != nil {
			a.changes.Notify() // so that nobody uses a reply from before
		}
		return err
	}
	if a.broken.Swap(nil) != nil {
		a.log.Info("users can be read again", "file", a.file)
	}
	old := a.table.Swap(t)
	if old == nil || maps.Equal(old.hashes, t.hashes) {
		return nil
	}
	a.verified.clear()
	a.log.Info("users changed", "file", a.file, "users", len(t.users))
	a.changes.Notify()
	return nil
}

// Err returns why the file cannot be read at present, so that nobody can log in; nil if it can.
func (a *Authenticator) Err() error {
	if err := a.broken.Load(); err != nil {
		return fmt.Errorf("htpasswd: %w", *err)
	}
	return nil
}

// Backlog returns how long the logins that wait for their hash will take, in all files that share
// the queue.
func (a *Authenticator) Backlog() time.Duration { return a.queue.backlog() }

// HashTime returns the time for each login when many are judged one after the other on all processors; 0
// if no hash was computed yet, or again is set and passwords are remembered: the user has logged in before.
func (a *Authenticator) HashTime(again bool) time.Duration {
	if again && a.verified.max > 0 {
		return 0
	}
	return a.queue.hashTime()
}

// Close stops watching the file. It must not be called from a function that was registered
// with OnChange.
func (a *Authenticator) Close() error { return a.watcher.Close() }

// Authenticate implements [zap.Handler].
func (a *Authenticator) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	user, password, ok := req.Plain()
	if !ok || user == "" {
		return nil, zap.Pass("no user name and password")
	}
	if err := a.Err(); err != nil {
		return nil, err
	}
	t := a.table.Load()
	hash, known := t.hashes[user]
	if !known {
		return nil, &zap.PassError{Reason: "unknown user", Work: func(ctx context.Context) error {
			_, err := a.verify(ctx, login{user: user, password: password, hash: a.decoy(t, user), from: partyOf(ctx, req)})
			return err
		}}
	}
	switch right, err := a.verify(ctx, login{user, password, hash, known, partyOf(ctx, req)}); {
	case err != nil:
		return nil, err
	case !right:
		return &zap.Reply{Status: zap.Refused, Text: fmt.Sprintf("wrong password for %q", user)}, nil
	}
	if err := a.Err(); err != nil { // while the hash was computed
		return nil, err
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Basis: basis{user, hash}}, nil
}

// login is a password that is to be compared with a hash.
type login struct {
	user, password string
	hash           string // a line of the file
	known          bool   // the line is that of the user
	from           party
}

// verify reports whether the password is right: because that is known from an earlier login of
// the user, or by computing a hash once there is a slot. A password that is too long for bcrypt
// is wrong but takes as long as any other.
func (a *Authenticator) verify(ctx context.Context, l login) (bool, error) {
	sum := a.verified.sum(l.user, l.hash, l.password)
	if l.known && a.verified.has(l.user, sum) {
		return true, nil
	}
	if right, err := a.await(ctx, l, sum); right || err != nil {
		return right, err
	}
	cost, err := bcrypt.Cost([]byte(l.hash))
	if err != nil {
		return false, fmt.Errorf("htpasswd: %w", err)
	}
	done := a.waiting()
	err = a.enter(ctx, l.from, cost)
	done()
	if err != nil {
		return false, err
	}
	defer zap.GuardOf(ctx).Leave()
	if l.known && a.verified.has(l.user, sum) { // another login of the user was faster
		a.queue.leave(cost, 0)
		return true, nil
	}
	defer a.verified.begin(sum)() // also for an unknown user, so that further logins wait as those of a known one
	right, err := a.compareInSlot(l, cost)
	if right && l.known {
		a.verified.add(l.user, sum)
	}
	return right, err
}

// await waits while another login computes the hash of the same password, and reports whether that
// was right. Thousands of clients of one user that come back together need one hash, and neither
// their places in the queue nor advice to come later.
func (a *Authenticator) await(ctx context.Context, l login, s sum) (bool, error) {
	compared := a.verified.awaited(s)
	if compared == nil {
		return false, nil
	}
	defer a.waiting()()
	select {
	case <-compared:
		return l.known && a.verified.has(l.user, s), nil
	case <-ctx.Done():
		return false, left(ctx)
	}
}

// enter waits for a slot and for the guard of ctx. The guard comes second, so that logins wait in
// the queue, which knows when their turn is; a login that has to wait for the guard too gives its
// slot to another one meanwhile.
func (a *Authenticator) enter(ctx context.Context, from party, cost int) error {
	guard := zap.GuardOf(ctx)
	if err := a.queue.enter(ctx, from, cost); err != nil {
		return err
	}
	ok, err := guard.TryEnter()
	if ok {
		return nil
	}
	a.queue.leave(cost, 0)
	if err == nil {
		err = guard.Enter(ctx)
	}
	if err != nil {
		return err
	}
	if err := a.queue.enter(ctx, from, cost); err != nil {
		guard.Leave()
		return err
	}
	return nil
}

// Guarded implements [zap.Guarded].
func (a *Authenticator) Guarded() {}

// compareInSlot computes a hash and gives the slot back.
func (a *Authenticator) compareInSlot(l login, cost int) (bool, error) {
	start := time.Now()
	defer func() { a.queue.leave(cost, time.Since(start)) }()
	err := a.compare([]byte(l.hash), []byte(l.password[:min(len(l.password), MaxPassword)]))
	switch {
	case err == nil:
		return len(l.password) <= MaxPassword, nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, nil
	}
	return false, fmt.Errorf("htpasswd: %w", err)
}

// noUsers replaces the hash of a user if the file is empty. It matches no known password.
const noUsers = "$2y$10$......................///////////////////////////////"

// decoy returns the hash that an unknown user's password is compared with, for the time that
// this takes. It is one from the file, since costs differ, and always the same for one name,
// as it would be for a known user.
func (a *Authenticator) decoy(t *table, user string) string {
	if len(t.users) == 0 {
		return noUsers
	}
	return t.hashes[t.users[maphash.String(a.seed, user)%uint64(len(t.users))]]
}

// OnChange registers f to be called after users or their passwords have changed.
func (a *Authenticator) OnChange(f func()) (stop func()) { return a.changes.OnChange(f) }

// Revoked reports whether the line that the login depends on has changed: the user was removed
// or has another password.
func (a *Authenticator) Revoked(reply *zap.Reply) bool {
	g, ok := reply.Basis.(basis)
	return !ok || a.table.Load().hashes[g.user] != g.hash
}

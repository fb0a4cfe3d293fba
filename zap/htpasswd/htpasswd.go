package htpasswd

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/fair"
	"github.com/zwsbridge/zwsbridge/zap/internal/watch"
)

// hashing limits how many hashes the process computes at the same time, for any number of
// files, to half of the processors and at least one. The rest is left to the traffic when many
// clients log in at once.
var hashing = fair.New(max(1, runtime.GOMAXPROCS(0)/2))

// Options configures an [Authenticator].
type Options struct {
	// File is the htpasswd file. It is read again when it changes. If it is then invalid,
	// the error is logged and the previous users stay in force. Required.
	File string
	// Concurrency is how many hashes may be computed at the same time. 0 means half of the
	// processors, shared with every other Authenticator of the process.
	Concurrency int
	// Logger gets a line when a changed file was read or is invalid. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Authenticator is a [zap.Handler] and a [zap.Revoker]. It answers PLAIN for the users in the
// file, with 200 or, for a wrong password, 400. It passes every other request; passing an
// unknown user takes as long as refusing a wrong password, see [zap.PassError].
//
// A login whose context ends before a hash could be computed for it is an error, status 300.
// An Authenticator is safe for concurrent use.
type Authenticator struct {
	file    string
	log     *slog.Logger
	slots   *fair.Slots                       // for hashes
	compare func(hash, password []byte) error // bcrypt
	seed    maphash.Seed
	table   atomic.Pointer[table]
	watcher *watch.Watcher
	changes zap.Changes
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
		slots:   hashing,
		compare: bcrypt.CompareHashAndPassword,
		seed:    maphash.MakeSeed(),
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if o.Concurrency > 0 {
		a.slots = fair.New(o.Concurrency)
	}
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
		return err
	}
	old := a.table.Swap(t)
	if old == nil || maps.Equal(old.hashes, t.hashes) {
		return nil
	}
	a.log.Info("users changed", "file", a.file, "users", len(t.users))
	a.changes.Notify()
	return nil
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
	t := a.table.Load()
	hash, known := t.hashes[user]
	if !known {
		return nil, &zap.PassError{Reason: "unknown user", Work: func(ctx context.Context) error {
			_, err := a.verify(ctx, a.decoy(t, user), password)
			return err
		}}
	}
	switch right, err := a.verify(ctx, hash, password); {
	case err != nil:
		return nil, err
	case !right:
		return &zap.Reply{Status: zap.Refused, Text: fmt.Sprintf("wrong password for %q", user)}, nil
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Basis: basis{user, hash}}, nil
}

// verify computes a hash once a slot is free. A password that is too long for bcrypt is wrong
// but takes as long as any other.
func (a *Authenticator) verify(ctx context.Context, hash, password string) (bool, error) {
	if err := a.slots.Acquire(ctx); err != nil {
		return false, fmt.Errorf("htpasswd: too many concurrent logins: %w", err)
	}
	defer a.slots.Release()
	fits := len(password) <= MaxPassword
	err := a.compare([]byte(hash), []byte(password[:min(len(password), MaxPassword)]))
	switch {
	case err == nil:
		return fits, nil
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

// Package htpasswd is a ZAP authenticator for PLAIN whose users stand in a file as Apache
// and nginx know it, one "user:hash" a line, with bcrypt hashes and no others.
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
	"github.com/zwsbridge/zwsbridge/zap/internal/watch"
)

// hashing bounds how many hashes the process computes at the same time, whatever number of
// files it has: half of the processors, so that a storm of logins leaves the other half to
// the traffic, and at least one.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// Options describe an [Authenticator].
type Options struct {
	// File is the htpasswd file. It is read again when it changes; one that then cannot be
	// read or parsed changes nothing and is logged.
	File string
	// Concurrency is how many hashes may be computed at the same time; 0 shares the bound
	// of half of the processors with every other Authenticator of the process.
	Concurrency int
	// Logger gets a line when a changed file was read, or could not be. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Authenticator is a [zap.Handler] and a [zap.Revoker]. It answers PLAIN with a user that
// the file knows: 200, or 400 for a wrong password. It passes everything else. An unknown
// user costs the same as a wrong password, see [zap.PassError].
//
// A login waits for its turn to be hashed until its context is done, which is an error,
// status 300. An Authenticator is safe for concurrent use.
type Authenticator struct {
	file    string
	log     *slog.Logger
	slots   chan struct{}
	compare func(hash, password []byte) error // bcrypt
	seed    maphash.Seed
	table   atomic.Pointer[table]
	watcher *watch.Watcher
	changes zap.Changes
}

// basis is what a login rests on: the line of the file.
type basis struct{ user, hash string }

// New reads the file and watches it until Close.
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
		a.slots = make(chan struct{}, o.Concurrency)
	}
	w, err := watch.Start(o.File, a.load, a.log)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	a.watcher = w
	return a, nil
}

// load reads the file and makes it the one in force.
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

// Close stops watching the file. It must not be called from a function that is registered
// with OnChange.
func (a *Authenticator) Close() error { return a.watcher.Close() }

// Authenticate decides on a PLAIN login.
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

// verify computes one hash when its turn has come. A password that is too long for bcrypt
// is wrong, and costs as much as another.
func (a *Authenticator) verify(ctx context.Context, hash, password string) (bool, error) {
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return false, fmt.Errorf("htpasswd: too many logins at once: %w", context.Cause(ctx))
	}
	defer func() { <-a.slots }()
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

// noUsers is compared with where the file is empty. No password is known for it.
const noUsers = "$2y$10$......................///////////////////////////////"

// decoy picks the line whose hash an unknown user's password is compared with, for the
// time that it takes: always the same for one name, as it would be for a known one, and
// one of the file's, since lines differ in cost.
func (a *Authenticator) decoy(t *table, user string) string {
	if len(t.users) == 0 {
		return noUsers
	}
	return t.hashes[t.users[maphash.String(a.seed, user)%uint64(len(t.users))]]
}

// OnChange has f called after the file's users or their passwords have changed.
func (a *Authenticator) OnChange(f func()) (stop func()) { return a.changes.OnChange(f) }

// Revoked tells whether the line that let the user in is no longer in the file as it was:
// the user has gone, or has another password.
func (a *Authenticator) Revoked(reply *zap.Reply) bool {
	g, ok := reply.Basis.(basis)
	return !ok || a.table.Load().hashes[g.user] != g.hash
}

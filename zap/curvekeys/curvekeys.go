package curvekeys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/watch"
	"github.com/zwsbridge/zwsbridge/zap"
)

// AllowAny instead of a directory permits every key; the user id is the key in Z85.
const AllowAny = "*"

// MaxKeys is the largest number of files in a directory.
const MaxKeys = 100_000

// userID is the property of a certificate that holds the user id.
const userID = "user-id"

// Options configures an [Authenticator].
type Options struct {
	// Dir is the directory, or [AllowAny]. Every file in it is a public certificate, except
	// names that begin with a dot or end with "~", and names that end with "_secret", which
	// do not belong there and are logged. It is read again when it changes. Required.
	Dir string
	// Logger gets a line when the keys have changed and for every file that is invalid. Nil
	// means slog.Default().
	Logger *slog.Logger
}

// Authenticator is a [zap.Handler] and a [zap.Revoker]. It answers CURVE with 200 for keys in
// the directory and passes every other request. The user id is the certificate's property
// user-id, or the key in Z85 if there is none; the other properties become the reply's
// metadata. It is safe for concurrent use.
type Authenticator struct {
	dir     string // "" with AllowAny
	log     *slog.Logger
	keys    atomic.Pointer[table]
	broken  atomic.Pointer[error] // why the directory cannot be read now; nil if it can
	watcher *watch.Watcher        // nil with AllowAny
	changes zap.Changes
}

// table is the content of the directory. It is immutable.
type table struct {
	byKey  map[[certs.KeySize]byte]client
	byFile map[string][certs.KeySize]byte
}

// client is a permitted key's user.
type client struct {
	user     string
	metadata zap.Metadata
}

func (c client) equal(d client) bool {
	return c.user == d.user && slices.Equal(c.metadata, d.metadata)
}

// basis is what a login depends on.
type basis struct {
	key    [certs.KeySize]byte
	client client
}

// New reads the directory and watches it until Close. An invalid certificate is logged and
// has no key; one that can no longer be read keeps its key until it is readable again or
// removed. While the directory cannot be read, no login is decided on, and earlier ones stay.
// Two files with the same key but different users are an error. When they appear
// later they are logged.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{log: o.Logger}
	if a.log == nil {
		a.log = slog.Default()
	}
	switch o.Dir {
	case AllowAny:
		return a, nil
	case "":
		return nil, errors.New("curve: no directory; \"*\" permits every key")
	}
	a.dir = o.Dir
	w, err := watch.Start(o.Dir, a.load, a.log)
	if err != nil {
		return nil, fmt.Errorf("curve: %w", err)
	}
	a.watcher = w
	return a, nil
}

// Check reads a directory as [New] does. ignored are the reasons why files in it have no key;
// err is that for which New fails.
func Check(dir string) (ignored []error, err error) {
	_, ignored, err = readDir(dir, nil)
	return ignored, err
}

// load reads the directory and puts its keys in force.
func (a *Authenticator) load() error {
	old := a.keys.Load()
	next, problems, err := readDir(a.dir, old)
	for _, problem := range problems {
		a.log.Error("invalid key file", "error", problem)
	}
	if err != nil {
		if a.broken.Swap(&err) == nil && old != nil {
			a.changes.Notify() // so that nobody uses a reply from before
		}
		return err
	}
	a.broken.Store(nil)
	a.keys.Store(next)
	if old != nil && !maps.EqualFunc(old.byKey, next.byKey, client.equal) {
		a.log.Info("keys changed", "directory", a.dir, "keys", len(next.byKey))
		a.changes.Notify()
	}
	return nil
}

// readDir reads the directory; old is its content before, nil at first. problems are about
// files that are ignored or keep their key.
func readDir(dir string, old *table) (next *table, problems []error, err error) {
	files, problems, err := list(dir)
	if err != nil {
		return nil, problems, err
	}
	next = &table{make(map[[certs.KeySize]byte]client), make(map[string][certs.KeySize]byte)}
	for _, file := range files {
		cert, err := certs.ReadPublic(filepath.Join(dir, file))
		switch {
		case err == nil:
			err = next.add(file, cert.Public, clientOf(cert))
			if err != nil && old == nil {
				return nil, problems, fmt.Errorf("%s: %w", dir, err)
			}
		case old == nil || errors.Is(err, fs.ErrNotExist):
		default:
			if key, held := old.byFile[file]; held {
				err = errors.Join(fmt.Errorf("%w; it keeps its key", err), next.add(file, key, old.byKey[key]))
			}
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return next, problems, nil
}

// list returns the names of the certificates, sorted, and problems with other files.
func list(dir string) (files []string, problems []error, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, "."), strings.HasSuffix(name, "~"):
		case strings.HasSuffix(name, certs.SecretSuffix):
			problems = append(problems, fmt.Errorf("%s: secret key in a directory of public keys: only the client should have it", filepath.Join(dir, name)))
		case e.IsDir():
		case blocks(filepath.Join(dir, name)):
			problems = append(problems, fmt.Errorf("%s: not a regular file", filepath.Join(dir, name)))
		default:
			files = append(files, name)
		}
	}
	if len(files) > MaxKeys {
		return nil, problems, fmt.Errorf("%s: %d files, at most %d", dir, len(files), MaxKeys)
	}
	return files, problems, nil
}

// blocks reports whether file is something other than a file. Opening a FIFO would wait for
// somebody who writes to it.
func blocks(file string) bool {
	info, err := os.Stat(file)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// clientOf converts a certificate's properties.
func clientOf(cert *certs.Certificate) client {
	c := client{user: certs.EncodeKey(cert.Public)}
	for _, p := range cert.Metadata {
		switch {
		case p.Name == userID && p.Value != "":
			c.user = p.Value
		case p.Name != userID && zap.ValidName(p.Name):
			c.metadata = append(c.metadata, zap.Property{Name: p.Name, Value: p.Value})
		}
	}
	return c
}

func (t *table) add(file string, key [certs.KeySize]byte, c client) error {
	if other, ok := t.byKey[key]; ok && !other.equal(c) {
		return fmt.Errorf("%s: the same key with other properties is in another file (user %q there, %q here)", file, other.user, c.user)
	}
	t.byKey[key] = c
	t.byFile[file] = key
	return nil
}

// Err returns why the directory cannot be read at present, so that nobody can log in; nil if it
// can.
func (a *Authenticator) Err() error {
	if err := a.broken.Load(); err != nil {
		return fmt.Errorf("curve: %w", *err)
	}
	return nil
}

// Close stops watching the directory. It must not be called from a function that was
// registered with OnChange.
func (a *Authenticator) Close() error {
	if a.watcher == nil {
		return nil
	}
	return a.watcher.Close()
}

// Authenticate implements [zap.Handler].
func (a *Authenticator) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.CURVE || len(req.Credentials) != 1 || len(req.Credentials[0]) != certs.KeySize {
		return nil, zap.Pass("no CURVE key")
	}
	key := [certs.KeySize]byte(req.Credentials[0])
	if a.dir == "" {
		return &zap.Reply{Status: zap.OK, Text: "OK", UserID: certs.EncodeKey(key)}, nil
	}
	if err := a.Err(); err != nil {
		return nil, err
	}
	c, ok := a.keys.Load().byKey[key]
	if !ok {
		return nil, zap.Pass("unknown key %s", certs.EncodeKey(key))
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: c.user, Metadata: c.metadata, Basis: basis{key, c}}, nil
}

// Guarded implements [zap.Guarded]: a key cannot be guessed.
func (a *Authenticator) Guarded() {}

// OnChange registers f to be called after a key, its user or its properties have changed.
func (a *Authenticator) OnChange(f func()) (stop func()) { return a.changes.OnChange(f) }

// Revoked reports whether the key was removed from the directory or now has another user or
// other properties.
func (a *Authenticator) Revoked(reply *zap.Reply) bool {
	if a.dir == "" {
		return false
	}
	g, ok := reply.Basis.(basis)
	if !ok {
		return true
	}
	c, ok := a.keys.Load().byKey[g.key]
	return !ok || !c.equal(g.client)
}

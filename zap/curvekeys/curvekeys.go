// Package curvekeys is a ZAP authenticator for CURVE: the keys that may come in stand in a
// folder, one public certificate in czmq's zcert format a file.
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
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/watch"
)

// AllowAny in place of a folder lets every key in; the user is the key in Z85.
const AllowAny = "*"

// MaxKeys is how many keys a folder may hold.
const MaxKeys = 100_000

// userID is the property of a certificate that names its user.
const userID = "user-id"

// Options describe an [Authenticator].
type Options struct {
	// Dir is the folder, or [AllowAny]. Every file in it is a public certificate, except
	// those whose name begins with a dot, ends with "~" or ends with "_secret" (which have
	// no place there, and are logged). The folder is read again when it changes.
	Dir string
	// Logger gets a line when the keys have changed and for every file that cannot be
	// used. Nil means slog.Default().
	Logger *slog.Logger
}

// Authenticator is a [zap.Handler] and a [zap.Revoker]. It answers CURVE with a key that
// the folder holds with 200, and passes everything else. The user is the certificate's
// user-id, or the key in Z85 if it has none; the certificate's other metadata go into the
// reply. It is safe for concurrent use.
type Authenticator struct {
	dir     string // "" with AllowAny
	log     *slog.Logger
	keys    atomic.Pointer[table]
	watcher *watch.Watcher // nil with AllowAny
	changes zap.Changes
}

// table is what the folder held. It is never changed once it is made.
type table struct {
	byKey  map[[certs.KeySize]byte]client
	byFile map[string][certs.KeySize]byte
}

// client is one allowed key.
type client struct {
	user     string
	metadata zap.Metadata
}

func (c client) equal(d client) bool {
	return c.user == d.user && slices.Equal(c.metadata, d.metadata)
}

// basis is what a login rests on.
type basis struct {
	key    [certs.KeySize]byte
	client client
}

// New reads the folder and watches it until Close. A file that is no public certificate,
// and two files that give one key to two users, are errors here. Later they are logged: a
// file that can no longer be read keeps the key that it had until it can be or is removed.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{log: o.Logger}
	if a.log == nil {
		a.log = slog.Default()
	}
	switch o.Dir {
	case AllowAny:
		return a, nil
	case "":
		return nil, errors.New("curve: no folder; \"*\" lets every key in")
	}
	a.dir = o.Dir
	w, err := watch.Start(o.Dir, a.load, a.log)
	if err != nil {
		return nil, fmt.Errorf("curve: %w", err)
	}
	a.watcher = w
	return a, nil
}

// load reads the folder and makes its keys those in force.
func (a *Authenticator) load() error {
	files, err := a.files()
	if err != nil {
		return err
	}
	old := a.keys.Load()
	next := &table{make(map[[certs.KeySize]byte]client), make(map[string][certs.KeySize]byte)}
	for _, file := range files {
		key, c, err := a.read(file, old)
		if err == nil {
			err = next.add(file, key, c)
		}
		if err != nil && old == nil {
			return err
		} else if err != nil {
			a.log.Error("key file that cannot be used", "error", err)
		}
	}
	a.keys.Store(next)
	if old != nil && !maps.EqualFunc(old.byKey, next.byKey, client.equal) {
		a.log.Info("keys changed", "folder", a.dir, "keys", len(next.byKey))
		a.changes.Notify()
	}
	return nil
}

// files lists the names that count, in order.
func (a *Authenticator) files() ([]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, "."), strings.HasSuffix(name, "~"):
		case strings.HasSuffix(name, certs.SecretSuffix):
			a.log.Warn("secret key in a folder of public keys: it belongs to the client alone", "file", filepath.Join(a.dir, name))
		case e.IsDir():
		default:
			files = append(files, name)
		}
	}
	if len(files) > MaxKeys {
		return nil, fmt.Errorf("%s: %d files, at most %d", a.dir, len(files), MaxKeys)
	}
	return files, nil
}

// read reads one file, or has it keep what it held in old.
func (a *Authenticator) read(file string, old *table) (key [certs.KeySize]byte, c client, err error) {
	cert, err := certs.ReadPublic(filepath.Join(a.dir, file))
	if err == nil {
		return cert.Public, clientOf(cert), nil
	}
	if old == nil || errors.Is(err, fs.ErrNotExist) {
		return key, c, err
	}
	key, held := old.byFile[file]
	if !held {
		return key, c, err
	}
	a.log.Error("key file that cannot be read: its key stays as it was", "error", err)
	return key, old.byKey[key], nil
}

// clientOf makes of a certificate's metadata a user and a reply's metadata.
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
		return fmt.Errorf("%s: its key is in another file too, with other metadata (user %q there, %q here)", file, other.user, c.user)
	}
	t.byKey[key] = c
	t.byFile[file] = key
	return nil
}

// Close stops watching the folder. It must not be called from a function that is
// registered with OnChange.
func (a *Authenticator) Close() error {
	if a.watcher == nil {
		return nil
	}
	return a.watcher.Close()
}

// Authenticate decides on a CURVE login.
func (a *Authenticator) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.CURVE || len(req.Credentials) != 1 || len(req.Credentials[0]) != certs.KeySize {
		return nil, zap.Pass("no CURVE key")
	}
	key := [certs.KeySize]byte(req.Credentials[0])
	if a.dir == "" {
		return &zap.Reply{Status: zap.OK, Text: "OK", UserID: certs.EncodeKey(key)}, nil
	}
	c, ok := a.keys.Load().byKey[key]
	if !ok {
		return nil, zap.Pass("unknown key %s", certs.EncodeKey(key))
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: c.user, Metadata: c.metadata, Basis: basis{key, c}}, nil
}

// OnChange has f called after a key, its user or its metadata have changed.
func (a *Authenticator) OnChange(f func()) (stop func()) { return a.changes.OnChange(f) }

// Revoked tells whether the key is no longer in the folder, or stands for another user or
// with other metadata.
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

package curvekeys

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a public certificate into dir; properties are pairs of names and values.
func put(t *testing.T, dir, file string, properties ...string) *certs.Certificate {
	t.Helper()
	c, err := certs.New()
	must(t, err)
	write(t, dir, file, c, properties...)
	return c
}

func write(t *testing.T, dir, file string, c *certs.Certificate, properties ...string) {
	t.Helper()
	for i := 0; i < len(properties); i += 2 {
		c.SetMeta(properties[i], properties[i+1])
	}
	text, err := c.PublicText()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
}

func open(t *testing.T, dir string) (a *Authenticator, changed chan struct{}) {
	t.Helper()
	a, err := New(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { a.Close() })
	changed = make(chan struct{}, 100)
	a.OnChange(func() { changed <- struct{}{} })
	return a, changed
}

func curve(key []byte) *zap.Request {
	return &zap.Request{Domain: "devices", Mechanism: zap.CURVE, Credentials: [][]byte{key}}
}

func TestAuthenticate(t *testing.T) {
	dir := t.TempDir()
	stove := put(t, dir, "stove", "user-id", "stove", "Send", "house/7/", "name", "The stove", "odd@name", "x")
	nameless := put(t, dir, "nameless")
	hidden := put(t, dir, ".hidden")
	backup := put(t, dir, "stove~")
	stranger, err := certs.New()
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "directory"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "x_secret"), []byte("not looked at"), 0o600))
	a, _ := open(t, dir)

	reply, err := a.Authenticate(t.Context(), curve(stove.Public[:]))
	must(t, err)
	if reply.Status != zap.OK || reply.UserID != "stove" {
		t.Errorf("stove: %+v", reply)
	}
	if d := cmp.Diff(zap.Metadata{{Name: "Send", Value: "house/7/"}, {Name: "name", Value: "The stove"}}, reply.Metadata); d != "" {
		t.Error(d)
	}
	reply, err = a.Authenticate(t.Context(), curve(nameless.Public[:]))
	if err != nil || reply.UserID != certs.EncodeKey(nameless.Public) {
		t.Errorf("nameless: %+v, %v", reply, err)
	}
	for name, req := range map[string]*zap.Request{
		"a stranger": curve(stranger.Public[:]),
		"hidden":     curve(hidden.Public[:]),
		"a backup":   curve(backup.Public[:]),
		"31 bytes":   curve(stove.Public[:31]),
		"no key":     {Mechanism: zap.CURVE},
		"NULL":       {Mechanism: zap.NULL},
		"PLAIN":      {Mechanism: zap.PLAIN, Credentials: [][]byte{stove.Public[:], nil}},
	} {
		if reply, err := a.Authenticate(t.Context(), req); !errors.Is(err, zap.ErrPass) {
			t.Errorf("%s: reply %v, error %v, want a pass", name, reply, err)
		}
	}
}

func TestAllowAny(t *testing.T) {
	a, err := New(Options{Dir: AllowAny})
	must(t, err)
	defer a.Close()
	c, err := certs.New()
	must(t, err)
	reply, err := a.Authenticate(t.Context(), curve(c.Public[:]))
	if err != nil || reply.Status != zap.OK || reply.UserID != certs.EncodeKey(c.Public) || a.Revoked(reply) {
		t.Errorf("reply %+v, error %v", reply, err)
	}
	if _, err := a.Authenticate(t.Context(), curve(c.Public[:31])); !errors.Is(err, zap.ErrPass) {
		t.Errorf("31 bytes: %v", err)
	}
}

// TestChange: keys are added and removed and change their users with the directory, and
// exactly the affected logins are revoked.
func TestChange(t *testing.T) {
	dir := t.TempDir()
	stove, lamp := put(t, dir, "stove", "user-id", "stove"), put(t, dir, "lamp", "user-id", "lamp")
	a, changed := open(t, dir)
	login := func(c *certs.Certificate) *zap.Reply {
		return zap.Decide(t.Context(), a, curve(c.Public[:]))
	}
	stoveReply, lampReply := login(stove), login(lamp)

	must(t, os.Remove(filepath.Join(dir, "stove")))
	<-changed
	if !a.Revoked(stoveReply) || a.Revoked(lampReply) || login(stove).Status != zap.Refused {
		t.Errorf("stove removed: revoked %v, lamp revoked %v", a.Revoked(stoveReply), a.Revoked(lampReply))
	}
	door := put(t, dir, "door", "user-id", "door")
	<-changed
	if r := login(door); r.Status != zap.OK || r.UserID != "door" {
		t.Errorf("door added: %+v", r)
	}
	write(t, dir, "lamp", lamp, "Subscribe", "lamp/")
	<-changed
	if !a.Revoked(lampReply) || a.Revoked(login(lamp)) {
		t.Error("the lamp's properties have changed: its login must be revoked")
	}
	if !a.Revoked(&zap.Reply{Status: zap.OK, UserID: "lamp"}) {
		t.Error("a reply from elsewhere is not revoked")
	}
}

// TestBrokenFile: a file that becomes unreadable keeps its key until it is removed, changes of
// other files take effect, and a new unreadable file has no key.
func TestBrokenFile(t *testing.T) {
	dir := t.TempDir()
	stove, lamp := put(t, dir, "stove", "user-id", "stove"), put(t, dir, "lamp", "user-id", "lamp")
	a, changed := open(t, dir)
	status := func(c *certs.Certificate) zap.Status {
		return zap.Decide(t.Context(), a, curve(c.Public[:])).Status
	}
	must(t, os.WriteFile(filepath.Join(dir, "stove"), []byte("half"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "new"), []byte("half"), 0o600))
	must(t, os.Remove(filepath.Join(dir, "lamp")))
	<-changed
	if status(stove) != zap.OK || status(lamp) != zap.Refused {
		t.Errorf("stove %d, lamp %d, want 200 and 400", status(stove), status(lamp))
	}
	must(t, os.Remove(filepath.Join(dir, "stove")))
	<-changed
	if status(stove) != zap.Refused {
		t.Errorf("stove removed: %d", status(stove))
	}
}

// TestAmbiguous: two files with the same key but different users are an error.
func TestAmbiguous(t *testing.T) {
	dir := t.TempDir()
	c := put(t, dir, "a", "user-id", "ada")
	write(t, dir, "b", c, "user-id", "bob")
	if _, err := New(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("error %v", err)
	}
	write(t, dir, "a", c, "user-id", "bob") // the same key and the same user are allowed
	a, _ := open(t, dir)
	if r := zap.Decide(t.Context(), a, curve(c.Public[:])); r.UserID != "bob" {
		t.Errorf("reply %+v", r)
	}
}

func TestNewErrors(t *testing.T) {
	for dir, want := range map[string]string{
		"":                                    "no directory",
		filepath.Join(t.TempDir(), "missing"): "no such file",
	} {
		if _, err := New(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", dir, err, want)
		}
	}
}

// TestForeignFiles: files that are not certificates stop nothing, neither at the start nor
// later; Check names each of them.
func TestForeignFiles(t *testing.T) {
	c, err := certs.New()
	must(t, err)
	secret, err := c.SecretText()
	must(t, err)
	for name, text := range map[string]string{
		"README":       "One file for each device.\n",
		"README.md":    "# Keys\n",
		"raw":          certs.EncodeKey(c.Public) + "\n",
		"binary":       string(c.Public[:]),
		"empty":        "",
		"secret":       string(secret),
		"too large":    strings.Repeat("#", certs.MaxCertificate+1),
		"stove.bak":    "curve\n    public-key = \"short\"\n",
		"stove_secret": "not looked at",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			stove := put(t, dir, "stove", "user-id", "stove")
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			ignored, err := Check(dir)
			if err != nil || len(ignored) != 1 || !strings.Contains(ignored[0].Error(), filepath.Join(dir, name)) {
				t.Errorf("Check: %v, %v, want one file ignored", ignored, err)
			}
			a, changed := open(t, dir)
			if r := zap.Decide(t.Context(), a, curve(stove.Public[:])); r.Status != zap.OK {
				t.Errorf("stove: %+v", r)
			}
			if r := zap.Decide(t.Context(), a, curve(c.Public[:])); r.Status != zap.Refused {
				t.Errorf("the key in the ignored file: %+v", r)
			}
			lamp := put(t, dir, "lamp", "user-id", "lamp")
			<-changed
			if r := zap.Decide(t.Context(), a, curve(lamp.Public[:])); r.Status != zap.OK {
				t.Errorf("lamp: %+v", r)
			}
		})
	}
	dir := t.TempDir()
	write(t, dir, "a", c, "user-id", "ada")
	write(t, dir, "b", c, "user-id", "bob")
	if _, err := Check(dir); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("two users of one key: %v", err)
	}
}

// TestMissingDirectory: while the directory cannot be read, no login is decided on, and earlier
// ones stay.
func TestMissingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	must(t, os.Mkdir(dir, 0o700))
	stove := put(t, dir, "stove", "user-id", "stove")
	a, changed := open(t, dir)
	login := zap.Decide(t.Context(), a, curve(stove.Public[:]))
	must(t, os.Rename(dir, dir+".old"))
	<-changed
	if r := zap.Decide(t.Context(), a, curve(stove.Public[:])); r.Status != zap.Temporary || a.Err() == nil || a.Revoked(login) {
		t.Errorf("missing: status %d, error %v, the earlier login is revoked: %v", r.Status, a.Err(), a.Revoked(login))
	}
	must(t, os.Rename(dir+".old", dir))
	for range 100 {
		if a.Err() == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if r := zap.Decide(t.Context(), a, curve(stove.Public[:])); r.Status != zap.OK || a.Revoked(login) {
		t.Errorf("back: status %d, revoked %v", r.Status, a.Revoked(login))
	}
}

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestDirectoriesToMake: where serve would find a file instead of the directory that it creates,
// check says so.
func TestDirectoriesToMake(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	below := func(names ...string) string { return filepath.Join(append([]string{file}, names...)...) }
	history := func(dir string) string { return fmt.Sprintf("[history]\nstore = \"file\"\ndir = %q\n", dir) }
	testRows(t, []row{
		{history(filepath.Join(dir, "new", "history")), ``},
		{history(file), `history.dir: ` + file + ` is a file: want a directory`},
		{history(below("a", "b")), `history.dir: ` + file + ` is a file: want a directory`},
		{fmt.Sprintf("[server]\nkey = %q\n", below("portal.key")), `server.key: ` + file + ` is a file: want a directory`},
		{fmt.Sprintf("[server]\ntls = \"acme\"\nhosts = [\"a.example\"]\nacme_cache = %q\n", below("acme")), `server.acme_cache: ` + file + ` is a file`},
		{fmt.Sprintf("[auth.x]\ntype = \"token-endpoint\"\nurl = \"https://chat.example/\"\nidentity_map = \"uuid4\"\nstore = %q\n", dir), `auth.x.store: ` + dir + ` is not a regular file`},
	})
}

// TestUnusable: a file that the user who runs the bridge must not read, which tests as root cannot make.
func TestUnusable(t *testing.T) {
	err := &fs.PathError{Op: "open", Path: "/etc/portal.key", Err: fs.ErrPermission}
	const want = "/etc/portal.key: permission denied: want one that the user who runs the bridge can read"
	if got := unusable(err); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanges(t *testing.T) {
	dir := configDir(t)
	old := mustLoad(t, dir, users+`
server.listen = "127.0.0.1:1"
[[route]]
path = "/a"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]
allow = []
[[route]]
path = "/gone"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]
`)
	next := mustLoad(t, dir, users+`
server.listen = "127.0.0.1:2"
server.max_frames = 2
server.max_connection_bytes = "2MiB"
[auth.new]
type = "anonymous"
[admin]
[[route]]
path = "/new"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]
[[route]]
path = "/a"
socket = "SUB"
connect = ["tcp://127.0.0.1:3"]
allow = [{ user = "*" }]
`)
	want := []Change{
		{"admin.listen", true}, {"server.listen", true}, {"server.max_connection_bytes", false}, {"server.max_frames", false},
		{"auth.new", false}, {"route[0]", false}, {"route[1].allow", false}, {"route[1].connect", false}, {`route "/gone"`, false},
	}
	if diff := cmp.Diff(want, Changes(old, next)); diff != "" {
		t.Error(diff)
	}
	if same := Changes(old, old); same != nil {
		t.Errorf("a configuration differs from itself: %v", same)
	}
}

// TestRestartKeys checks that every restart key exists.
func TestRestartKeys(t *testing.T) {
	tables := fields(reflect.ValueOf(&Config{}).Elem())
	for _, key := range restartKeys {
		table, name, _ := strings.Cut(key, ".")
		if !fields(tables[table])[name].IsValid() {
			t.Errorf("the key %s does not exist", key)
		}
	}
}

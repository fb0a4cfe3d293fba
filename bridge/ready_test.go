package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// readiness is what /readyz answers.
type readiness struct {
	Status            int
	Unready, Degraded []string
}

// readyz asks an operators' interface.
func readyz(t *testing.T, admin string) (r readiness) {
	t.Helper()
	resp, err := http.Get(admin + "/readyz")
	must(t, err)
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	must(t, json.NewDecoder(resp.Body).Decode(&r))
	if r.Degraded == nil {
		t.Error("degraded is missing: want a list")
	}
	return r
}

// TestReadiness: /readyz lists what is wrong, and answers 503 where no client can be served.
func TestReadiness(t *testing.T) {
	route := routeTo("/sub", "SUB", silent(t, zmtp.PUB))
	none := routeTo("/none", "SUB", "tcp://127.0.0.1:1") + routeTo("/later", "SUB", "tcp://127.0.0.1:1", `ready = "none"`)
	users := "[auth.users]\ntype = \"htpasswd\"\nfile = \"users.htpasswd\"\n"
	both := "[zap]\nchain = [ { authn = \"users\" }, { authn = \"keys\" } ]\n" + users + "[auth.keys]\ntype = \"curve\"\ndir = \"keys\"\n"
	unreached := "[zap]\nchain = [ { authn = \"sso\" } ]\n[auth.sso]\ntype = \"jwt\"\nalgorithms = [\"ES256\"]\n" +
		"jwks_url = \"http://127.0.0.1:1/keys\"\nresource_server_id = \"x\"\n"
	for _, tc := range []struct {
		name    string
		text    string
		damaged []string // files that are deleted while the bridge runs
		want    readiness
	}{
		{"all is well", usersOnly + route, nil, readiness{200, nil, []string{}}},
		{"a backend is missing", usersOnly + route + none, nil, readiness{200, nil, []string{"backend missing: /none"}}},
		{"one that is needed", "[admin]\nready_needs = [\"/sub\", \"/none\"]\n" + usersOnly + route + none, nil,
			readiness{503, []string{"backend missing: /none"}, []string{}}},
		{"one that is needed, but not by clients", "[admin]\nready_needs = [\"/later\"]\n" + usersOnly + route + none, nil,
			readiness{503, []string{"backend missing: /later"}, []string{"backend missing: /none"}}},
		{"none of the needed", "[admin]\nready_needs = [\"/sub\"]\n" + usersOnly + route + none, nil,
			readiness{200, nil, []string{"backend missing: /none"}}},
		{"users cannot be read", usersOnly + route, []string{"users.htpasswd"},
			readiness{503, []string{"no login can be judged"}, []string{"htpasswd unreadable: users"}}},
		{"users cannot be read, keys can", both + route, []string{"users.htpasswd"},
			readiness{200, nil, []string{"htpasswd unreadable: users"}}},
		{"neither can be read", both + route, []string{"users.htpasswd", "keys"},
			readiness{503, []string{"no login can be judged"}, []string{"htpasswd unreadable: users", "curve unreadable: keys"}}},
		{"no keys of the issuer", unreached + route, nil,
			readiness{503, []string{"no login can be judged"}, []string{"jwt without keys: sso"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var dir string
			_, b := startIn(t, func(d string) string {
				dir = d
				must(t, os.Mkdir(filepath.Join(d, "keys"), 0o700))
				return tc.text
			})
			admin := httptest.NewServer(b.Admin())
			defer admin.Close()
			for _, file := range tc.damaged {
				must(t, os.RemoveAll(filepath.Join(dir, file)))
			}
			var got readiness
			eventually(t, fmt.Sprintf("%+v", tc.want), func() bool {
				got = readyz(t, admin.URL)
				return cmp.Equal(got, tc.want)
			})
		})
	}
}

// TestReadinessWhileClosing: a bridge that shuts down wants no more clients.
func TestReadinessWhileClosing(t *testing.T) {
	_, b := start(t, usersOnly+routeTo("/sub", "SUB", silent(t, zmtp.PUB)))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	must(t, b.Close(context.Background()))
	if got := readyz(t, admin.URL); got.Status != 503 || len(got.Unready) == 0 || got.Unready[0] != "shutting down" {
		t.Errorf("%+v, want 503 and \"shutting down\"", got)
	}
}

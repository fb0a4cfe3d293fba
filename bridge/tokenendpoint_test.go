package bridge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestTokenEndpoint checks that messages are stamped with the UUID of the token's user, and
// that a new token ends the sessions of the old one.
func TestTokenEndpoint(t *testing.T) {
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := strings.Cut(r.Header.Get("token"), ".")
		if !ok || user == "nobody" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"userID": %q}`, user)
	}))
	t.Cleanup(chat.Close)
	router := startPeer(t, zmtp.ROUTER)
	config := func(timeout string) string {
		return fmt.Sprintf(`
[admin]
token_file = "admin.token"
[zap]
timeout = "1m"
chain = [ { authn = "chat" } ]
[auth.chat]
type = "token-endpoint"
url = %q
timeout = %q
identity_map = "uuid4"
store = "identities.db"
single_token = true
[[route]]
path = "/d"
socket = "DEALER"
connect = [%q]
stamp = "frame"
`, chat.URL, timeout, router.endpoint)
	}
	var dir string
	url, b := startIn(t, func(d string) string {
		dir = d
		if err := os.WriteFile(filepath.Join(d, "admin.token"), []byte("sesame\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return config("1m")
	})
	login := func(token string) zws.DialOptions {
		return zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Bearer{Token: token}, HandshakeTimeout: time.Minute}
	}
	if got := refusal(t, url+"/d", login("nobody.a.b")); got.Code != 4400 {
		t.Errorf("got %v, want 4400", got)
	}
	name := func(c *zws.Client) string {
		t.Helper()
		if err := c.Send(t.Context(), message("bob", "hello")); err != nil {
			t.Fatal(err)
		}
		m, err := c.Recv(t.Context())
		if err != nil || len(m) != 3 || string(m[1]) != "bob" {
			t.Fatalf("%q, %v", m, err)
		}
		return string(m[0])
	}
	first, bob := connect(t, url+"/d", login("alice.a.1")), connect(t, url+"/d", login("bob.a.1"))
	alice := name(first)
	if len(alice) != 36 || alice == name(bob) {
		t.Errorf("alice is %q, bob is %q", alice, name(bob))
	}
	reload(t, b, dir, config("2m")) // builds another authenticator, with the same store
	if got := name(first); got != alice {
		t.Errorf("after the reload alice is %s, want %s", got, alice)
	}
	second := connect(t, url+"/d", login("alice.a.2"))
	if again := connect(t, url+"/d", login("alice.a.2")); name(second) != alice || name(again) != alice {
		t.Error("alice has another UUID")
	}
	third := connect(t, url+"/d", login("alice.a.3"))
	if got := sessionEnd(t, second).Code; got != 4401 {
		t.Errorf("the older session: %d, want 4401", got)
	}
	if name(third) != alice || name(bob) == "" {
		t.Error("the newer session of alice or that of bob has ended")
	}
	if got := refusal(t, url+"/d", login("alice.a.2")); got.Code != 4400 {
		t.Errorf("login with the replaced token: %v, want 4400", got)
	}

	lookUp(t, b, alice)
}

// lookUp checks that alice is found by name and by UUID, by the methods and by /identities.
func lookUp(t *testing.T, b *bridge.Bridge, alice string) {
	t.Helper()
	want := []bridge.Identity{{Auth: "chat", User: "alice", ID: alice}}
	for _, q := range [][2]string{{"alice", ""}, {"", alice}} {
		got, err := b.Identities(q[0], q[1])
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v, %s", q, err, diff)
		}
	}
	for _, q := range [][2]string{{"carol", ""}, {"", "alice"}} {
		if got, err := b.Identities(q[0], q[1]); err != nil || len(got) > 0 {
			t.Errorf("%q: %v, %v, want none", q, got, err)
		}
	}
	for _, q := range [][2]string{{"", ""}, {"alice", alice}} {
		if got, err := b.Identities(q[0], q[1]); err == nil {
			t.Errorf("%q: %v, want an error", q, got)
		}
	}

	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	for query, status := range map[string]int{"user=alice": 200, "id=" + alice: 200, "user=carol": 200, "": 400} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, admin.URL+"/identities?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer sesame")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		found := strings.Contains(string(body), `{"auth":"chat","user":"alice","id":"`+alice+`"}`)
		if err != nil || resp.StatusCode != status || found != (status == 200 && query != "user=carol") {
			t.Errorf("%q: %s %s, %v", query, resp.Status, body, err)
		}
	}
}

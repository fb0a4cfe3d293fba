package jwt

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vectors is testdata/tokens.json: tokens made by npm jose and Node's crypto.
type vectors struct {
	Now    int64           `json:"now"`
	Issuer string          `json:"issuer"`
	JWKS   json.RawMessage `json:"jwks"`
	Take   []vector        `json:"take"`
	Refuse []vector        `json:"refuse"`
	Pass   []vector        `json:"pass"`
}

type vector struct{ Name, Token string }

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/tokens.json")
	must(t, err)
	must(t, json.Unmarshal(text, &v))
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start returns an authenticator that is closed when the test ends. If now is not zero, it is the
// authenticator's time.
func start(t testing.TB, o Options, now int64) *Authenticator {
	t.Helper()
	a, err := New(o)
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	if now != 0 {
		a.now = func() time.Time { return time.Unix(now, 0) }
	}
	return a
}

// vectorAuthenticator returns an authenticator for the vectors.
func vectorAuthenticator(t testing.TB, v vectors) *Authenticator {
	file := filepath.Join(t.TempDir(), "keys.json")
	must(t, os.WriteFile(file, v.JWKS, 0o644))
	return start(t, Options{
		Algorithms: Algorithms, Keys: []string{file},
		Issuer: v.Issuer, ResourceServerID: "zwsbridge", ScopePrefix: "zwsbridge.",
	}, v.Now)
}

// verdict returns the decision on a token: "200", "400", "pass" or "error".
func verdict(reply *zap.Reply, err error) string {
	switch {
	case errors.Is(err, zap.ErrPass):
		return "pass"
	case err != nil:
		return "error"
	case reply.Status == zap.OK:
		return "200"
	case reply.Status == zap.Refused:
		return "400"
	}
	return "unexpected"
}

func ask(t testing.TB, h zap.Handler, token string) (*zap.Reply, error) {
	return h.Authenticate(t.Context(), &zap.Request{Domain: "global", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(token)}})
}

// TestVectors: every token gets the right decision, as BEARER, as a password and by Explain.
func TestVectors(t *testing.T) {
	v := readVectors(t)
	a := vectorAuthenticator(t, v)
	if n := len(v.Take) + len(v.Refuse) + len(v.Pass); n < 100 {
		t.Errorf("only %d tokens", n)
	}
	for want, list := range map[string][]vector{"200": v.Take, "400": v.Refuse, "pass": v.Pass} {
		for _, c := range list {
			t.Run(c.Name, func(t *testing.T) {
				reply, err := ask(t, a, c.Token)
				if got := verdict(reply, err); got != want {
					t.Fatalf("%s, want %s (%+v, %v)", got, want, reply, err)
				}
				plain := &zap.Request{Mechanism: zap.PLAIN, Credentials: [][]byte{nil, []byte(c.Token)}}
				if got := verdict(a.Authenticate(t.Context(), plain)); got != want {
					t.Errorf("as a password: %s, want %s", got, want)
				}
				if strings.TrimSpace(c.Token) != c.Token || c.Token == "" {
					return // Explain trims space, such as the line end of a file
				}
				reply, notes, err := a.Explain(t.Context(), c.Token)
				if got := verdict(reply, err); got != want {
					t.Errorf("explained: %s, want %s", got, want)
				}
				if bad := !notes[len(notes)-1].Good; want != "200" && !bad {
					t.Errorf("the last note does not explain the refusal: %+v", notes)
				}
			})
		}
	}
}

// TestOtherCredentials: credentials other than tokens are passed.
func TestOtherCredentials(t *testing.T) {
	v := readVectors(t)
	a := vectorAuthenticator(t, v)
	good := []byte(v.Take[0].Token)
	for name, req := range map[string]*zap.Request{
		"a user name":         {Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte("ann"), good}},
		"NULL":                {Mechanism: zap.NULL},
		"CURVE":               {Mechanism: zap.CURVE, Credentials: [][]byte{make([]byte, 32)}},
		"BEARER of none":      {Mechanism: zap.BEARER},
		"BEARER of two":       {Mechanism: zap.BEARER, Credentials: [][]byte{good, good}},
		"PLAIN of one":        {Mechanism: zap.PLAIN, Credentials: [][]byte{good}},
		"a client certifcate": {Mechanism: zap.TLS, Credentials: [][]byte{good}},
	} {
		if got := verdict(a.Authenticate(t.Context(), req)); got != "pass" {
			t.Errorf("%s: %s, want pass", name, got)
		}
	}
}

// FuzzToken: every text gets a decision, and only the original tokens are accepted.
func FuzzToken(f *testing.F) {
	v := readVectors(f)
	good := make(map[string]bool)
	for _, list := range [][]vector{v.Take, v.Refuse, v.Pass} {
		for _, c := range list {
			f.Add(c.Token)
		}
	}
	for _, c := range v.Take {
		good[c.Token] = true
	}
	if len(good) == 0 {
		f.Fatal("fuzz target without seeds")
	}
	a := vectorAuthenticator(f, v)
	f.Fuzz(func(t *testing.T, token string) {
		if got := verdict(ask(t, a, token)); got == "200" && !good[token] || got == "error" || got == "unexpected" {
			t.Errorf("%s: %q", got, token)
		}
	})
}

package bridge_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// behindProxy makes the tests a trusted proxy, so that clients have the addresses that from sets.
const behindProxy = "trusted_proxies = [\"127.0.0.1/32\"]\n"

// from returns o as a client with an address.
func from(address string, o zws.DialOptions) zws.DialOptions {
	header := http.Header{}
	for name, values := range o.Header {
		header[name] = values
	}
	header.Set("X-Forwarded-For", address)
	header.Set("X-Forwarded-Proto", "https")
	o.Header = header
	return o
}

// withPassword returns the options of a PLAIN login of alice.
func withPassword(password string) zws.DialOptions {
	o := plainLogin("alice", zmtp.SUB)
	o.Security = zmtp.Plain{User: "alice", Password: password}
	return o
}

// code dials and returns the code of the refusal, or 0 if there is none.
func code(t *testing.T, url string, o zws.DialOptions) zws.Code {
	t.Helper()
	c, err := zws.Dial(t.Context(), url, o)
	if err == nil {
		c.Close()
		return 0
	}
	refused, ok := errors.AsType[*zws.CloseError](err)
	if !ok {
		t.Errorf("the client gets %v, want a close code", err)
		return -1
	}
	return refused.Code
}

// guessed is a service that is asked about passwords or tokens, of which one is right.
type guessed struct {
	asked atomic.Int64
	hold  chan struct{} // answers wait until it is closed
}

const rightGuess = "right.to.ken"

// Authenticate answers as a ZAP handler.
func (g *guessed) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if !g.right(string(req.Credentials[len(req.Credentials)-1])) {
		return &zap.Reply{Status: zap.Refused}, nil
	}
	return &zap.Reply{Status: zap.OK, UserID: "alice"}, nil
}

func (g *guessed) right(secret string) bool {
	g.asked.Add(1)
	<-g.hold
	return secret == rightGuess
}

// ServeHTTP answers as an HTTP service and as a token endpoint.
func (g *guessed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("token")
	switch {
	case r.URL.Path != "/user" && token == "":
		fmt.Fprint(w, "allow") // the vhost
	case token == "" && g.right(r.PostFormValue("password")):
		fmt.Fprint(w, "allow")
	case token == "":
		fmt.Fprint(w, "deny")
	case g.right(token):
		fmt.Fprint(w, `{"userID":"alice"}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

// TestGuessesAtOnce: of many guesses that arrive at the same time as many are judged as can be
// refused, whatever carries them and whatever judges them. A right one among the others does not
// get in; one from another address does.
func TestGuessesAtOnce(t *testing.T) {
	const httpTable = "type = \"http\"\nuser_path = \"SERVICE/user\"\nvhost_path = \"SERVICE/vhost\"\n"
	const endpointTable = "type = \"token-endpoint\"\nurl = \"SERVICE/token\"\n"
	const handlerTable = "type = \"zap\"\nendpoint = \"HANDLER\"\n"
	password := func(user, guess string) zws.DialOptions {
		o := plainLogin(user, zmtp.SUB)
		o.Security = zmtp.Plain{User: user, Password: guess}
		return o
	}
	header := func(name, value string) zws.DialOptions {
		return zws.DialOptions{SocketType: zmtp.SUB, HandshakeTimeout: time.Minute, Header: http.Header{name: {value}}}
	}
	basic := func(user, guess string) zws.DialOptions {
		return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+guess)))
	}
	token := func(_, guess string) zws.DialOptions { return bearerLogin(guess, zmtp.SUB) }
	cookie := func(_, guess string) zws.DialOptions { return header("Cookie", "zws_token="+guess) }
	tokenAsPassword := func(_, guess string) zws.DialOptions { return password("", guess) }
	for _, tc := range []struct {
		name, table string
		guesses     int
		login       func(user, guess string) zws.DialOptions
	}{
		{"HTTP service, PLAIN", httpTable, 1000, password},
		{"HTTP service, Basic", httpTable, 100, basic},
		{"token endpoint, BEARER", endpointTable, 1000, token},
		{"token endpoint, cookie", endpointTable, 100, cookie},
		{"token endpoint, PLAIN", endpointTable, 100, tokenAsPassword},
		{"ZAP handler, BEARER", handlerTable, 100, token},
		{"ZAP handler, PLAIN", handlerTable, 100, password},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // most of it waits for answers that are held back
			g := &guessed{hold: make(chan struct{})}
			service := httptest.NewServer(g)
			defer service.Close()
			handler := unusedEndpoint(t)
			asked, err := remote.Listen(remote.ServerOptions{Endpoint: handler, Handler: g})
			must(t, err)
			defer asked.Close()
			table := strings.NewReplacer("SERVICE", service.URL, "HANDLER", handler).Replace(tc.table)
			url, b := start(t, "[server]\n"+behindProxy+"[zap]\ntimeout = \"1m\"\nchain = [{ authn = \"x\" }]\n[auth.x]\n"+table+
				"timeout = \"1m\"\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
			admin := httptest.NewServer(b.Admin())
			defer admin.Close()
			codes := make(chan zws.Code, tc.guesses)
			var clients sync.WaitGroup
			guess := func(text string) {
				clients.Go(func() { codes <- code(t, url+"/d", from("192.0.2.1", tc.login("alice", text))) })
			}
			for i := range 10 { // max_failures
				guess(fmt.Sprintf("wrong.guess.n%d", i))
			}
			eventually(t, "ten questions", func() bool { return g.asked.Load() == 10 })
			guess(rightGuess)
			for i := range tc.guesses - 11 {
				guess(fmt.Sprintf("wrong.guess.n%d", 10+i))
			}
			waiting := fmt.Sprintf("\nzwsbridge_logins_waiting %d\n", tc.guesses-10)
			eventually(t, waiting, func() bool { return strings.Contains(metrics(t, admin.URL), waiting) })
			close(g.hold)
			clients.Wait()
			close(codes)
			count := make(map[zws.Code]int)
			for c := range codes {
				count[c]++
			}
			if n := g.asked.Load(); n != 10 || count[zws.CodeRefused] != 10 || count[0] != 0 {
				t.Errorf("%d questions, codes %v, want 10 questions and refusals, and nobody in", n, count)
			}
			connect(t, url+"/d", from("192.0.2.2", tc.login("bob", rightGuess)))
		})
	}
}

// TestGuessesAtOnceHashed is TestGuessesAtOnce for an htpasswd file: no more passwords are hashed
// than can be refused.
func TestGuessesAtOnceHashed(t *testing.T) {
	url, b := start(t, usersOnly+"[server]\n"+behindProxy+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	var clients sync.WaitGroup
	var refused atomic.Int64
	for i := range 300 {
		clients.Go(func() {
			if code(t, url+"/d", from("192.0.2.1", withPassword(fmt.Sprint("wrong", i)))) == zws.CodeRefused {
				refused.Add(1)
			}
		})
	}
	clients.Wait()
	if want := `zwsbridge_logins_total{authenticator="users",status="400"} 10` + "\n"; !strings.Contains(metrics(t, admin.URL), want) || refused.Load() != 10 {
		t.Errorf("%d refused, want 10, and %s", refused.Load(), want)
	}
	if got := refusal(t, url+"/d", from("192.0.2.1", plainLogin("alice", zmtp.SUB))); got.Code != zws.CodeTooMany {
		t.Errorf("the right password afterwards: %v, want 4429", got)
	}
	connect(t, url+"/d", from("192.0.2.2", plainLogin("bob", zmtp.SUB)))
}

// TestLockout: wrong passwords for alice, or from her address, do not keep out her nor others who
// have proved who they are.
func TestLockout(t *testing.T) {
	const home = "192.0.2.1"
	var key *jwt.SigningKey
	url, _ := startIn(t, func(dir string) string {
		dir = filepath.Join(dir, "jwt")
		must(t, os.Mkdir(dir, 0o700))
		var err error
		key, err = jwt.GenerateKey("first", "ES256")
		must(t, err)
		must(t, key.Write(filepath.Join(dir, "first.pem")))
		return "[server]\n" + behindProxy + `
curve_cert = "bridge"
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "sso" }, { authn = "keys" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
keys = ["jwt"]
resource_server_id = "zwsbridge"
login_only = true
[auth.keys]
type = "curve"
dir = "*"
` + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	})
	guess := func(addresses ...string) { // all at once, since the answers come late
		t.Helper()
		var clients sync.WaitGroup
		for _, address := range addresses {
			clients.Go(func() {
				if c := code(t, url+"/d", from(address, withPassword("wrong"))); c != zws.CodeRefused {
					t.Errorf("a wrong password from %s: %v, want 4400", address, c)
				}
			})
		}
		clients.Wait()
	}
	try := func(what, address string, o zws.DialOptions, want zws.Code) {
		t.Helper()
		if got := code(t, url+"/d", from(address, o)); got != want {
			t.Errorf("%s from %s: %d, want %d", what, address, got, want)
		}
	}
	alice, bob := plainLogin("alice", zmtp.SUB), plainLogin("bob", zmtp.SUB)
	try("alice at first", home, alice, 0)
	var others []string
	for i := range 10 {
		others = append(others, fmt.Sprintf("198.51.100.%d", i))
	}
	guess(others...)
	try("alice, after guesses from ten addresses,", home, alice, 0)
	try("alice, after guesses from ten addresses,", "203.0.113.1", alice, zws.CodeTooMany)
	try("a guess at alice, after ten others,", "203.0.113.1", withPassword("wrong"), zws.CodeTooMany)
	try("bob", "203.0.113.1", bob, 0)

	guess(slices.Repeat([]string{home}, 9)...) // she is known there, so they are judged
	try("alice, after nine guesses from her address,", home, alice, 0)
	guess(home)
	try("alice, after ten guesses from her address,", home, alice, zws.CodeTooMany)
	try("bob, who is not known there,", home, bob, zws.CodeTooMany)

	token, err := key.Sign(map[string]any{"aud": "zwsbridge", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	must(t, err)
	try("a token", home, bearerLogin(token, zmtp.SUB), 0)
	try("a wrong token", home, bearerLogin(token[:len(token)-9]+"AAAAAAAAA", zmtp.SUB), zws.CodeRefused)
	curve := zws.DialOptions{SocketType: zmtp.SUB, HandshakeTimeout: time.Minute,
		Security: zmtp.Curve{Public: nativeKey.Public, Secret: nativeKey.Secret, ServerKey: bridgeKey.Public}}
	try("a CURVE key", home, curve, 0)
}

// TestRenewalCounts: a wrong token that would renew a login counts as a refused login.
func TestRenewalCounts(t *testing.T) {
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		if string(req.Credentials[0]) != "valid" {
			return &zap.Reply{Status: zap.Refused}
		}
		return &zap.Reply{Status: zap.OK, UserID: "ann"}
	})
	url, _ := start(t, zapOnly(handler)+"[server]\nmax_failures = 1\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	c := connect(t, url+"/d", bearerLogin("valid", zmtp.SUB))
	must(t, c.Renew(t.Context(), "invalid"))
	if got := sessionEnd(t, c); got.Code != zws.CodeExpired {
		t.Errorf("the renewal: %v, want 4401", got)
	}
	if got := refusal(t, url+"/d", plainLogin("alice", zmtp.SUB)); got.Code != zws.CodeTooMany {
		t.Errorf("a password from there: %v, want 4429", got)
	}
}

// TestGuessesAtAdminToken: of many guesses at the admin token at the same time few are compared, and
// a right one among the others does not get in.
func TestGuessesAtAdminToken(t *testing.T) {
	admin, _, _, _ := startAdmin(t)
	status := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", admin+"/sessions", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "60" {
			t.Errorf("429 with Retry-After %q, want 60", resp.Header.Get("Retry-After"))
		}
		return resp.StatusCode
	}
	guess := func(times int, right string) map[int]int {
		var mu sync.Mutex
		count := make(map[int]int)
		var all sync.WaitGroup
		for i := range times {
			all.Go(func() {
				token := fmt.Sprint("wrong", i)
				if i == times-1 {
					token = right
				}
				s := status(token)
				mu.Lock()
				defer mu.Unlock()
				count[s]++
			})
		}
		all.Wait()
		return count
	}
	if count := guess(11, "wrong"); count[http.StatusUnauthorized] > 10 || count[http.StatusOK] != 0 {
		t.Errorf("eleven guesses: %v, want at most ten answers", count)
	}
	if count := guess(300, "the token"); count[http.StatusOK] != 0 || count[http.StatusUnauthorized] != 0 {
		t.Errorf("300 guesses, one of them right: %v", count)
	}
}

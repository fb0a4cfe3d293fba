package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	stormPassword = "everybody's secret"
	stormClients  = "ZWSBRIDGE_TEST_STORM" // set for the process that runs the clients
)

// storm is what the clients' process is to do.
type storm struct {
	URL, Token string
	Users      int
}

// stormResult is what happened in one storm, as the clients saw it.
type stormResult struct {
	Took                  time.Duration // until all users were logged in
	Attempts              int
	Unadvised             int // refusals without advice when to come back
	Tokens                int // logins by token meanwhile
	TokenMedian, TokenP99 time.Duration
}

// TestStorm: when all users of an htpasswd file connect at the same time, all of them are
// logged in after little more than the time that their hashes take.
func TestStorm(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("computes 200 hashes of cost 10, which take minutes with -race: make storm")
	}
	cold, warm := runStorm(t, 200)
	check := func(name string, r stormResult, most time.Duration) {
		if r.Took > most || r.Unadvised > 2 {
			t.Errorf("%s: %v, at most %v; %d refused without advice, at most 2", name, r.Took, most, r.Unadvised)
		}
	}
	// Other tests run at the same time, so the limits are generous; TestStormSoak has those
	// that count.
	least := leastTime(200)
	check("cold", cold, 4*least+10*time.Second)
	check("warm", warm, least/2+10*time.Second)
}

// TestStormSoak is TestStorm with 3,000 users and with the limits that an idle machine is
// expected to keep. It runs only with ZWSBRIDGE_SOAK=1.
func TestStormSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("takes minutes: make soak")
	}
	cold, warm := runStorm(t, 3000)
	if most := leastTime(3000) * 3 / 2; cold.Took > most || cold.Unadvised > 0 {
		t.Errorf("cold: %v, at most %v; %d refused without advice", cold.Took, most, cold.Unadvised)
	}
	if warm.Took > 10*time.Second {
		t.Errorf("warm: %v", warm.Took)
	}
	if cold.TokenMedian > 100*time.Millisecond || cold.TokenP99 > 500*time.Millisecond {
		t.Errorf("logins by token take %v, 99 %% of them up to %v", cold.TokenMedian, cold.TokenP99)
	}
}

// leastTime returns how long the hashes for so many users take on all processors.
func leastTime(users int) time.Duration {
	hash := stormHash()
	var took []time.Duration
	for range 5 {
		start := time.Now()
		_ = bcrypt.CompareHashAndPassword(hash, []byte(stormPassword))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return time.Duration(users) * took[2] / time.Duration(runtime.GOMAXPROCS(0))
}

// stormHash returns the hash of stormPassword with cost 10.
var stormHash = sync.OnceValue(func() []byte {
	hash, err := bcrypt.GenerateFromPassword([]byte(stormPassword), 10)
	if err != nil {
		panic(err)
	}
	return hash
})

// runStorm lets so many users connect at the same time twice: first with nothing cached, then
// again. The clients are a process of their own, as they are elsewhere.
func runStorm(t *testing.T, users int) (cold, warm stormResult) {
	t.Helper()
	s := storm{Users: users}
	url, _ := startIn(t, func(dir string) string {
		s.Token = stormKey(t, filepath.Join(dir, "jwt"))
		var lines strings.Builder
		for i := range users {
			fmt.Fprintf(&lines, "user%d:%s\n", i, stormHash())
		}
		if err := os.WriteFile(filepath.Join(dir, "users.htpasswd"), []byte(lines.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return `
[server]
max_connections_per_ip = 10000
[zap]
chain = [ { authn = "users" }, { authn = "sso" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
keys = ["jwt"]
issuer = "https://idp.example"
resource_server_id = "zwsbridge"
login_only = true
` + routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["PLAIN", "BEARER"]`)
	})
	s.URL = url + "/d"
	return s.run(t)
}

// stormKey writes a key to dir and returns a token that is signed with it.
func stormKey(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := jwt.GenerateKey("first", "ES256")
	if err == nil {
		err = key.Write(filepath.Join(dir, "first.pem"))
	}
	if err != nil {
		t.Fatal(err)
	}
	token, err := key.Sign(map[string]any{
		"iss": "https://idp.example", "aud": "zwsbridge", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// run starts the process of the clients and returns what it reports.
func (s storm) run(t *testing.T) (cold, warm stormResult) {
	t.Helper()
	task, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStormClients$", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), stormClients+"="+string(task))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var results []stormResult
	line, _, _ := strings.Cut(string(out), "\n")
	if err := json.Unmarshal([]byte(line), &results); err != nil || len(results) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d users; the hashes alone take %v; CPU of the clients %v", s.Users, leastTime(s.Users),
		cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	for i, name := range []string{"cold", "warm"} {
		r := results[i]
		t.Logf("%s: %v, %d attempts, %d without advice; %d logins by token, median %v, p99 %v",
			name, r.Took, r.Attempts, r.Unadvised, r.Tokens, r.TokenMedian, r.TokenP99)
	}
	return results[0], results[1]
}

// TestStormClients is the process of the clients.
func TestStormClients(t *testing.T) {
	task := os.Getenv(stormClients)
	if task == "" {
		t.Skip("is started by TestStorm")
	}
	var s storm
	if err := json.Unmarshal([]byte(task), &s); err != nil {
		t.Fatal(err)
	}
	results := []stormResult{s.clients(t), s.clients(t)}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		t.Fatal(err)
	}
}

// clients connects all users at the same time, and one client after the other by token, until
// all users are logged in. They stay until then.
func (s storm) clients(t *testing.T) (r stormResult) {
	var attempts, unadvised atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	var tokens []time.Duration
	var probe, users sync.WaitGroup
	probe.Go(func() { tokens = s.tokenLogins(ctx, t) })
	start := time.Now()
	clients := make([]*zws.Client, s.Users)
	for i := range clients {
		users.Go(func() {
			o := zws.DialOptions{
				SocketType: zmtp.SUB, Security: zmtp.Plain{User: fmt.Sprint("user", i), Password: stormPassword}, HandshakeTimeout: time.Minute,
			}
			for clients[i] == nil {
				attempts.Add(1)
				c, err := zws.Dial(ctx, s.URL, o)
				if err == nil {
					clients[i] = c
					return
				}
				wait, advised := retryAdvice(err)
				if !advised {
					unadvised.Add(1)
				}
				time.Sleep(wait + rand.N(wait/2))
			}
		})
	}
	users.Wait()
	r = stormResult{Took: time.Since(start), Attempts: int(attempts.Load()), Unadvised: int(unadvised.Load())}
	cancel()
	probe.Wait()
	for _, c := range clients {
		c.Close()
	}
	slices.Sort(tokens)
	r.Tokens = len(tokens)
	if n := len(tokens); n > 0 {
		r.TokenMedian, r.TokenP99 = tokens[n/2], tokens[n*99/100]
	}
	return r
}

var retryIn = regexp.MustCompile(`; retry in (\d+)s$`)

// retryAdvice returns when to try again, and whether the bridge has said so.
func retryAdvice(err error) (wait time.Duration, advised bool) {
	if refusal, ok := errors.AsType[*zws.CloseError](err); ok {
		if m := retryIn.FindStringSubmatch(refusal.Reason); m != nil {
			seconds, _ := strconv.Atoi(m[1])
			return time.Duration(seconds) * time.Second, true
		}
	}
	return time.Second, false
}

// tokenLogins logs in by token every 100 ms and returns how long that takes.
func (s storm) tokenLogins(ctx context.Context, t *testing.T) (took []time.Duration) {
	o := zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Bearer{Token: s.Token}, HandshakeTimeout: time.Minute}
	for ctx.Err() == nil {
		start := time.Now()
		c, err := zws.Dial(ctx, s.URL, o)
		if err == nil {
			took = append(took, time.Since(start))
			c.Close()
		} else if ctx.Err() == nil {
			t.Errorf("login by token: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return took
}

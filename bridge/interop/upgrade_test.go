//go:build interop

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestNginxUpgrade replaces the program behind nginx, with 200 users whose passwords take a while to judge.
func TestNginxUpgrade(t *testing.T) { upgradeBehindNginx(t, 200, 8) }

// TestNginxUpgradeSoak is that with 2,000 users and the hashes that `zwsbridge passwd` makes.
func TestNginxUpgradeSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("takes minutes: make soak")
	}
	upgradeBehindNginx(t, 2000, bcrypt.DefaultCost)
}

const upgradePassword = "everybody's secret"

// upgradeBehindNginx has users log in through nginx, replaces the program, and waits until all are back: no
// request may be answered with 502, nobody refused, and nobody disconnected but with 1001.
func upgradeBehindNginx(t *testing.T, users, cost int) {
	need(t, "nginx")
	hash, err := bcrypt.GenerateFromPassword([]byte(upgradePassword), cost)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range users {
		fmt.Fprintf(&lines, "user%d:%s\n", i, hash)
	}
	h := &home{t: t, dir: t.TempDir()}
	h.write("many.htpasswd", lines.String())
	h.write("bridge.toml", fmt.Sprintf(`
[server]
listen = "127.0.0.1:0"
tls = "off"
trusted_proxies = ["127.0.0.1/32"]
max_connections_per_ip = 0
[zap]
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = "many.htpasswd"
[[route]]
path = "/d"
socket = "SUB"
connect = [%q]
ready = "none"
allow = "all"
`, freePort(t)))
	p := runUpgradable(t, h)
	at := nginx(t, p.address)

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	crowd := make([]visitor, users)
	start := time.Now()
	for i := range crowd {
		running.Go(func() { crowd[i].run(ctx, t, at+"d", fmt.Sprint("user", i)) })
	}
	var requests atomic.Int64
	running.Go(func() { probe(ctx, t, "http"+strings.TrimPrefix(at, "ws")+"none", &requests) })
	all := func(visits int32) {
		for i := range crowd {
			for deadline := time.Now().Add(10 * time.Minute); crowd[i].visits.Load() < visits; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) || t.Failed() {
					t.Fatalf("user%d has not come %d times", i, visits)
				}
			}
		}
	}
	all(1)
	t.Logf("%d users are logged in after %v", users, time.Since(start).Round(time.Millisecond))
	for i := range crowd {
		crowd[i].busy.Store(0)
	}
	start = time.Now()
	old := p.pid()
	p.signal(syscall.SIGUSR2)
	all(2)
	took := time.Since(start)
	p.await("all connections have ended after the handover")
	var outages []time.Duration
	refused := int32(0)
	for i := range crowd {
		outages = append(outages, time.Duration(crowd[i].outage.Load()))
		refused += crowd[i].busy.Load()
	}
	slices.Sort(outages)
	t.Logf("%d users are back %v after the upgrade (process %d after %d); away for %v in the middle, %v at most; %d were told to wait for their login; %d requests were answered meanwhile, none with 502",
		users, took.Round(time.Millisecond), p.pid(), old, outages[users/2].Round(time.Millisecond), outages[users-1].Round(time.Millisecond), refused, requests.Load())
	for i := range crowd {
		if n := crowd[i].visits.Load(); n != 2 {
			t.Errorf("user%d has come %d times, want twice", i, n)
		}
	}
}

// visitor is a user who comes back when disconnected.
type visitor struct {
	visits atomic.Int32
	busy   atomic.Int32 // logins that were told to come back later
	outage atomic.Int64 // the last one, in nanoseconds
}

func (v *visitor) run(ctx context.Context, t *testing.T, url, user string) {
	o := zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: user, Password: upgradePassword}, HandshakeTimeout: time.Minute}
	var left time.Time
	for ctx.Err() == nil {
		c, err := zws.Dial(ctx, url, o)
		if err == nil {
			if !left.IsZero() {
				v.outage.Store(int64(time.Since(left)))
			}
			v.visits.Add(1)
			_, err = c.Recv(ctx)
			left = time.Now()
			c.Close()
		}
		if ctx.Err() != nil {
			return
		}
		closed, ok := errors.AsType[*zws.CloseError](err)
		switch {
		case ok && closed.Code == zws.CodeTemporary: // with advice, unless the machine was too busy to keep an estimate
			v.busy.Add(1)
		case ok && closed.Code == zws.CodeGoingAway:
		default:
			t.Errorf("%s: %v, want that it is let in, or 1001 or 4300", user, err)
			return
		}
		select {
		case <-time.After(max(closed.RetryDelay(), 10*time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// probe sends plain requests until ctx ends, none of which may be answered by nginx.
func probe(ctx context.Context, t *testing.T, url string, answered *atomic.Int64) {
	defer http.DefaultClient.CloseIdleConnections()
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		response, err := http.DefaultClient.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.Error(err)
		case response.StatusCode != http.StatusNotFound:
			t.Errorf("a request is answered with %s, want 404 of the bridge", response.Status)
		}
		answered.Add(1)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// upgradable is a running zwsbridge serve that can be replaced.
type upgradable struct {
	t       *testing.T
	address string
	main    atomic.Int64 // process id
	logged  chan string  // what it logs of upgrades
}

func (p *upgradable) pid() int { return int(p.main.Load()) }

// runUpgradable runs zwsbridge serve, whose last process ends with the test.
func runUpgradable(t *testing.T, h *home) *upgradable {
	t.Helper()
	cmd := exec.Command(h.build(), "serve", "--config", h.path("bridge.toml"))
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &upgradable{t: t, logged: make(chan string, 1000)}
	p.main.Store(int64(cmd.Process.Pid))
	ended := make(chan struct{})
	serving := make(chan string, 2)
	go func() {
		defer close(ended)
		defer close(serving)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct {
				Msg, Address string
				To           int64
			}
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			switch line.Msg {
			case "serving":
				serving <- line.Address
			case "handed over":
				p.main.Store(line.To)
			case "took over", "all connections have ended after the handover", "not handed over, this process goes on":
				t.Log(lines.Text())
				p.logged <- line.Msg
			}
		}
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		<-ended
		_ = cmd.Wait()
	})
	if p.address = <-serving; p.address == "" {
		t.Fatal("zwsbridge serve has exited")
	}
	return p
}

func (p *upgradable) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid(), s); err != nil {
		p.t.Error(err)
	}
}

// await waits for a line of the log.
func (p *upgradable) await(want string) {
	p.t.Helper()
	for limit := time.After(10 * time.Minute); ; {
		select {
		case got := <-p.logged:
			if got == want {
				return
			}
		case <-limit:
			p.t.Fatalf("not logged: %s", want)
		}
	}
}

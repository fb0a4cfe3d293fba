package bridge_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// startAsked starts a bridge whose users native servers can ask about at endpoint, with alice
// and bob as clients of /d too.
func startAsked(t *testing.T, endpoint string, server, zapLines string) (url string) {
	t.Helper()
	url, _ = start(t, fmt.Sprintf(`
[server]
%s
[zap]
timeout = "1m"
chain = [ { authn = "users" } ]
listen = [%q]
%s
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
`, server, endpoint, zapLines)+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	return url
}

// asker connects a native server that asks.
func asker(t *testing.T, endpoint string) *zmtp.Conn {
	t.Helper()
	c, err := zmtp.Dial(t.Context(), endpoint, zmtp.Null{}, zmtp.Options{SocketType: zmtp.DEALER})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// ask writes a question about a PLAIN login.
func ask(c *zmtp.Conn, domain, address, user, password string) error {
	return c.Write(message("", "1.0", "1", domain, address, "", "PLAIN", user, password))
}

// answered reads the answer to a question.
func answered(t *testing.T, c *zmtp.Conn) *zap.Reply {
	t.Helper()
	m, err := c.ReadMessage()
	must(t, err)
	reply, err := zap.ParseReply(m[1:], "1")
	must(t, err)
	return reply
}

// TestAskedTooOften: guessing by way of zap.listen is as slow as by way of a login.
func TestAskedTooOften(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url := startAsked(t, endpoint, "max_failures = 3", "")
	c := asker(t, endpoint)
	start := time.Now()
	for i := range 3 {
		must(t, ask(c, "global", fmt.Sprintf("192.0.2.%d", i), fmt.Sprint("guess", i), "x"))
		if reply := answered(t, c); reply.Status != zap.Refused {
			t.Fatalf("question %d: %+v, want 400", i, reply)
		}
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("the third answer came after %v, want a second", took)
	}
	must(t, ask(c, "global", "192.0.2.9", "alice", "alice's secret"))
	if reply := answered(t, c); reply.Status != zap.Temporary {
		t.Errorf("the asker is not stopped: %+v", reply)
	}
	connect(t, url+"/d", plainLogin("alice", zmtp.SUB)) // clients are not affected
}

// TestAskedDomains: native servers ask about the domains that zap.listen_domains names.
func TestAskedDomains(t *testing.T) {
	for _, tc := range []struct {
		lines, domain string
		want          zap.Status
	}{
		{"", "any", zap.Refused}, // no entry of the chain is for it
		{"", "global", zap.OK},
		{"", "", zap.OK}, // zap.domain
		{`listen_domains = ["house", "global"]`, "", zap.OK},
		{`listen_domains = ["house", "global"]`, "house", zap.Refused},
		{`listen_domains = ["house"]`, "global", zap.Refused},
		{`listen_domains = ["house"]`, "", zap.Refused},
	} {
		endpoint := unusedEndpoint(t)
		startAsked(t, endpoint, "", tc.lines)
		c := asker(t, endpoint)
		must(t, ask(c, tc.domain, "192.0.2.1", "alice", "alice's secret"))
		if reply := answered(t, c); reply.Status != tc.want {
			t.Errorf("%s, domain %q: %+v, want %d", tc.lines, tc.domain, reply, tc.want)
		}
		c.Close()
	}
}

// costly starts a bridge like startAsked, where each login takes some time to compute.
func costly(t *testing.T, endpoint string) (url string) {
	t.Helper()
	url, _ = startIn(t, func(dir string) string {
		var text []byte
		hash, err := bcrypt.GenerateFromPassword([]byte("x"), 8)
		must(t, err)
		for i := range 100 {
			text = fmt.Appendf(text, "user%d:%s\n", i, hash)
		}
		must(t, os.WriteFile(filepath.Join(dir, "many"), text, 0o600))
		return fmt.Sprintf("[zap]\ntimeout = \"1m\"\nchain = [ { authn = \"many\" } ]\nlisten = [%q]\n"+
			"[auth.many]\ntype = \"htpasswd\"\nfile = \"many\"\n", endpoint) + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	})
	return url
}

func costlyLogin(user string) zws.DialOptions {
	o := plainLogin(user, zmtp.SUB)
	o.Security = zmtp.Plain{User: user, Password: "x"}
	return o
}

// TestFloodOfQuestions: five servers that ask as much as they can do not keep a client from
// logging in, nor another server from asking.
func TestFloodOfQuestions(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url := costly(t, endpoint)
	var answers atomic.Int64
	var reading sync.WaitGroup
	defer reading.Wait()
	for range 5 {
		c := asker(t, endpoint)
		for i := range 60 {
			must(t, ask(c, "global", "192.0.2.1", fmt.Sprint("user", i), "x"))
		}
		reading.Go(func() {
			for {
				if _, err := c.ReadMessage(); err != nil {
					return
				}
				answers.Add(1)
			}
		})
		defer c.Close()
	}
	connect(t, url+"/d", costlyLogin("user7"))
	if n := answers.Load(); n > 100 {
		t.Errorf("the client waited for %d of 300 questions", n)
	}
}

// TestFloodOfLogins: clients that log in at the same time do not keep a server from asking.
func TestFloodOfLogins(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url := costly(t, endpoint)
	c := asker(t, endpoint)
	ctx, cancel := context.WithCancel(t.Context())
	var in atomic.Int64
	var logins sync.WaitGroup
	for i := range 100 {
		logins.Go(func() {
			if client, err := zws.Dial(ctx, url+"/d", costlyLogin(fmt.Sprint("user", i))); err == nil {
				in.Add(1)
				client.Close()
			}
		})
	}
	for in.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	must(t, ask(c, "global", "192.0.2.1", "user1", "x"))
	if reply := answered(t, c); reply.Status != zap.OK || in.Load() > 50 {
		t.Errorf("%+v after %d of 100 logins", reply, in.Load())
	}
	cancel()
	logins.Wait()
}

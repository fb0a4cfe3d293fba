//go:build interop

package examples

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCluster runs the two bridges of the example. nginx gives each a client. When one bridge is
// killed, its client moves to the other and has missed nothing that the client there has received.
func TestCluster(t *testing.T) {
	need(t, "nginx", "nats-server")
	e := newEnv(t)
	readings := freePort(t)
	house := zmq4.NewPub(context.Background())
	if err := house.Listen("tcp://" + readings); err != nil {
		t.Fatal(err)
	}
	defer house.Close()
	roots := selfSigned(t, e)
	front, nats := freePort(t), freePort(t)
	a, b := freePort(t), freePort(t)
	portOf := func(address string) string {
		_, port, _ := net.SplitHostPort(address)
		return port
	}
	e.copy("cluster/bridge.toml", "bridge.toml", "127.0.0.1:4222", nats, `mechanism = "CURVE"`, "", `cert = "certs/bridge"`, "",
		`{ endpoint = "tcp://127.0.0.1:5556", server_key = "${HOUSE_KEY}" }`, `"tcp://`+readings+`"`, `lease = "3s"`, `lease = "1s"`)
	e.copy("cluster/nginx.conf", "nginx.conf", "127.0.0.1:8441", a, "127.0.0.1:8442", b, "127.0.0.1:8080", front,
		"daemon off;", "daemon off; worker_processes 1;"+nginxUser())
	e.copy("cluster/run", "run", "4222", portOf(nats), "8441 8442", portOf(a)+" "+portOf(b))
	e.env = append(e.env, "PATH="+filepath.Dir(build(t, "zwsbridge", "../cmd/zwsbridge"))+":"+os.Getenv("PATH"))
	e.start("bash", "run")

	published, stop := make(chan int, 1), make(chan struct{})
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				published <- n
				return
			case <-time.After(5 * time.Millisecond):
			}
			n++
			_ = house.Send(zmq4.NewMsgFrom([]byte("house/alice/n"), []byte(strconv.Itoa(n))))
		}
	}()
	url := "wss://" + front + "/ws/devices"
	clients := []*mover{{t: t, url: url, roots: roots}, {t: t, url: url, roots: roots}}
	for _, c := range clients {
		c.connect()
		c.until(func(n int) bool { return len(c.list) >= 50 })
	}
	e.kill(portOf(a) + ".pid")
	for _, c := range clients {
		had := c.list[len(c.list)-1]
		c.until(func(n int) bool { return n > had+500 })
	}
	close(stop)
	<-published
	last := max(clients[0].last(), clients[1].last())
	for _, c := range clients {
		if c.last() < last {
			c.until(func(n int) bool { return n >= last })
		}
	}
	if clients[0].moves+clients[1].moves != 1 {
		t.Errorf("the clients have moved %d and %d times, want one of them once", clients[0].moves, clients[1].moves)
	}
	from := max(clients[0].list[0], clients[1].list[0])
	later := func(n int) bool { return n >= from && n <= last }
	x, y := filter(clients[0].list, later), filter(clients[1].list, later)
	if !slices.Equal(x, y) {
		t.Errorf("the clients have received %d and %d messages, want the same", len(x), len(y))
	}
	for _, c := range clients {
		if c.moves > 0 && !c.resumed.Recovered {
			t.Error("the client that has moved has not recovered everything")
		}
	}
}

func filter(list []int, keep func(int) bool) (kept []int) {
	for _, n := range list {
		if keep(n) {
			kept = append(kept, n)
		}
	}
	return kept
}

func nginxUser() string {
	if os.Getuid() == 0 {
		return " user root;" // the directory has mode 0700
	}
	return ""
}

// kill ends the process whose id is in the file without warning.
func (e *testEnv) kill(file string) {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, file))
	if err != nil {
		e.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		e.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		e.t.Fatal(err)
	}
}

// mover is a client that connects again and resumes when its connection ends.
type mover struct {
	t       *testing.T
	url     string
	roots   *x509.CertPool
	client  *zws.Client
	at      string
	list    []int // numbers of the messages
	moves   int
	resumed zws.Resumed
}

func (c *mover) last() int { return c.list[len(c.list)-1] }

// connect connects until it is served.
func (c *mover) connect() {
	c.t.Helper()
	for end := time.Now().Add(timeout); ; time.Sleep(50 * time.Millisecond) {
		client, err := zws.Dial(c.t.Context(), c.url, zws.DialOptions{
			SocketType: zmtp.SUB, Security: zmtp.Plain{User: "alice", Password: password}, History: true,
			TLS: &tls.Config{RootCAs: c.roots},
			Notify: func(n zws.Notification) {
				if n.Resumed != nil {
					c.resumed = *n.Resumed
				}
			},
		})
		if err == nil {
			c.client = client
			c.t.Cleanup(func() { client.Close() })
			if err := client.Resume(c.t.Context(), c.at, []byte("house/alice/")); err == nil {
				return
			}
		}
		if time.Now().After(end) {
			c.t.Fatal(err)
		}
	}
}

// until takes messages until enough of the last one.
func (c *mover) until(enough func(n int) bool) {
	c.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(c.t.Context(), timeout)
		m, err := c.client.Recv(ctx)
		cancel()
		if ctx.Err() == context.DeadlineExceeded {
			c.t.Fatal("nothing comes any more")
		}
		if err != nil {
			c.moves++
			c.connect()
			continue
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			c.t.Fatal(err)
		}
		if len(c.list) > 0 && n <= c.last() {
			c.t.Fatalf("got %d after %d", n, c.last())
		}
		c.at = c.client.Position()
		if c.list = append(c.list, n); enough(n) {
			return
		}
	}
}

package bridge_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// counter is a PUB that numbers its messages from 0 on each connection, from the subscription on.
type counter struct {
	endpoint string
	conns    atomic.Int64
	sent     atomic.Int64 // on the last connection
}

func newCounter(t *testing.T, name string, pace time.Duration, stop <-chan struct{}) *counter {
	p := &counter{}
	p.endpoint = listen(t, zmtp.PUB, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		if _, err := c.ReadMessage(); err != nil { // the subscription
			return
		}
		n := p.conns.Add(1)
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				_, _ = c.ReadMessage() // the end
				return
			case <-time.After(pace):
			}
			if c.Write(message("p", name, strconv.FormatInt(n, 10), strconv.FormatInt(i, 10))) != nil {
				return
			}
			p.sent.Store(i + 1)
		}
	})
	return p
}

// first is the connection that is there before the clients are.
const first = "0 1"

// listener checks the stream of one client: on each connection of each publisher all messages
// from the first on, or on the first connection from when the client has subscribed.
type listener struct {
	mu   sync.Mutex
	next map[string]int // the number of the next message, by publisher and connection
}

func (l *listener) listen(t *testing.T, c *zws.Client) {
	for {
		m, err := c.Recv(t.Context())
		if err != nil {
			if t.Context().Err() == nil {
				t.Errorf("a session ended: %v", err)
			}
			return
		}
		key := string(m[1]) + " " + string(m[2])
		n, _ := strconv.Atoi(string(m[3]))
		l.mu.Lock()
		_, begun := l.next[key]
		if n != l.next[key] && (begun || key != first) {
			t.Errorf("publisher and connection %s: message %d, want %d", key, n, l.next[key])
		}
		l.next[key] = n + 1
		l.mu.Unlock()
	}
}

func (l *listener) has(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next[key]
}

// TestBackendsComeAndGo adds and removes endpoints in random order by the configuration, by
// connect_file and by operators, while clients listen and one sends requests: no session ends, no
// message of a connected publisher is lost, and no request.
func TestBackendsComeAndGo(t *testing.T) { backendsComeAndGo(t, 6, 8, 40) }

// TestBackendsComeAndGoSoak is TestBackendsComeAndGo with as many of each as a busy bridge has.
func TestBackendsComeAndGoSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("set ZWSBRIDGE_SOAK")
	}
	backendsComeAndGo(t, 20, 200, 200)
}

func backendsComeAndGo(t *testing.T, publishers, clients, changes int) {
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))) //nolint:gosec
	stop := make(chan struct{})
	pace := time.Duration(publishers*clients) * 25 * time.Microsecond // 40,000 deliveries a second
	var pubs []*counter
	var addresses, routers []string
	for i := range publishers {
		pubs = append(pubs, newCounter(t, strconv.Itoa(i), pace, stop))
		addresses = append(addresses, pubs[i].endpoint)
		routers = append(routers, echoRouter(t))
	}
	some := func(list []string) []string { // the first is always there
		return slices.DeleteFunc(slices.Clone(list), func(e string) bool { return e != list[0] && random.IntN(2) == 0 })
	}
	var dir string
	text := func(pubs, routers []string) string {
		route := "[[route]]\npath = %q\nsocket = %q\nconnect = %s\nendpoints_allowed = %s\nhigh_water_mark = 100000\nhigh_water_bytes = \"64MiB\"\n%s"
		tomlList := func(l []string) string { b, _ := json.Marshal(l); return string(b) }
		return usersOnly + "[admin]\ntoken_file = \"token\"\n" +
			fmt.Sprintf(route, "/d", "SUB", tomlList(pubs), tomlList(addresses), "connect_file = \"more.json\"\n") +
			fmt.Sprintf(route, "/r", "DEALER", tomlList(routers), tomlList(routers), "")
	}
	write := func(name, text string) {
		must(t, os.WriteFile(filepath.Join(dir, name+".new"), []byte(text), 0o600))
		must(t, os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)))
	}
	url, b := startIn(t, func(d string) string {
		dir = d
		write("token", "the token\n")
		write("more.json", "[]")
		return text(addresses[:1], routers[:1])
	})
	server := httptest.NewServer(b.Admin())
	t.Cleanup(server.Close)
	o := &operator{t: t, admin: server.URL}
	o.login(adminToken)

	listeners := make([]*listener, clients)
	for i := range clients {
		c := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
		must(t, c.Subscribe(t.Context(), []byte("p")))
		listeners[i] = &listener{next: make(map[string]int)}
		go listeners[i].listen(t, c)
	}
	answered, requested := requests(t, url+"/r", stop)

	for range changes {
		e := addresses[1+random.IntN(publishers-1)]
		switch random.IntN(4) {
		case 0:
			reload(t, b, dir, text(some(addresses), some(routers)))
		case 1:
			list, _ := json.Marshal(some(addresses)[1:])
			write("more.json", string(list))
		case 2:
			o.change("/routes/connect", fmt.Sprintf(`{"route":"/d","endpoint":%q}`, e))
		case 3:
			o.change("/routes/disconnect", fmt.Sprintf(`{"route":"/d","endpoint":%q}`, e))
		}
		more := pubs[0].sent.Load() + random.Int64N(10) // meanwhile some connect
		eventually(t, "messages", func() bool { return pubs[0].sent.Load() >= more })
	}
	close(stop)
	if n := pubs[0].conns.Load(); n != 1 {
		t.Errorf("the publisher that stays was connected %d times", n)
	}
	eventually(t, "all clients have what the publisher that stays has sent", func() bool {
		return !slices.ContainsFunc(listeners, func(l *listener) bool { return int64(l.has(first)) != pubs[0].sent.Load() })
	})
	eventually(t, "all requests are answered", func() bool { return answered() == requested() })
	if n := len(b.Sessions()); n != clients+1 {
		t.Errorf("%d sessions, want %d", n, clients+1)
	}
}

// requests sends requests until stop, and counts them and the answers.
func requests(t *testing.T, url string, stop <-chan struct{}) (answered, requested func() int64) {
	c := connect(t, url, plainLogin("bob", zmtp.DEALER))
	var sent, got atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			sent.Add(1)
			if err := c.Send(t.Context(), message("request", fmt.Sprint(sent.Load()))); err != nil {
				t.Errorf("request: %v", err)
				return
			}
		}
	}()
	go func() {
		for {
			if _, err := c.Recv(t.Context()); err != nil {
				return
			}
			got.Add(1)
		}
	}()
	return got.Load, func() int64 { <-done; return sent.Load() }
}

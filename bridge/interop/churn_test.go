//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestBackendsComeAndGo adds, removes and renames publishers of libzmq in random order by reloads, by
// connect_file and by operators, while clients listen and one sends requests to ROUTER sockets of
// libzmq that come and go as well: no session ends, no message of a connected publisher is lost, and no
// request.
func TestBackendsComeAndGo(t *testing.T) { backendsComeAndGo(t, 5, 6, 25) }

// TestBackendsComeAndGoSoak is TestBackendsComeAndGo with as many of each as a busy bridge has.
func TestBackendsComeAndGoSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("set ZWSBRIDGE_SOAK=1 (make soak)")
	}
	backendsComeAndGo(t, 20, 200, 200)
}

// churn is a bridge whose backends come and go.
type churn struct {
	t          *testing.T
	home       *home
	bridge     *bridge.Bridge
	url, admin string

	publishers, routers []string // endpoints
	renamed             []bool   // of publishers: the other name is used
	file, watched       []int    // publishers in the configuration and in connect_file; the first is in file always
	used                []int    // routers
}

// name returns the endpoint of a publisher by its present name. Only the configuration has those that
// are renamed, so that no two sources name one publisher differently.
func (c *churn) name(i int) string {
	if c.renamed[i] {
		return strings.Replace(c.publishers[i], "127.0.0.1", "localhost", 1)
	}
	return c.publishers[i]
}

func quoted(list []string) string {
	text, _ := json.Marshal(list)
	return string(text)
}

// names returns endpoints of publishers.
func (c *churn) names(list []int) string {
	names := []string{}
	for _, i := range list {
		names = append(names, c.name(i))
	}
	return quoted(names)
}

// text returns the configuration.
func (c *churn) text() string {
	var routers []string
	for _, i := range c.used {
		routers = append(routers, c.routers[i])
	}
	const table = "[[route]]\npath = %q\nsocket = %q\nconnect = %s\nendpoints_allowed = %s\nhigh_water_mark = 100000\nhigh_water_bytes = \"64MiB\"\n%s"
	return allMechanisms + "[admin]\ntoken_file = \"token\"\n" +
		fmt.Sprintf(table, "/d", "SUB", c.names(c.file), quoted(c.publishers), "connect_file = \"more.json\"\n") +
		fmt.Sprintf(table, "/r", "DEALER", quoted(routers), quoted(c.routers), "")
}

// watch replaces connect_file.
func (c *churn) watch() {
	c.home.write("more.json.new", c.names(c.watched))
	if err := os.Rename(c.home.path("more.json.new"), c.home.path("more.json")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *churn) start() {
	c.home.write("token", "the token\n")
	c.watch()
	var err error
	if c.bridge, err = bridge.New(c.home.load(c.text()), bridge.Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		c.t.Fatal(err)
	}
	server, operators := httptest.NewServer(c.bridge), httptest.NewServer(c.bridge.Admin())
	c.url, c.admin = "ws"+strings.TrimPrefix(server.URL, "http"), operators.URL
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.bridge.Close(ctx); err != nil {
			c.t.Error(err)
		}
		server.Close()
		operators.Close()
	})
}

// operate connects or disconnects a publisher as an operator.
func (c *churn) operate(what string, i int) {
	body := fmt.Sprintf(`{"route":"/d","endpoint":%q}`, c.publishers[i])
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.admin+"/routes/"+what, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer the token")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		c.t.Errorf("%s %s: %s %s", what, body, resp.Status, answer)
	}
}

// change changes something. Every third publisher can be renamed, and is in the configuration only.
func (c *churn) change() {
	some := func(n int, eligible func(int) bool) (list []int) {
		for i := range n {
			if i > 0 && eligible(i) && rand.IntN(2) == 0 {
				list = append(list, i)
			}
		}
		return list
	}
	renamable := func(i int) bool { return i%3 == 1 }
	others := func(i int) bool { return !renamable(i) }
	any := func(int) bool { return true }
	i := 1 + rand.IntN(len(c.publishers)-1)
	switch n := rand.IntN(5); {
	case n < 2:
		c.file, c.used = append([]int{0}, some(len(c.publishers), any)...), append([]int{0}, some(len(c.routers), any)...)
		for i := range c.renamed {
			c.renamed[i] = renamable(i) && rand.IntN(2) == 0
		}
		if err := c.bridge.Reload(c.home.load(c.text())); err != nil {
			c.t.Fatal(err)
		}
	case n == 2:
		c.watched = some(len(c.publishers), others)
		c.watch()
	case renamable(i):
	case n == 3:
		c.operate("connect", i)
	default:
		c.operate("disconnect", i)
	}
}

// first is the subscription that is there before the clients are.
const first = "0 1"

// audience is what a client has received: of each subscription at each publisher all messages from the
// first on, or of the first one from when the client has subscribed.
type audience struct {
	mu   sync.Mutex
	next map[string]int // the number of the next message, by publisher and subscription
}

func (a *audience) listen(t *testing.T, c *zws.Client) {
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
		a.mu.Lock()
		if want, begun := a.next[key]; n != want && (begun || key != first) {
			t.Errorf("publisher and subscription %s: message %d, want %d", key, n, want)
		}
		a.next[key] = n + 1
		a.mu.Unlock()
	}
}

func (a *audience) has(key string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next[key]
}

// eventually waits until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func backendsComeAndGo(t *testing.T, publishers, clients, changes int) {
	need(t, "python3-zmq")
	pace := max(20*time.Millisecond, time.Duration(publishers*clients)*50*time.Microsecond) // 20,000 deliveries a second
	peer := start(t, "churn.py", fmt.Sprint(pace.Seconds()))
	c := &churn{t: t, home: newHome(t), renamed: make([]bool, publishers), file: []int{0}, used: []int{0}}
	var stays *socket
	for i := range publishers {
		s := peer.bind(t, "XPUB", nil)
		if i == 0 {
			stays = s
		}
		if s.number != i {
			t.Fatalf("publisher %d is socket %d", i, s.number)
		}
		c.publishers = append(c.publishers, s.endpoint)
	}
	for range 3 {
		c.routers = append(c.routers, peer.bind(t, "ROUTER", nil).endpoint)
	}
	c.start()
	all := make([]*audience, clients)
	for i := range all {
		client, err := alice(t, c.url+"/d", zmtp.SUB)
		if err == nil {
			t.Cleanup(func() { client.Close() })
			err = client.Subscribe(t.Context(), []byte("p"))
		}
		if err != nil {
			t.Fatal(err)
		}
		all[i] = &audience{next: make(map[string]int)}
		go all[i].listen(t, client)
	}
	every := func(ok func(*audience) bool) bool {
		return !slices.ContainsFunc(all, func(a *audience) bool { return !ok(a) })
	}
	eventually(t, "all clients have subscribed", func() bool { return every(func(a *audience) bool { return a.has(first) > 0 }) })
	load := newLoad(t, c.url+"/r")
	for range changes {
		c.change()
		more := all[0].has(first) + rand.IntN(10) // meanwhile some connect
		eventually(t, "messages", func() bool { return all[0].has(first) >= more })
	}
	stays.do("stop")
	sent := stays.wait("sent").Frames
	if sent[0] != "1" {
		t.Errorf("the publisher that stays was subscribed to %s times", sent[0])
	}
	eventually(t, "all clients have what the publisher that stays has sent", func() bool {
		return every(func(a *audience) bool { return strconv.Itoa(a.has(first)) == sent[1] })
	})
	load.end()
	if n := len(c.bridge.Sessions()); n != clients+1 {
		t.Errorf("%d sessions, want %d", n, clients+1)
	}
	all[0].mu.Lock()
	defer all[0].mu.Unlock()
	heard := 0
	for _, n := range all[0].next {
		heard += n
	}
	t.Logf("%d messages of %d connections for each of %d clients, %d requests", heard, len(all[0].next), clients, load.sent.Load())
}

// load is a client that sends a thousand requests a second.
type load struct {
	t              *testing.T
	sent, answered atomic.Int64
	stop, stopped  chan struct{}
}

func newLoad(t *testing.T, url string) *load {
	c, err := alice(t, url, zmtp.DEALER)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	l := &load{t: t, stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(l.stopped)
		ticks := time.NewTicker(time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-ticks.C:
			}
			if err := c.Send(t.Context(), zmtp.Message{[]byte("request"), []byte(strconv.FormatInt(l.sent.Add(1), 10))}); err != nil {
				t.Errorf("request: %v", err)
				return
			}
		}
	}()
	go func() {
		answered := make(map[string]bool)
		for {
			m, err := c.Recv(t.Context())
			if err != nil {
				return
			}
			if answered[string(m[1])] {
				t.Errorf("request %s was answered twice", m[1])
			}
			answered[string(m[1])] = true
			l.answered.Add(1)
		}
	}()
	return l
}

// end checks that every request was answered.
func (l *load) end() {
	l.t.Helper()
	close(l.stop)
	<-l.stopped
	eventually(l.t, "every request is answered", func() bool { return l.answered.Load() == l.sent.Load() })
}

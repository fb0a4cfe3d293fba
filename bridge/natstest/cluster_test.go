package natstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const patience = 20 * time.Second

// lease is that of the bridges in these tests.
const lease = time.Second

// press is a PUB that publishes numbered messages.
type press struct {
	t        *testing.T
	socket   zmq4.Socket
	endpoint string
	last     int
}

func startPress(t *testing.T) *press {
	p := &press{t: t, socket: zmq4.NewPub(context.Background())}
	if err := p.socket.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.socket.Close() })
	p.endpoint = "tcp://" + p.socket.Addr().String()
	return p
}

// publish publishes the next n messages of topic.
func (p *press) publish(topic string, n int) {
	for range n {
		p.last++
		if err := p.socket.Send(zmq4.NewMsgFrom([]byte(topic), []byte(strconv.Itoa(p.last)))); err != nil {
			p.t.Error(err)
		}
	}
}

// configuration is that of a bridge whose route /d keeps what p publishes below house/.
func configuration(n *natsServer, p *press, more string) string {
	return fmt.Sprintf(`
[admin]
token_file = "token"
[history]
store = "nats"
[history.nats]
servers = [%q]
lease = "%v"
[[route]]
path = "/d"
socket = "SUB"
connect = [%q]
allow = "all"
on_full = "replay"
client_mechanisms = ["NULL", "PLAIN"]
%s
[route.history]
topics = ["house/"]
`, n.first, lease, p.endpoint, more)
}

// history is an object of GET /history.
type history struct {
	Leader     string
	Messages   int
	Generation string
	State      string
	LastValues int `json:"last_values"`
}

// history returns what the bridge says of its route.
func (b *bridgeProcess) history() (h history) {
	var list []history
	b.get("/history", &list)
	if len(list) != 1 {
		return h
	}
	return list[0]
}

// get reads what the operators' interface has at path into v.
func (b *bridgeProcess) get(path string, v any) {
	request, err := http.NewRequest("GET", "http://"+b.admin+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	client := http.Client{Timeout: patience}
	if response, err := client.Do(request); err == nil {
		defer response.Body.Close()
		_ = json.NewDecoder(response.Body).Decode(v) // v stays empty
	}
}

// post sends body to path of the operators' interface.
func (b *bridgeProcess) post(path, body string) {
	b.t.Helper()
	if status, answer := b.change(path, body); status != http.StatusOK {
		b.t.Fatalf("%s: %d %s", path, status, answer)
	}
}

// change is post, and returns the answer.
func (b *bridgeProcess) change(path, body string) (status int, answer string) {
	b.t.Helper()
	request, err := http.NewRequest("POST", "http://"+b.admin+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// leads reports whether the bridge reads the backends, and its backend is connected.
func (b *bridgeProcess) leads() bool {
	name := b.history().Leader
	var pid int
	for i, dashes := len(name)-1, 0; i >= 0; i-- {
		if name[i] == '-' {
			if dashes++; dashes == 2 {
				_, _ = fmt.Sscanf(name[i+1:], "%d", &pid)
				break
			}
		}
	}
	return pid == b.cmd.Process.Pid
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// waitIngested waits until what p publishes gets to the log of b.
func (p *press) waitIngested(b *bridgeProcess) {
	p.t.Helper()
	eventually(p.t, "what is published is kept", func() bool {
		before := b.history().Messages
		p.publish("house/probe", 1)
		for range 20 {
			if b.history().Messages > before {
				return true
			}
			time.Sleep(5 * time.Millisecond)
		}
		return false
	})
}

// client is a client with positions.
type client struct {
	t *testing.T
	*zws.Client
	resumed *zws.Resumed // the first notification, of what was resumed; valid with the first message
	in      chan received
	at      string // the position after the message that next returned last
}

// received is a message as it came.
type received struct {
	number int
	at     string
	err    error
}

// dial connects and resumes at that position.
func dial(t *testing.T, b *bridgeProcess, position string, topics ...string) *client {
	t.Helper()
	c, err := tryDial(t, b, position, topics...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryDial(t *testing.T, b *bridgeProcess, position string, topics ...string) (*client, error) {
	c, err := connect(t, b, zws.DialOptions{Security: zmtp.Null{}})
	if err != nil {
		return nil, err
	}
	list := make([][]byte, len(topics))
	for i, topic := range topics {
		list[i] = []byte(topic)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Resume(ctx, position, list...); err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

// dialQueue connects with the default queue of a user, and subscribes it.
func dialQueue(t *testing.T, b *bridgeProcess, user string, topics ...string) *client {
	t.Helper()
	c, err := connect(t, b, zws.DialOptions{Security: zmtp.Plain{User: user, Password: password}, Queue: new(string)})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if err := c.Subscribe(context.Background(), []byte(topic)); err != nil {
			t.Fatal(err)
		}
	}
	go c.read()
	return c
}

// connect connects a client with positions.
func connect(t *testing.T, b *bridgeProcess, o zws.DialOptions) (*client, error) {
	c := &client{t: t, in: make(chan received, 1<<20)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o.SocketType, o.History = zmtp.SUB, true
	o.Notify = func(n zws.Notification) {
		if c.resumed == nil { // later ones tell of gaps while the client is connected
			c.resumed = n.Resumed
		}
		if n.Lost > 0 {
			t.Errorf("%d messages lost", n.Lost)
		}
	}
	var err error
	if c.Client, err = zws.Dial(ctx, "ws://"+b.client+"/d", o); err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c, nil
}

// read takes what comes until the connection ends.
func (c *client) read() {
	defer close(c.in)
	for {
		m, err := c.Recv(context.Background())
		r := received{at: c.Position(), err: err}
		if err == nil && len(m) == 2 {
			r.number, r.err = strconv.Atoi(string(m[1]))
		}
		if c.in <- r; err != nil {
			return
		}
	}
}

// next returns the number of the next message.
func (c *client) next() int {
	c.t.Helper()
	n, err := c.tryNext(patience)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *client) tryNext(wait time.Duration) (int, error) {
	select {
	case r, ok := <-c.in:
		if !ok {
			return 0, errors.New("the connection has ended")
		}
		c.at = r.at
		return r.number, r.err
	case <-time.After(wait):
		return 0, context.DeadlineExceeded
	}
}

// expect takes the messages from to to.
func (c *client) expect(from, to int) {
	c.t.Helper()
	for n := from; n <= to; n++ {
		if got := c.next(); got != n {
			c.t.Fatalf("got message %d, want %d", got, n)
		}
	}
}

// startTwo starts two bridges, of which the first leads.
func startTwo(t *testing.T, n *natsServer, p *press, more string) (leader, follower *bridgeProcess) {
	leader = startBridge(t, configuration(n, p, more))
	eventually(t, "a bridge leads", leader.leads)
	follower = startBridge(t, configuration(n, p, more))
	eventually(t, "the other knows it", func() bool { return follower.history().Leader == leader.history().Leader })
	return leader, follower
}

// TestFollower: a client of a bridge that does not lead has what the leader reads, live, and moves
// from one to the other without missing anything.
func TestFollower(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	from := p.last + 1
	p.publish("house/t", 100)
	a.expect(from, p.last)
	b.expect(from, p.last)
	if a.at != b.at || a.at == "" {
		t.Errorf("the positions are %q and %q, want the same", a.at, b.at)
	}
	at := a.at
	a.Close()
	from = p.last + 1
	p.publish("house/t", 50)
	b.expect(from, p.last)
	c := dial(t, follower, at, "house/t")
	c.expect(from, p.last)
	if !c.resumed.Recovered || c.resumed.Gap {
		t.Errorf("resumed: %+v, want recovered without a gap", *c.resumed)
	}
	// What is not kept comes from the backend itself.
	d := dial(t, follower, "", "other/")
	eventually(t, "other/ is subscribed to", func() bool {
		p.publish("other/t", 1)
		_, err := d.tryNext(20 * time.Millisecond)
		return err == nil
	})
}

// TestHandOver: a bridge that hands over gives the lease back, so that another leads, although it has not
// ended.
func TestHandOver(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a := dial(t, leader, "", "house/t")
	from := p.last + 1
	p.publish("house/t", 10)
	a.expect(from, p.last)
	if err := leader.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other leads", follower.leads)
	if _, err := a.tryNext(patience); err == nil {
		t.Error("a client of the bridge that hands over gets another message, want the end of its connection")
	}
	p.waitIngested(follower)
	c := dial(t, follower, a.at, "house/t")
	p.publish("house/t", 10)
	for got := c.next(); got != p.last; got = c.next() {
	}
}

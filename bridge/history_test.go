package bridge_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// press is a PUB that publishes what it is told to, once the bridge has subscribed.
type press struct {
	endpoint string
	out      chan zmtp.Message
	ready    chan struct{} // a bridge has subscribed
}

func startPress(t *testing.T) *press {
	p := &press{out: make(chan zmtp.Message), ready: make(chan struct{}, 100)}
	p.endpoint = listen(t, zmtp.PUB, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		if _, err := c.ReadMessage(); err != nil {
			return
		}
		p.ready <- struct{}{}
		for m := range p.out {
			if m == nil || c.Write(m) != nil {
				return
			}
		}
	})
	t.Cleanup(func() { close(p.out) })
	return p
}

// lose ends the connection, and waits until the bridge is back.
func (p *press) lose() {
	p.out <- nil
	<-p.ready
}

// publish publishes numbered messages of a topic.
func (p *press) publish(topic string, from, to int) {
	for n := from; n <= to; n++ {
		p.out <- zmtp.Message{[]byte(topic), fmt.Append(nil, n)}
	}
}

// startKept starts a bridge with a route /kept that keeps house/.
func startKept(t *testing.T, p *press, history string) (url string) {
	url, _ = start(t, usersOnly+fmt.Sprintf(`
[[route]]
path = "/kept"
socket = "SUB"
connect = [%q]
allow = [ { user = "*", subscribe = ["house/{user}/", "weather"] } ]
on_wide = "narrow"
on_full = "replay"
[route.history]
topics = ["house/", "weather"]
`+history, p.endpoint))
	<-p.ready
	return url + "/kept"
}

// loginKept logs alice in on a route with a history.
func loginKept(t *testing.T, url, more string) *jsonClient {
	c := dialJSON(t, url)
	c.send(`{"op":"login","user":"alice","password":"alice's secret"` + more + `}`)
	if got := c.next(); got["op"] != "ready" || got["history"] != true {
		t.Fatalf("the answer to the login is %v, want ready with a history", got)
	}
	return c
}

// waitKept waits until the newest message that the route keeps of topic is value.
func waitKept(t *testing.T, url, topic, value string) {
	t.Helper()
	eventually(t, "that "+value+" is kept", func() bool {
		c := loginKept(t, url, `,"history":true`)
		defer c.ws.Close()
		c.send(`{"op":"resume","topics":["` + topic + `"],"at":""}`)
		newest := ""
		for m := c.next(); m["op"] != "live"; m = c.next() {
			if m["op"] == "message" {
				newest = m["frames"].([]any)[1].(string)
			}
		}
		return newest == value
	})
}

// expect reads one object and returns it; a bridge can always say that the client has everything.
// Its op must be that one, and the second frame of a message that text.
func (p *jsonClient) expect(op, text string) map[string]any {
	p.t.Helper()
	got := p.next()
	for op != "live" && got["op"] == "live" {
		got = p.next()
	}
	if got["op"] != op {
		p.t.Fatalf("got %v, want op %q", got, op)
	}
	if text != "" && got["frames"].([]any)[1] != text {
		p.t.Fatalf("got %v, want %s", got, text)
	}
	return got
}

// TestResume: a client that comes back gets what came meanwhile, and only that.
func TestResume(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "")
	c := loginKept(t, url, `,"history":true`)
	c.send(`{"op":"resume","topics":[""],"at":""}`)
	c.expect("resumed", "")
	c.expect("live", "")
	go p.publish("house/alice/t", 1, 3)
	var at string
	for n := range 3 {
		m := c.expect("message", fmt.Sprint(n+1))
		at = m["at"].(string)
		if m["time"] != nil {
			t.Errorf("a live message has the time %v", m["time"])
		}
	}
	c.ws.Close()
	p.publish("house/alice/t", 4, 5)
	p.publish("house/bob/t", 6, 6)
	p.publish("weather", 7, 7)
	waitKept(t, url, "weather", "7")

	c = loginKept(t, url, `,"history":true`)
	c.send(`{"op":"resume","topics":["house/alice/","weather","house/bob/"],"at":"` + at + `"}`)
	var ops []string
	seen := map[string]bool{}
	for {
		m := c.next()
		ops = append(ops, m["op"].(string))
		switch m["op"] {
		case "resumed":
			if m["recovered"] != true || m["gap"] != false {
				t.Errorf("resumed: %v", m)
			}
			continue
		case "unsubscribed":
			if m["topic"] != "house/bob/" {
				t.Errorf("unsubscribed from %v", m["topic"])
			}
			continue
		case "message":
			text := m["frames"].([]any)[1].(string)
			seen[text] = true
			if m["time"] == nil {
				t.Errorf("a replayed message has no time: %v", m)
			}
			continue
		}
		break
	}
	if ops[len(ops)-1] != "live" || len(ops) != 6 || !seen["4"] || !seen["5"] || !seen["7"] {
		t.Errorf("got %v and the messages %v, want those from 4 on of alice", ops, seen)
	}
	go p.publish("house/alice/t", 8, 8)
	if m := c.expect("message", "8"); m["time"] != nil {
		t.Errorf("a live message has the time %v", m["time"])
	}

	// What the bridge does not know is not recovered, and everything that is kept follows.
	for _, at := range []string{"", "AAAA", "!"} {
		c := loginKept(t, url, `,"history":true`)
		c.send(`{"op":"resume","topics":["weather"],"at":"` + at + `"}`)
		if m := c.expect("resumed", ""); m["recovered"] != false {
			t.Errorf("position %q: %v", at, m)
		}
		c.expect("message", "7")
		c.expect("live", "")
	}
}

// TestLastValues: a subscription that asks for it begins with the newest message of each topic.
func TestLastValues(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "")
	p.publish("house/alice/t", 1, 3)
	p.publish("house/alice/u", 4, 6)
	p.publish("house/bob/t", 7, 7)
	waitKept(t, url, "house/alice/u", "6")
	c := loginKept(t, url, `,"history":true`)
	c.send(`{"op":"subscribe","topic":"house/","last":true}`)
	for _, want := range []string{"3", "6"} {
		if m := c.expect("message", want); m["time"] == nil || m["at"] == nil {
			t.Errorf("a last value without its time or position: %v", m)
		}
	}
	go p.publish("house/alice/t", 8, 8)
	c.expect("message", "8")
	c.send(`{"op":"subscribe","topic":"weather","last":true}`) // nothing is kept yet
	go p.publish("weather", 9, 9)
	c.expect("message", "9")
}

// TestLastValuesAlways: clients that know nothing of histories get last values where the route says
// so, and no byte more.
func TestLastValuesAlways(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, `last_value = "always"`)
	p.publish("house/alice/t", 1, 3)
	waitKept(t, url, "house/alice/t", "3")
	c := dialJSON(t, url)
	c.send(`{"op":"login","user":"alice","password":"alice's secret"}`)
	if got := c.next(); len(got) != 1 {
		t.Errorf("ready is %v", got)
	}
	c.send(`{"op":"subscribe","topic":"house/"}`)
	if m := c.expect("message", "3"); len(m) != 2 {
		t.Errorf("got %v, want no position and no time", m)
	}
	plain := connect(t, url, plainLogin("alice", zmtp.SUB))
	if err := plain.Subscribe(t.Context(), []byte("house/")); err != nil {
		t.Fatal(err)
	}
	if m, err := plain.Recv(t.Context()); err != nil || string(m[1]) != "3" {
		t.Errorf("a plain client got %q, %v", m, err)
	}
}

// TestHistoryReload: what is kept outlives a reload that changes the route, and a restart where it
// is kept in files.
func TestHistoryReload(t *testing.T) {
	p := startPress(t)
	dir := t.TempDir()
	text := func(more string) string {
		return usersOnly + fmt.Sprintf(`
[history]
store = "file"
dir = %q
[[route]]
path = "/kept"
socket = "SUB"
connect = [%q]
allow = [ { user = "*", subscribe = ["#"] } ]
%s
[route.history]
topics = [""]
`, dir, p.endpoint, more)
	}
	last := func(t *testing.T, url string) string {
		t.Helper()
		c := loginKept(t, url+"/kept", `,"history":true`)
		defer c.ws.Close()
		c.send(`{"op":"subscribe","topic":"a","last":true}`)
		return c.expect("message", "")["frames"].([]any)[1].(string)
	}
	t.Run("reload", func(t *testing.T) {
		url, b := start(t, text(""))
		<-p.ready
		p.publish("a", 1, 2)
		eventually(t, "2", func() bool { return last(t, url) == "2" })
		if err := b.Reload(loadConfig(t, t.TempDir(), strings.ReplaceAll(text(`on_full = "replay"`), "users.htpasswd", usersFile(t)))); err != nil {
			t.Fatal(err)
		}
		<-p.ready
		if got := last(t, url); got != "2" {
			t.Errorf("after the reload the last value is %s, want 2", got)
		}
		eventually(t, "3", func() bool {
			p.publish("a", 3, 3) // perhaps to the connection of before
			return last(t, url) == "3"
		})
	})
	t.Run("restart", func(t *testing.T) {
		url, _ := start(t, text(""))
		<-p.ready
		if got := last(t, url); got != "3" {
			t.Errorf("after the restart the last value is %s, want 3", got)
		}
	})
}

// usersFile writes users.htpasswd and returns its name.
func usersFile(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "users.htpasswd")
	if err := os.WriteFile(name, users(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestLiveAfterSubscribing: a client with history that subscribes is told where it begins, so that it
// can resume although nothing has come.
func TestLiveAfterSubscribing(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "")
	c := loginKept(t, url, `,"history":true`)
	c.send(`{"op":"subscribe","topic":"weather"}`)
	at := c.expect("live", "")["at"].(string)
	c.ws.Close()
	p.publish("weather", 1, 1)
	waitKept(t, url, "weather", "1")
	c = loginKept(t, url, `,"history":true`)
	c.send(`{"op":"resume","topics":["weather"],"at":"` + at + `"}`)
	if m := c.expect("resumed", ""); m["recovered"] != true {
		t.Errorf("got %v, want recovered", m)
	}
	c.expect("message", "1")
	c.expect("live", "")
}

// TestHistoryMetrics: resumes are counted by outcome, and what they were given.
func TestHistoryMetrics(t *testing.T) {
	p := startPress(t)
	url, b := start(t, usersOnly+routeTo("/kept", "SUB", p.endpoint, `allow = "all"`, `[route.history]`, `topics = [""]`))
	url += "/kept"
	<-p.ready
	p.publish("weather", 1, 3)
	waitKept(t, url, "weather", "3") // each look resumes at no position
	resume := func(at string) (end string) {
		c := loginKept(t, url, `,"history":true`)
		defer c.ws.Close()
		c.send(`{"op":"resume","topics":["weather"],"at":"` + at + `"}`)
		m := c.next()
		for m["op"] != "live" {
			m = c.next()
		}
		return m["at"].(string)
	}
	at := resume("")
	resume(at)
	resume(at)
	waitForMetric(t, b, `zwsbridge_resumes_total{outcome="recovered",route="/kept"} 2`)
	first := loginKept(t, url, `,"queue":"q"`)
	first.expect("resumed", "")
	first.expect("live", "")
	loginKept(t, url, `,"queue":"q"`)
	if code := first.refusal(); code != int(zws.CodeTakenOver) {
		t.Errorf("the older connection ends with %d", code)
	}
	waitForMetric(t, b, `zwsbridge_queue_takeovers_total{route="/kept"} 1`)
	operators := httptest.NewServer(b.Admin())
	defer operators.Close()
	for _, zero := range []string{
		`zwsbridge_replayed_messages_total{route="/kept"} 0`, `zwsbridge_resumes_total{outcome="not-recovered",route="/kept"} 0`,
	} {
		if strings.Contains(metrics(t, operators.URL), zero) {
			t.Errorf("what is resumed at no position is not counted: %s", zero)
		}
	}
}

package bridge_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestQueue: a queue that the client names keeps what it has not acknowledged.
func TestQueue(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "")
	c := loginKept(t, url, `,"queue":"phone"`)
	if m := c.expect("resumed", ""); m["recovered"] != false || m["gap"] != false {
		t.Errorf("a new queue: %v", m)
	}
	c.expect("live", "")
	c.send(`{"op":"subscribe","topic":"house/alice/","last":true}`)
	c.send(`{"op":"subscribe","topic":"house/alice/"}`) // once more changes nothing
	go p.publish("house/alice/t", 1, 1)
	at := c.expect("message", "1")["at"]
	go p.publish("house/alice/t", 2, 3)
	c.expect("message", "2")
	c.expect("message", "3")
	c.send(fmt.Sprintf(`{"op":"ack","at":%q}`, at))
	c.send(`{"op":"ack","at":"AAAAAAAAAAD__________w"}`) // nobody has been given that
	c.send(`{"op":"subscribe","topic":"weather"}`)
	c.send(`{"op":"unsubscribe","topic":"weather"}`)
	c.leave()
	p.publish("house/alice/t", 4, 5)
	p.publish("weather", 6, 6)
	waitKept(t, url, "weather", "6")

	second := loginKept(t, url, `,"queue":"phone"`)
	if m := second.expect("resumed", ""); m["recovered"] != true || m["gap"] != false {
		t.Errorf("resumed: %v", m)
	}
	second.expect("message", "2")
	for _, want := range []string{"3", "4", "5"} {
		second.expect("message", want)
	}
	second.expect("live", "")

	third := loginKept(t, url, `,"queue":"phone"`) // the second connection has acknowledged nothing
	if code := second.refusal(); code != int(zws.CodeTakenOver) {
		t.Errorf("the older connection ends with %d, want 4409", code)
	}
	third.expect("resumed", "")
	third.expect("message", "2")
	other := loginKept(t, url, `,"queue":""`) // another queue
	other.expect("resumed", "")
	other.expect("live", "")
}

// leave closes the connection and waits until the bridge has read all that was sent before.
func (p *jsonClient) leave() {
	p.t.Helper()
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := p.ws.WriteMessage(websocket.CloseMessage, goodbye); err != nil {
		p.t.Fatal(err)
	}
	for {
		if _, _, err := p.ws.ReadMessage(); err != nil {
			return
		}
	}
}

// TestQueueLimits: queues belong to users, who can have a few.
func TestQueueLimits(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "max_queues_per_user = 1\n")
	first := loginKept(t, url, `,"queue":"a"`)
	first.expect("resumed", "")
	c := dialJSON(t, url)
	c.send(`{"op":"login","user":"alice","password":"alice's secret","queue":"b"}`)
	if code := c.refusal(); code != int(zws.CodeForbidden) {
		t.Errorf("a second queue ends with %d, want 4403", code)
	}
}

// TestUserQueue: clients that know nothing of queues get their user's, and acknowledge by answering
// pings.
func TestUserQueue(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "queue = \"user\"\n")
	c := dialJSON(t, url)
	c.send(`{"op":"login","user":"alice","password":"alice's secret"}`)
	c.expect("ready", "")
	c.send(`{"op":"subscribe","topic":"house/alice/"}`)
	last := dialJSON(t, url) // is served without the queue
	last.send(`{"op":"login","user":"alice","password":"alice's secret"}`)
	last.expect("ready", "")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // until the bridge has subscribed
		defer close(stopped)
		for {
			select {
			case p.out <- zmtp.Message{[]byte("house/alice/t"), []byte("1")}:
			case <-stop:
				return
			}
		}
	}()
	c.expect("message", "1")
	close(stop)
	<-stopped
	go p.publish("house/alice/t", 2, 2)
	for m := c.next(); m["frames"].([]any)[1] != "2"; m = c.next() {
	}
	c.leave()
	p.publish("house/alice/t", 3, 4)

	// A native client of the same user: 2 may come again, since its ping was perhaps not answered.
	eventually(t, "what came meanwhile", func() bool {
		n := connect(t, url, plainLogin("alice", zmtp.SUB))
		defer n.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for {
			m, err := n.Recv(ctx)
			if ctx.Err() != nil {
				return false // it came before the bridge had noticed that the first one is gone
			}
			if err != nil {
				t.Fatal(err)
			}
			switch string(m[1]) {
			case "3":
				m, err = n.Recv(t.Context())
				return err == nil && string(m[1]) == "4"
			case "1", "2":
			default:
				t.Fatalf("got %q", m)
			}
		}
	})
}

// TestUserQueueTooOld: a client that knows nothing of queues is told that its user's queue is not
// complete, and gets what is left.
func TestUserQueueTooOld(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "queue = \"user\"\nmax_bytes = \"4KiB\"\n")
	login := func() *jsonClient {
		c := dialJSON(t, url)
		c.send(`{"op":"login","user":"alice","password":"alice's secret"}`)
		c.expect("ready", "")
		return c
	}
	c := login()
	c.send(`{"op":"subscribe","topic":"weather"}`)
	c.leave() // the bridge has read the subscription
	p.publish("weather", 1, 1000)
	waitKept(t, url, "weather", "1000")
	c = login()
	lost, newest := 0.0, ""
	for lost == 0 || newest != "1000" {
		switch m := c.read(); m["op"] {
		case "lost":
			lost += m["count"].(float64)
		case "message":
			newest = m["frames"].([]any)[1].(string)
		}
	}
	if lost != 1 {
		t.Errorf("told of %v lost messages, want 1 for an unknown number", lost)
	}
}

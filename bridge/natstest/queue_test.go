package natstest

import (
	"errors"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// queueOf returns what the bridge says of the queue of a user.
func (b *bridgeProcess) queueOf(user string) (q struct {
	User    string
	Waiting int
	Used    bool
}, ok bool) {
	var list []struct {
		User    string
		Waiting int
		Used    bool
	}
	b.get("/queues", &list)
	for _, one := range list {
		if one.User == user {
			return one, true
		}
	}
	return q, false
}

// waitSubscribed waits until the client gets what p publishes of house/t, and takes all of that.
func (c *client) waitSubscribed(p *press) {
	c.t.Helper()
	number := 0
	eventually(c.t, "the client is subscribed", func() (ok bool) {
		p.publish("house/t", 1)
		n, err := c.tryNext(20 * time.Millisecond)
		number = n
		return err == nil
	})
	for number < p.last {
		number = c.next()
	}
}

// TestQueueMoves: the queue of a user is the same on every bridge, also after the bridge that had
// its client was killed, and a client that names it takes it over from one of another bridge.
func TestQueueMoves(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a := dialQueue(t, follower, "alice", "house/t")
	eventually(t, "both bridges know the queue", func() bool {
		q, ok := leader.queueOf("alice")
		return ok && q.Used
	})
	a.waitSubscribed(p)
	from := p.last + 1
	p.publish("house/t", 20)
	a.expect(from, p.last)
	eventually(t, "all is acknowledged", func() bool {
		here, _ := follower.queueOf("alice")
		there, _ := leader.queueOf("alice")
		return leader.history().Messages == follower.history().Messages && here.Waiting == 0 && there.Waiting == 0
	})
	a.Close()
	eventually(t, "nobody uses the queue", func() bool {
		q, _ := leader.queueOf("alice")
		return !q.Used
	})
	from = p.last + 1
	p.publish("house/t", 20)
	b := dialQueue(t, leader, "alice")
	b.expect(from, p.last)
	if !b.resumed.Recovered {
		t.Error("recovered: false, want true")
	}

	c := dialQueue(t, follower, "alice")
	var code *zws.CloseError
	for {
		r, ok := <-b.in
		if !ok {
			break
		}
		if r.err != nil && !errors.As(r.err, &code) {
			t.Errorf("the older client: %v, want a close", r.err)
		}
	}
	if code == nil || code.Code != zws.CodeTakenOver {
		t.Errorf("the older client ended with %v, want 4409", code)
	}
	follower.kill()
	_ = c
	from = p.last + 1
	p.publish("house/t", 20)
	d := dialQueue(t, leader, "alice")
	for number := d.next(); number != from; number = d.next() { // what c has not acknowledged comes again
		if number > from {
			t.Fatalf("got %d, want %d first", number, from)
		}
	}
	d.expect(from+1, p.last)
}

// TestForget: a topic that an operator of any bridge has forgotten is so on all.
func TestForget(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	p.publish("house/secret", 1)
	eventually(t, "it is kept", func() bool { return follower.history().LastValues == 2 && leader.history().LastValues == 2 })
	follower.post("/history/forget", `{"route": "/d", "topic": "house/secret"}`)
	eventually(t, "it is forgotten", func() bool { return follower.history().LastValues == 1 && leader.history().LastValues == 1 })
}

// TestNoLeader: without NATS nobody can be promised anything, and clients are told so.
func TestNoLeader(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	c := dial(t, follower, "", "house/t")
	from := p.last + 1
	p.publish("house/t", 10)
	c.expect(from, p.last)
	n.kill()
	for _, b := range []*bridgeProcess{leader, follower} {
		eventually(t, "clients are refused", func() bool {
			_, err := tryDial(t, b, c.at, "house/t")
			cause, ok := errors.AsType[*zws.CloseError](err)
			return ok && cause.Code == zws.CodeBackendLost
		})
		var ready struct{ Degraded []string }
		if b.get("/readyz", &ready); len(ready.Degraded) == 0 {
			t.Error("/readyz is not degraded")
		}
	}
	n.again()
	eventually(t, "clients are served again", func() bool {
		_, err := tryDial(t, follower, c.at, "house/t")
		return err == nil
	})
	from = p.last + 1
	p.publish("house/t", 10)
	c.expect(from, p.last)
}

package natstest

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// TestLargeMessage: messages are written in parts where they and the headers are larger than what the
// NATS server accepts (1 MiB).
func TestLargeMessage(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	const most = 1 << 20
	from := p.last + 1
	for _, size := range []int{most - 150, most - 100, most - 60, most - 20} {
		p.last++
		number := bytes.Repeat([]byte("0"), size)
		copy(number[size-9:], strconv.Itoa(1_000_000_000 + p.last)[1:])
		if err := p.socket.Send(zmq4.NewMsgFrom([]byte("house/t"), number)); err != nil {
			t.Fatal(err)
		}
	}
	p.publish("house/t", 1)
	a.expect(from, p.last)
	b.expect(from, p.last)
}

// TestLargeQueue: a queue with more topics than fit into a message of NATS keeps no other queue from
// being stored.
func TestLargeQueue(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	topics := make([]string, 900)
	for i := range topics {
		topics[i] = "house/" + strconv.Itoa(i) + strings.Repeat("x", 1000)
	}
	dialQueue(t, leader, "alice", topics...)
	eventually(t, "alice's queue is too large", func() bool {
		return strings.Contains(leader.log.String(), "too many topics")
	})
	bob := dialQueue(t, leader, "bob", "house/t")
	eventually(t, "bob is subscribed", func() bool {
		p.publish("house/t", 1)
		_, err := bob.tryNext(20 * time.Millisecond)
		return err == nil
	})
	p.publish("house/t", 20)
	eventually(t, "the other bridge knows what bob has acknowledged", func() bool {
		q, ok := follower.queueOf("bob")
		return ok && leader.history().Messages == follower.history().Messages && q.Waiting == 0
	})
	var ready struct{ Degraded []string }
	if leader.get("/readyz", &ready); len(ready.Degraded) > 0 {
		t.Errorf("degraded: %q, want nothing", ready.Degraded)
	}
}

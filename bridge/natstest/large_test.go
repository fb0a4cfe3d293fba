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
	alice := dialQueue(t, leader, "alice", topics...)
	eventually(t, "alice's queue is too large", func() bool {
		return strings.Contains(leader.log.String(), "too many topics")
	})
	bob := dialQueue(t, leader, "bob", "house/t")
	bob.waitSubscribed(p)
	p.publish("house/t", 20)
	eventually(t, "the other bridge knows what bob has acknowledged", func() bool {
		q, ok := follower.queueOf("bob")
		return ok && leader.history().Messages == follower.history().Messages && q.Waiting == 0
	})
	if got := leader.readiness(); got != "" {
		t.Errorf("degraded: %s, want nothing", got)
	}
	// Another change of alice's queue, and one of carol's that is stored after it.
	if err := alice.Subscribe(t.Context(), []byte("house/more")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "alice is subscribed", func() bool {
		p.publish("house/more", 1)
		_, err := alice.tryNext(20 * time.Millisecond)
		return err == nil
	})
	dialQueue(t, leader, "carol", "house/t")
	eventually(t, "the other bridge knows carol's queue", func() bool {
		_, ok := follower.queueOf("carol")
		return ok
	})
	if err := alice.Unsubscribe(t.Context(), bytesOf(topics)...); err != nil {
		t.Fatal(err)
	}
	waitError(t, leader, "a queue fits into a message of NATS again")
	if n := strings.Count(leader.log.String(), "too many topics"); n != 1 {
		t.Errorf("%d lines say that alice's queue is too large, want 1", n)
	}
}

func bytesOf(list []string) [][]byte {
	all := make([][]byte, len(list))
	for i, text := range list {
		all[i] = []byte(text)
	}
	return all
}

package natstest

import (
	"bytes"
	"strconv"
	"testing"

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

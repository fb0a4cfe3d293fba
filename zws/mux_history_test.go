package zws

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// newHistoryChannel returns an open channel whose client asked for history, with nobody at the
// other end.
func newHistoryChannel(t *testing.T) *muxChannel {
	m := newFuzzedMux(t)
	f := muxframe.Frame{Op: muxframe.OpenHistory, Channel: 3, Open: muxframe.Request{Route: "/a", History: true}}
	ch, err := m.open(&f)
	if err != nil {
		t.Fatal(err)
	}
	ch.history = historyState{asked: true, marked: true}
	ch.opened(muxframe.Frame{Op: muxframe.OpenedHistory})
	return ch
}

// TestMuxRequestOrder: requests and messages of a channel reach its reader in the order in which
// they were sent, however many are read between.
func TestMuxRequestOrder(t *testing.T) {
	ch := newHistoryChannel(t)
	receive := func(f muxframe.Frame) {
		t.Helper()
		f.Channel = 3
		if err := ch.parent.handle(&f, pooled{data: f.Append(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	var sent, got []string
	read := func() {
		m, r := ch.take()
		switch {
		case m != nil:
			got = append(got, string(m[0]))
		case r != nil:
			got = append(got, fmt.Sprintf("%d%s%s", r.Op, r.At, r.Topics))
		}
	}
	for i := range 1000 {
		switch i % 7 {
		case 0, 2, 3:
			p := muxframe.AppendMessage(nil, zmtp.Message{fmt.Appendf(nil, "m%d", i)})
			p = muxframe.AppendMessage(p, zmtp.Message{fmt.Appendf(nil, "n%d", i)})
			receive(muxframe.Frame{Op: muxframe.Messages, Messages: p})
			sent = append(sent, fmt.Sprint("m", i), fmt.Sprint("n", i))
		case 1, 5:
			receive(muxframe.Frame{Op: muxframe.Last, Topic: fmt.Appendf(nil, "t%d", i)})
			sent = append(sent, fmt.Sprintf("%d[t%d]", HistoryLast, i))
		default:
			receive(muxframe.Frame{Op: muxframe.Ack, At: fmt.Appendf(nil, "p%d", i)})
			sent = append(sent, fmt.Sprintf("%dp%d[]", HistoryAck, i))
			if i%7 == 6 { // followed by messages, and alone of two acknowledgements
				receive(muxframe.Frame{Op: muxframe.Ack, At: fmt.Appendf(nil, "q%d", i)})
				sent[len(sent)-1] = fmt.Sprintf("%dq%d[]", HistoryAck, i)
			}
		}
		for range i % 3 {
			read()
		}
	}
	for len(ch.inbox) > 0 || len(ch.requests.list.list) > 0 {
		read()
	}
	if fmt.Sprint(got) != fmt.Sprint(sent) {
		t.Errorf("got %v\nwant %v", got, sent)
	}
	if ch.requests.bytes != 0 || ch.requests.list.ahead != 0 {
		t.Errorf("%+v when all is read", ch.requests)
	}
}

// TestMuxRequestsLimited: requests that wait unread are limited, except that acknowledgements
// replace each other.
func TestMuxRequestsLimited(t *testing.T) {
	ch := newHistoryChannel(t)
	send := func(f muxframe.Frame) error { return ch.receiveRequest(&f, 1000) }
	for range 10_000 {
		if err := send(muxframe.Frame{Op: muxframe.Ack, At: []byte("p")}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for ; n < 10_000; n++ {
		if err := send(muxframe.Frame{Op: muxframe.Last}); err != nil {
			if Cause(err).Code != CodeTooLarge {
				t.Fatal(err)
			}
			break
		}
	}
	if limit := maxControl / 1000; n > limit || n < limit*9/10 {
		t.Errorf("%d requests of 1000 bytes wait", n)
	}
}

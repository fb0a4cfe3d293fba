package fanout

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestDiscarded checks that each member that would have had a message is told once, whatever of its
// subscriptions match.
func TestDiscarded(t *testing.T) {
	h := New(Options{})
	join := func(filtered bool, topics ...string) *client {
		c := &client{codec: lines("")}
		m := h.Join(c, MemberOptions{Codec: c.codec, Filter: odd{}})
		for _, topic := range topics {
			if err := m.Subscribe([]byte(topic), filtered); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	clients := []*client{
		join(false, "a"), join(false, "a", "ab", ""), join(false, "a"), join(false, "b"), join(true, "a"), join(false),
	}
	for _, tc := range []struct {
		topic string
		want  []int
	}{
		{"abc", []int{1, 1, 1, 0, 1, 0}},
		{"ab", []int{2, 2, 2, 0, 1, 0}}, // the filter allows odd lengths
		{"x", []int{2, 3, 2, 0, 1, 0}},
		{"b", []int{2, 4, 2, 1, 1, 0}},
	} {
		h.Discarded(zmtp.Message{[]byte(tc.topic)})
		var got []int
		for _, c := range clients {
			got = append(got, c.missed)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("after %q: %s", tc.topic, diff)
		}
	}
	publish(h, "abc")
	if got := fmt.Sprint(clients[0].take()); got != "[abc]" {
		t.Errorf("got %v", got)
	}
}

// TestDiscardedByLeader checks that members are told of the messages that another bridge has dropped: those that are
// subscribed to one of the topics, or all with a subscription if there were more than its record names.
func TestDiscardedByLeader(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, Replica: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	var clients []*client
	for _, topics := range [][]string{{"a", "ab"}, {"b"}, {}} {
		c := &client{codec: lines("")}
		m := h.Join(c, MemberOptions{Codec: c.codec})
		for _, topic := range topics {
			if err := m.Subscribe([]byte(topic), false); err != nil {
				t.Fatal(err)
			}
		}
		clients = append(clients, c)
	}
	var b history.Builder
	b.Begin(log.End().Sequence)
	b.Start(log, history.NewGeneration(), [][]byte{nil}, 0)
	for _, tc := range []struct {
		maxBytes int64 // bounds what a record names
		want     []int
	}{
		{1 << 20, []int{1, 0, 0}},
		{0, []int{2, 1, 0}},
		{1 << 20, []int{3, 1, 0}},
	} {
		var missed history.Missed
		missed.Add([]byte("abc"), tc.maxBytes)
		b.Void(&missed, 0)
		if err := h.Replicate(b.Batch()); err != nil {
			t.Fatal(err)
		}
		b.Begin(log.End().Sequence)
		var got []int
		for _, c := range clients {
			got = append(got, c.missed)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("at most %d bytes: %s", tc.maxBytes, diff)
		}
	}
}

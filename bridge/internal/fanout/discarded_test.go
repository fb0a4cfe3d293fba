package fanout

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

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

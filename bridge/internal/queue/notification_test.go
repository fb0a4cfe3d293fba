package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNotices: a notice comes behind what waited before it and before what was put later,
// whatever the policy drops meanwhile. A put "-a" is a notice.
func TestNotices(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		put  []string
		want []string
	}{
		{"alone", Options{}, []string{"-a"}, []string{"-a"}},
		{"between", Options{}, []string{"a,1", "a,2", "-a", "b,3"}, []string{"a,1", "a,2", "-a", "b,3"}},
		{"several", Options{}, []string{"a,1", "-a", "-b", "c,1", "-c"}, []string{"a,1", "-a", "-b", "c,1", "-c"}},
		{"what is before it is dropped", Options{Messages: 2}, []string{"a,1", "-a", "b,2", "b,3", "b,4"}, []string{"-a", "b,3", "b,4"}},
		{"some of it is dropped", Options{Messages: 2}, []string{"a,1", "a,2", "-a", "b,3"}, []string{"a,2", "-a", "b,3"}},
		{"the newest is dropped", Options{Messages: 2, OnFull: DropNewest}, []string{"a,1", "-a", "b,2", "b,3", "-b"}, []string{"a,1", "-a", "b,2", "-b"}},
		{"conflated", Options{Messages: 2, OnFull: Conflate}, []string{"a,1", "b,1", "b,2", "-a", "b,3"}, []string{"a,1", "b,3", "-a"}},
		{"conflated later", Options{Messages: 3, OnFull: Conflate}, []string{"b,1", "b,2", "a,1", "-a", "b,3"}, []string{"b,3", "a,1", "-a"}},
	} {
		for _, codec := range []Codec{nil, lines{}} {
			t.Run(fmt.Sprint(test.name, codec), func(t *testing.T) {
				test.o.Codec = codec
				q := newQueue(test.o)
				putAll(t, q, test.put...)
				if diff := cmp.Diff(test.want, read(q)); diff != "" {
					t.Error(diff)
				}
				if q.notifications != nil {
					t.Error("an idle queue keeps notices")
				}
			})
		}
	}
}

// putAll puts messages one by one, and notices.
func putAll(t *testing.T, q *Queue, msgs ...string) {
	t.Helper()
	for _, m := range msgs {
		var err error
		if topic, ok := strings.CutPrefix(m, "-"); ok {
			err = q.Unsubscribed([]byte(topic))
		} else {
			err = q.Put(message(strings.Split(m, ",")...))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoticeOrder: whatever is put, dropped and read, no message of a topic comes after the
// notice, if none was put after it, and no notice is lost.
func TestNoticeOrder(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest, Conflate} {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, uint64(policy)))
			codec := []Codec{nil, lines{}}[r.IntN(2)]
			q := newQueue(Options{Messages: 1 + r.IntN(20), OnFull: policy, Codec: codec})
			topics := strings.Split("abcdefgh", "")
			told := map[string]bool{}
			look := func(got []string) {
				for _, line := range got {
					topic, notice := strings.CutPrefix(line, "-")
					if topic, _, _ = strings.Cut(topic, ","); told[topic] {
						t.Fatalf("%v, seed %d: %s after the notice", policy, seed, line)
					}
					told[topic] = notice
				}
			}
			for step := range 300 {
				topic := topics[r.IntN(len(topics))]
				switch n := r.IntN(60); {
				case n == 0 && len(topics) > 1:
					topics = slices.DeleteFunc(topics, func(s string) bool { return s == topic })
					putAll(t, q, "-"+topic)
				case n < 10:
					p := page{limit: 1 + r.IntN(30)}
					q.Next(&p)
					look(p.lines())
				default:
					putAll(t, q, fmt.Sprintf("%s,%d", topic, step))
				}
			}
			look(read(q))
			for _, topic := range strings.Split("abcdefgh", "") {
				if told[topic] == slices.Contains(topics, topic) {
					t.Fatalf("%v, seed %d: topic %s: told %v", policy, seed, topic, told[topic])
				}
			}
		}
	}
}

// TestNoticeLimit: a client that does not read cannot have any number of notices wait.
func TestNoticeLimit(t *testing.T) {
	for _, limit := range []int{0, 3} {
		wakes := 0
		o := &owner{wake: func() { wakes++ }}
		q := New(Options{Notifications: limit}, o)
		most := limit
		if most == 0 {
			most = DefaultNotifications
		}
		for range most {
			putAll(t, q, "-a")
		}
		if wakes != most || o.overflows > 0 {
			t.Errorf("%d wakes, %d overflows at the limit", wakes, o.overflows)
		}
		if err := q.Unsubscribed([]byte("a")); !errors.Is(err, ErrFull) || o.overflows != 1 {
			t.Errorf("beyond the limit: %v, %d overflows; want ErrFull", err, o.overflows)
		}
		if err := q.Unsubscribed([]byte("a")); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed queue: %v", err)
		}
		if got := read(q); len(got) > 0 {
			t.Errorf("a closed queue gives %q", got)
		}
	}
}

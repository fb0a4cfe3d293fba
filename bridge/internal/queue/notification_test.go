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

// TestNotifications checks that a notification comes after what waited before it and before what
// was put later, whatever the policy drops. "-a" is a notification.
func TestNotifications(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		put  []string
		want []string
	}{
		{"alone", Options{}, []string{"-a"}, []string{"-a"}},
		{"between", Options{}, []string{"a,1", "a,2", "-a", "b,3"}, []string{"a,1", "a,2", "-a", "b,3"}},
		{"several", Options{}, []string{"a,1", "-a", "-b", "c,1", "-c"}, []string{"a,1", "-a", "-b", "c,1", "-c"}},
		{"messages before it are dropped", Options{Messages: 2}, []string{"a,1", "-a", "b,2", "b,3", "b,4"}, []string{"-a", "b,3", "b,4"}},
		{"one message before it is dropped", Options{Messages: 2}, []string{"a,1", "a,2", "-a", "b,3"}, []string{"a,2", "-a", "b,3"}},
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
				if q.inserts != nil {
					t.Error("an empty queue keeps memory for notifications")
				}
			})
		}
	}
}

// putAll puts messages and notifications, one by one.
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

// TestNotificationOrder puts, drops and reads at random. No message of a topic may come after its
// notification, and no notification may be lost.
func TestNotificationOrder(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest, Conflate} {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, uint64(policy)))
			codec := []Codec{nil, lines{}}[r.IntN(2)]
			q := newQueue(Options{Messages: 1 + r.IntN(20), OnFull: policy, Codec: codec})
			topics := strings.Split("abcdefgh", "")
			notified := map[string]bool{}
			check := func(got []string) {
				for _, line := range got {
					topic, isNotification := strings.CutPrefix(line, "-")
					if topic, _, _ = strings.Cut(topic, ","); notified[topic] {
						t.Fatalf("%v, seed %d: %s after the notification", policy, seed, line)
					}
					notified[topic] = isNotification
				}
			}
			for step := range 300 {
				topic := topics[r.IntN(len(topics))]
				switch n := r.IntN(60); {
				case n == 0 && len(topics) > 1:
					topics = slices.DeleteFunc(topics, func(s string) bool { return s == topic })
					putAll(t, q, "-"+topic)
				case n < 10:
					p := textBatch{limit: 1 + r.IntN(30)}
					q.Next(&p)
					check(p.lines())
				default:
					putAll(t, q, fmt.Sprintf("%s,%d", topic, step))
				}
			}
			check(read(q))
			for _, topic := range strings.Split("abcdefgh", "") {
				if notified[topic] == slices.Contains(topics, topic) {
					t.Fatalf("%v, seed %d: topic %s: notified %v", policy, seed, topic, notified[topic])
				}
			}
		}
	}
}

// TestNotificationLimit checks that a limited number of notifications waits for a client that does
// not read.
func TestNotificationLimit(t *testing.T) {
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

package queue

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestSetBoundsPolicy puts messages into a full queue, changes its policy and puts two more.
func TestSetBoundsPolicy(t *testing.T) {
	for _, c := range []struct {
		from, to Policy
		want     []string // what is read then
		err      error    // of the last put
	}{
		{DropOldest, DropNewest, []string{"b,3", "b,4"}, nil},
		{DropOldest, Disconnect, []string{}, ErrFull},
		{DropNewest, DropOldest, []string{"c,1", "d,1"}, nil},
		{DropNewest, Conflate, []string{"c,1", "d,1"}, nil},
		{Conflate, DropOldest, []string{"c,1", "d,1"}, nil},
		{Conflate, DropNewest, []string{"a,2", "b,4"}, nil},
		{Disconnect, Conflate, []string{"c,1", "d,1"}, nil},
	} {
		q := newQueue(Options{Messages: 2, OnFull: c.from, Codec: lines{}})
		for _, m := range [][]string{{"a", "1"}, {"a", "2"}, {"b", "3"}, {"b", "4"}} {
			if c.from == Disconnect && m[1] > "2" {
				break // it would close
			}
			if err := q.Put(message(m...)); err != nil {
				t.Fatal(err)
			}
		}
		q.SetBounds(Options{Messages: 2, Bytes: DefaultBytes, OnFull: c.to})
		err := q.Put(message("c", "1"))
		if err == nil {
			err = q.Put(message("d", "1"))
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%v to %v: %v, want %v", c.from, c.to, err, c.err)
		}
		if diff := cmp.Diff(c.want, read(q)); diff != "" {
			t.Errorf("%v to %v: %s", c.from, c.to, diff)
		}
		q.Close()
	}
}

// TestSetBoundsWhileBlocked checks that a producer that waits for room does not any more once the
// policy drops messages, also if it is the budget that has no room.
func TestSetBoundsWhileBlocked(t *testing.T) {
	for _, budget := range []*Budget{nil, NewBudget(2*(itemCost+8), nil)} {
		synctest.Test(t, func(t *testing.T) {
			o := Options{Messages: 2, OnFull: Block, Codec: lines{}, Budget: budget}
			if budget != nil {
				o.Messages = 100
			}
			q := newQueue(o)
			defer q.Close()
			done := make(chan error, 1)
			go func() {
				var err error
				for _, n := range []string{"1", "2", "3", "4"} {
					err = errors.Join(err, q.Put(message("a", n)))
				}
				done <- err
			}()
			synctest.Wait()
			if n, _ := q.Len(); n != 2 {
				t.Fatalf("%d messages wait, want that the producer does", n)
			}
			o.Bytes, o.OnFull = DefaultBytes, DropOldest
			q.SetBounds(o)
			synctest.Wait()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			default:
				t.Fatal("the producer still waits")
			}
			if diff := cmp.Diff([]string{"a,3", "a,4"}, read(q)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

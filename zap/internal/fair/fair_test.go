package fair

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: a share with one piece of work is served after one piece of a share with many.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		var order []string
		var mu sync.Mutex
		work := func(share string) {
			if err := s.Acquire(With(t.Context(), share)); err != nil {
				t.Error(err)
				return
			}
			defer s.Release()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, share)
		}
		for _, share := range []string{"flood", "flood", "flood", "flood", "a", "b", "a"} {
			go work(share)
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"flood", "flood", "a", "b", "flood", "a", "flood"}; !slices.Equal(order, want) {
			t.Errorf("served %q, want %q", order, want)
		}
		if s.busy != 0 || len(s.waiting) != 0 || len(s.turns) != 0 {
			t.Errorf("%d busy, waiting %v, turns %v", s.busy, s.waiting, s.turns)
		}
	})
}

// TestGiveUp: work that has waited too long takes no slot.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(2)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too late"))
		defer cancel()
		for range 2 {
			if err := s.Acquire(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Acquire(ctx); err == nil || err.Error() != "too late" {
			t.Errorf("error %v", err)
		}
		s.Release()
		if err := s.Acquire(t.Context()); err != nil {
			t.Error(err)
		}
		s.Release()
		s.Release()
		if s.busy != 0 || len(s.waiting) != 0 || len(s.turns) != 0 {
			t.Errorf("%d busy, waiting %v, turns %v", s.busy, s.waiting, s.turns)
		}
	})
}

package fair

import (
	"context"
	"slices"
	"sync"
)

type shareKey struct{}

// With returns a context for work of the share called name. Contexts without a share belong to
// the share with the empty name.
func With(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, shareKey{}, name)
}

// Share returns the share that ctx belongs to.
func Share(ctx context.Context) string {
	name, _ := ctx.Value(shareKey{}).(string)
	return name
}

// Slots limits the work that is done at the same time. Any number of goroutines may call its
// methods.
type Slots struct {
	limit int

	mu      sync.Mutex
	busy    int
	waiting map[string][]chan struct{} // by share, oldest first; a slot is given by closing
	turns   []string                   // the shares that wait, next first
}

// New returns slots for limit pieces of work at a time.
func New(limit int) *Slots {
	return &Slots{limit: limit, waiting: make(map[string][]chan struct{})}
}

// Limit returns how many pieces of work may be done at the same time.
func (s *Slots) Limit() int { return s.limit }

// Acquire waits for a slot, which the caller releases, or for the end of ctx, whose cause it
// returns then. Those that wait in one share are served in the order in which they came.
func (s *Slots) Acquire(ctx context.Context) error {
	s.mu.Lock()
	if s.busy < s.limit { // nobody waits, see Release
		s.busy++
		s.mu.Unlock()
		return nil
	}
	share, given := Share(ctx), make(chan struct{})
	if len(s.waiting[share]) == 0 {
		s.turns = append(s.turns, share)
	}
	s.waiting[share] = append(s.waiting[share], given)
	s.mu.Unlock()
	select {
	case <-given:
		return nil
	case <-ctx.Done():
	}
	if !s.giveUp(share, given) {
		s.Release() // it was given meanwhile
	}
	return context.Cause(ctx)
}

// giveUp stops waiting. It reports false if the slot was given meanwhile.
func (s *Slots) giveUp(share string, given chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[share], given)
	if i < 0 {
		return false
	}
	s.waiting[share] = slices.Delete(s.waiting[share], i, i+1)
	if len(s.waiting[share]) == 0 {
		delete(s.waiting, share)
		s.turns = slices.DeleteFunc(s.turns, func(name string) bool { return name == share })
	}
	return true
}

// Release gives the slot to the share whose turn it is, or frees it if nobody waits.
func (s *Slots) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turns) == 0 {
		s.busy--
		return
	}
	share := s.turns[0]
	s.turns = slices.Delete(s.turns, 0, 1)
	queue := s.waiting[share]
	close(queue[0])
	if queue = queue[1:]; len(queue) == 0 {
		delete(s.waiting, share)
		return
	}
	s.waiting[share] = queue
	s.turns = append(s.turns, share)
}

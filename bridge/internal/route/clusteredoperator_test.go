package route

import (
	"errors"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
)

// TestReadOutcome: an answer that is none is not taken for a fault of the request.
func TestReadOutcome(t *testing.T) {
	for reply, want := range map[string]error{
		"": ErrNotAnswered, "{": ErrNotAnswered, `{"not_listed":true,"error":"e"}`: ErrNotListed, `{"changed":true}`: nil, "{}": nil,
	} {
		changed, err := readOutcome([]byte(reply))
		if !errors.Is(err, want) || changed != (reply == `{"changed":true}`) {
			t.Errorf("%q: got %t, %v, want %v", reply, changed, err, want)
		}
	}
	if changed, err := readOutcome([]byte(`{"error":"e"}`)); changed || err == nil || errors.Is(err, ErrNotAnswered) {
		t.Errorf("a refusal: got %t, %v", changed, err)
	}
}

// TestKeepClustered: a route that no longer writes to the archive does not answer for it, and does not
// take off the one that has replaced it.
func TestKeepClustered(t *testing.T) {
	a := new(Archive)
	newRoute := func() *clustered {
		r := &Route{archive: a}
		r.rules.Store(&Rules{})
		return &clustered{route: r, hub: fanout.New(fanout.Options{}), wake: make(chan struct{}, 1)}
	}
	first, second := newRoute(), newRoute()
	steps := []struct {
		c    *clustered
		on   bool
		want *clustered
	}{{first, true, first}, {first, false, nil}, {first, true, first}, {second, true, second}, {first, false, second}, {second, false, nil}}
	for i, s := range steps {
		s.c.keep(s.on)
		if got := a.cluster.Load(); got != s.want {
			t.Errorf("step %d: got %p, want %p", i, got, s.want)
		}
	}
}

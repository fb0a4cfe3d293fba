package route

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
	"github.com/zwsbridge/zwsbridge/zap"
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

// TestFollowReload: a reload of a bridge that does not lead changes nothing in what operators have connected
// and disconnected on the one that does.
func TestFollowReload(t *testing.T) {
	const first, second, added = "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3"
	file := []Endpoint{{Address: first}, {Address: second}}
	read := func(second int64, allowed ...string) *links {
		return &links{since: time.Unix(second, 0), allowed: newAllowedEndpoints(allowed), credentials: credentials{mechanism: zap.NULL}}
	}
	r := &Route{settings: settings{log: slog.New(slog.DiscardHandler)}, sources: sources{map[string][]Endpoint{fileList: file}, make(map[string]bool)}}
	r.links.Store(read(1, first, added))
	c := &clustered{route: r, share: new(natsstore.Share), wake: make(chan struct{}, 1), keeping: true}
	r.upstream = c
	check := func(when string, want ...string) {
		t.Helper()
		c.follow()
		var got []string
		for _, e := range r.links.Load().connect {
			got = append(got, e.Address)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: endpoints %q, want %q", when, got, want)
		}
	}
	c.share.SetOperator(json.RawMessage(`{"connected":[{"endpoint":"` + added + `"}],"disconnected":["` + first + `"]}`))
	check("at first", second, added)
	(&Update{route: r, links: read(2), file: file}).apply()
	check("after a reload that does not list the one that was added", second)
	(&Update{route: r, links: read(3, first, added), file: file}).apply()
	check("after another reload", second, added)
	c.share.SetOperator(json.RawMessage("{}"))
	check("after a reload of the bridge that leads", first, second)
}

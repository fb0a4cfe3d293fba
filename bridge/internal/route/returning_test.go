package route

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// TestReturning checks at which changes of inbound backends messages are missing. "+ann/1@a" joins as
// user ann with routing id 1 by connection a, "-ann/1@a" leaves; "!" marks those with a gap.
func TestReturning(t *testing.T) {
	for _, tc := range []struct {
		all  bool
		want string
	}{
		{false, "+/@a +/@b +/@c"},                        // for the first time
		{false, "+/@a -/@a !+/@b !+/@c"},                 // without a login, any can be the one that left
		{false, "+/@a +/@b -/@b !-/@a"},                  // b can have been a
		{false, "+ann/@a -ann/@a +bob/@b +/@c !+ann/@d"}, // others
		{false, "+ann/1@a -ann/1@a +ann/2@b +ann/@c +/1@d !+ann/1@e"},
		{false, "+ann/1@a +ann/1@b !-ann/1@a -ann/1@b !+ann/1@c"}, // noticed after it was back
		{false, "+ann/@a +bob/@b -ann/@a -bob/@b"},
		{true, "!+/@a !+ann/@b -ann/@b !+ann/@c"}, // after a restart of the bridge
	} {
		r, got := newReturning(tc.all), []string(nil)
		for change := range strings.FieldsSeq(tc.want) {
			change = strings.TrimPrefix(change, "!")
			who, connection, _ := strings.Cut(change[1:], "@")
			user, id, _ := strings.Cut(who, "/")
			s := backend.Status{User: user, Identity: id, Address: "ipc", Connection: uint64(connection[0]), State: backend.Connected}
			if change[0] == '-' {
				s.State = backend.Gone
			}
			if r.gap(s) {
				change = "!" + change
			}
			got = append(got, change)
		}
		if got := strings.Join(got, " "); got != tc.want {
			t.Errorf("all %v: got %s, want %s", tc.all, got, tc.want)
		}
		if len(r.joins) > len(r.known)+2 {
			t.Errorf("%s: %d connections are left", tc.want, len(r.joins))
		}
	}
}

// TestReturningBounded lets more backends come than are known.
func TestReturningBounded(t *testing.T) {
	r := newReturning(false)
	for i := range maxKnown + 100 {
		s := backend.Status{Identity: fmt.Sprint(i), Connection: uint64(i), State: backend.Connected}
		if gap := r.gap(s); gap != (i >= maxKnown) {
			t.Fatalf("backend %d joins: gap %v", i, gap)
		}
		s.State = backend.Gone
		r.gap(s)
	}
	if len(r.known) > maxKnown || len(r.joins) > 0 {
		t.Errorf("%d keys and %d connections are left", len(r.known), len(r.joins))
	}
	if !r.gap(backend.Status{Identity: "0", State: backend.Connected}) {
		t.Error("no gap for one that has left")
	}
}

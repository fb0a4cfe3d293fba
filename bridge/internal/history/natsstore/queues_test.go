package natsstore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// merged notes what is merged.
type merged struct {
	calls   []string
	claim   uint64 // of the queues
	cursors map[history.QueueKey]history.Position
}

func (m *merged) Merge(key history.QueueKey, s *history.QueueState, deleted uint64, bridge string) (gone bool) {
	m.calls = append(m.calls, fmt.Sprintf("%q %v %d %s", key, s, deleted, bridge))
	return s == nil && deleted >= m.claim
}

func (m *merged) MergeCursor(key history.QueueKey, acked history.Position, bridge string) {
	if m.cursors == nil {
		m.cursors = make(map[history.QueueKey]history.Position)
	}
	m.cursors[key] = acked
	if bridge != "here" {
		m.calls = append(m.calls, "cursor of "+bridge)
	}
}

// TestMergeStored: what cannot be read is an error, and changes nothing.
func TestMergeStored(t *testing.T) {
	const position = `"AAAAAAAAAAcAAAAAAAAACQ=="` // 7, 9
	for text, want := range map[string]string{
		`{"user":"YQ==","name":"","bridge":"b","claim":5,"used":true,"topics":["/w=="],"acked":` + position + `}`: `{"a" ""} &{[` + "\xff" + `] AAAAAAAAAAcAAAAAAAAACQ 0001-01-01 00:00:00 +0000 UTC 5 true} 0 b`,
		`{"user":"YQ==","name":"Yg==","bridge":"b","claim":6}`:                                                    `{"a" "b"} <nil> 6 b`,
		`{"user":"YQ==","acked":"AAAA"}`:                                                                          "error: malformed position",
		`{"user":"not base 64"}`:                                                                                  "error: illegal base64",
		``:                                                                                                        "error: unexpected end",
		`garbage`:                                                                                                 "error: invalid character",
		"\x01":                                                                                                    "error: malformed cursors",
		"\x01\x04here\x01a":                                                                                       "error: malformed cursors",
		"\x01\x04here\x01a\x00short":                                                                              "error: malformed cursors",
		"\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f":                                                                "error: malformed cursors",
		"\x02": "error: invalid character",
	} {
		m := new(merged)
		var got string
		if err := mergeStored([]byte(text), m); err != nil {
			got = "error: " + err.Error()
		} else {
			got = strings.Join(m.calls, ", ")
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if strings.HasPrefix(want, "error") && len(m.calls)+len(m.cursors) > 0 {
			t.Errorf("%q: merged %q, %v", text, m.calls, m.cursors)
		}
	}
}

// TestCursors: a shard of any size comes back from messages that are not too large.
func TestCursors(t *testing.T) {
	for _, n := range []int{0, 1, 7, 500} {
		shard := make(map[history.QueueKey]history.Position)
		for i := range n {
			key := history.QueueKey{User: fmt.Sprint("user ", i), Name: strings.Repeat("\xff", i%300)}
			shard[key] = history.Position{Generation: uint64(i), Sequence: ^uint64(i)}
		}
		const most = 400
		m := new(merged)
		for _, p := range encodeCursors("here", shard, most) {
			if len(p) > most {
				t.Errorf("%d queues: a message has %d bytes, want at most %d", n, len(p), most)
			}
			if err := mergeStored(p, m); err != nil {
				t.Error(err)
			}
		}
		if !maps.Equal(m.cursors, shard) || len(m.calls) > 0 {
			t.Errorf("%d queues: got %d cursors, and %q", n, len(m.cursors), m.calls)
		}
	}
}

// TestShards: queues are spread, and one that is dropped is in no message any more.
func TestShards(t *testing.T) {
	var c cursors
	used := make(map[int]int)
	for i := range 1000 {
		used[c.set(history.QueueKey{User: fmt.Sprint("user", i)}, history.Position{})]++
	}
	if most := slices.Max(slices.Collect(maps.Values(used))); len(used) != shards || most > 40 {
		t.Errorf("%d shards are used, with up to %d of 1000 queues", len(used), most)
	}
	for i := range 1000 {
		c.drop(history.QueueKey{User: fmt.Sprint("user", i)})
	}
	for i, shard := range c.shards {
		if len(shard) > 0 {
			t.Errorf("shard %d still has %d queues", i, len(shard))
		}
	}
}

// TestReplacing: a cursor is dropped once another bridge has stored that position, or has deleted the
// queue, and not before.
func TestReplacing(t *testing.T) {
	key := history.QueueKey{User: "a", Name: "b"}
	at := func(sequence uint64) history.Position { return history.Position{Generation: 1, Sequence: sequence} }
	state := func(sequence uint64) *history.QueueState { return &history.QueueState{Acked: at(sequence)} }
	for name, tt := range map[string]struct {
		merge   func(r replacing)
		dropped bool
	}{
		"older state":      {func(r replacing) { r.Merge(key, state(9), 0, "other") }, false},
		"same state":       {func(r replacing) { r.Merge(key, state(10), 0, "other") }, true},
		"own state":        {func(r replacing) { r.Merge(key, state(10), 0, "here") }, false},
		"other queue":      {func(r replacing) { r.Merge(history.QueueKey{User: "a"}, state(10), 0, "other") }, false},
		"same cursor":      {func(r replacing) { r.MergeCursor(key, at(10), "other") }, false},
		"newer cursor":     {func(r replacing) { r.MergeCursor(key, at(11), "other") }, true},
		"own cursor":       {func(r replacing) { r.MergeCursor(key, at(11), "here") }, false},
		"deletion":         {func(r replacing) { r.Merge(key, nil, 5, "other") }, true},
		"earlier deletion": {func(r replacing) { r.Merge(key, nil, 4, "other") }, false},
		"own deletion":     {func(r replacing) { r.Merge(key, nil, 5, "here") }, false},
	} {
		var c cursors
		shard := c.set(key, at(10))
		tt.merge(replacing{&merged{claim: 5}, &c, "here"})
		after := new(merged)
		for _, p := range c.encode("here", shard, 1000) {
			if err := mergeStored(p, after); err != nil {
				t.Error(err)
			}
		}
		if got := len(after.cursors) == 0; got != tt.dropped {
			t.Errorf("%s: dropped %t, want %t", name, got, tt.dropped)
		}
	}
}

// FuzzQueues: what is stored of queues is merged or an error, and cursors that are merged are written
// in the same way again.
func FuzzQueues(f *testing.F) {
	f.Add(encodeCursors("here", map[history.QueueKey]history.Position{{User: "a", Name: "b"}: {Generation: 1, Sequence: 2}}, 1000)[0])
	f.Add([]byte(`{"user":"YQ==","name":"","bridge":"b","claim":5}`))
	f.Add([]byte("\x01\x04here\x01a"))
	f.Fuzz(func(t *testing.T, p []byte) {
		m := new(merged)
		if mergeStored(p, m) != nil || len(m.cursors) != 1 {
			return
		}
		again := new(merged)
		if err := mergeStored(encodeCursors("here", m.cursors, 1<<20)[0], again); err != nil || !maps.Equal(again.cursors, m.cursors) {
			t.Errorf("%x: got %v, then %v, %v", p, m.cursors, again.cursors, err)
		}
	})
}

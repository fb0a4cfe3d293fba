package natsstore

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// replicate gives log the first n batches of t, as if the stream had taken them.
func (t *term) replicate(log *history.Log, n int) (missed []string, gaps int, err error) {
	for _, b := range t.batches[:n] {
		var r history.Replicated
		if err := log.Replicate(b, &r); err != nil {
			return nil, 0, err
		}
		for _, topic := range r.Missed {
			missed = append(missed, string(topic))
		}
		gaps += len(r.Gaps)
	}
	t.taken(n)
	return missed, gaps, nil
}

// TestDropped: what does not fit while NATS takes nothing cannot be recovered, its topics have no
// last value, and all is told as soon as half of what can wait is free. Other topics lose nothing.
func TestDropped(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, MaxBytes: 64 << 20, LastValues: true, Replica: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s := &Share{o: Options{Log: log}, ctx: t.Context(), bounds: Bounds{Topics: [][]byte{nil}, MaxBytes: minWaiting}}
	w := newTerm(s, history.NewGeneration(), 1, 0)
	w.record(func(b *history.Builder, wall int64) { b.Start(log, w.id, s.bounds.Topics, wall) })
	publish := func(topic string, size int) { w.append(zmtp.Message{[]byte(topic), make([]byte, size)}) }
	publish("a", 10)
	publish("b", 10)
	w.seal()
	if _, _, err := w.replicate(log, len(w.batches)); err != nil {
		t.Fatal(err)
	}
	before := log.End()
	for i := 0; !w.full; i++ {
		publish(fmt.Sprint("large", i), batchBytes)
	}
	publish("a", 10) // dropped as well, although there would be room
	stored := w.build.Next()
	for len(w.batches) > 0 {
		missed, gaps, err := w.replicate(log, 1)
		if err != nil || len(missed) > 0 || gaps > 0 {
			t.Fatalf("%v, or drops are told before they are recorded: %q, %d gaps", err, missed, gaps)
		}
	}
	if w.full || w.build.Next() != stored+2 {
		t.Fatalf("dropping: %t, and %d records follow, want those of the drops and of the gap", w.full, w.build.Next()-stored)
	}
	w.seal()
	missed, gaps, err := w.replicate(log, 1)
	if err != nil || len(missed) != 2 || gaps != 1 {
		t.Errorf("%v, missed messages of %q, %d gaps, want a and a large one, and 1", err, missed, gaps)
	}
	for topic, want := range map[string]bool{"a": false, "b": true} {
		match := history.NewMatch([][]byte{[]byte(topic)}, nil)
		if _, answer := log.Resume(before, match); answer.Recovered != want || !answer.Gap {
			t.Errorf("%s is resumed with %+v, want recovered %t and a gap", topic, answer, want)
		}
		if _, answer := log.Resume(log.End(), match); !answer.Recovered || answer.Gap {
			t.Errorf("%s is resumed behind the gap with %+v, want recovered and no gap", topic, answer)
		}
		if values, _ := log.Last(match, log.End()).Next(nil, 1<<10); len(values) > 0 != want {
			t.Errorf("%s has %d last values, want one: %t", topic, len(values), want)
		}
	}
}

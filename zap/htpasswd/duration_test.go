package htpasswd

import (
	"testing"
	"time"
)

// TestDurations: a cost that was never measured is judged by the cheapest one, the need includes
// the deviation, and a slow hash does not change what a hash takes at least.
func TestDurations(t *testing.T) {
	const ms = time.Millisecond
	d := durations{cheapest: ms}
	if mean, need, least := d.mean(10), d.need(10), d.least(10); mean != 64*ms || need != 128*ms || least != 64*ms {
		t.Errorf("unmeasured: %v, %v and %v", mean, need, least)
	}
	for i := range 100 {
		d.add(10, time.Duration(90+i%2*20)*ms)
	}
	for name, c := range map[string]struct{ got, least, most time.Duration }{
		"mean":                {d.mean(10), 95 * ms, 105 * ms},
		"need":                {d.need(10), 195 * ms, 210 * ms},
		"least":               {d.least(10), 64 * ms, 80 * ms},
		"need of another":     {d.need(12), 512 * ms, 512 * ms},
		"mean before another": {d.mean(12), 95 * ms, 105 * ms},
	} {
		if c.got < c.least || c.got > c.most {
			t.Errorf("%s: %v, want %v to %v", name, c.got, c.least, c.most)
		}
	}
	if cheapest() <= 0 {
		t.Errorf("the cheapest hash takes %v", cheapest())
	}
}

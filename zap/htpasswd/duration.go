package htpasswd

import (
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// durations estimates how long hashes take.
type durations struct {
	cheapest time.Duration // of a hash with MinCost that nothing slows down
	all      estimate      // of every cost
	byCost   [MaxCost + 1]estimate
}

// cheapest measures a hash with MinCost.
var cheapest = sync.OnceValue(func() time.Duration {
	least := time.Duration(0)
	for range 5 {
		start := time.Now()
		_, _ = bcrypt.GenerateFromPassword(nil, MinCost)
		if took := time.Since(start); least == 0 || took < least {
			least = took
		}
	}
	return least
})

// add takes a measured hash into account.
func (d *durations) add(cost int, took time.Duration) {
	d.all.add(took, took)
	d.byCost[cost].add(took, d.guess(cost))
}

// mean is how long each of the hashes takes that are in front of one of the given cost.
func (d *durations) mean(cost int) time.Duration {
	if d.all.mean > 0 {
		return d.all.mean
	}
	return d.guess(cost)
}

// need is the time within which a hash of the given cost will be finished, nearly always.
func (d *durations) need(cost int) time.Duration {
	if e := d.byCost[cost]; e.mean > 0 {
		return e.mean + max(e.mean, 4*e.deviation)
	}
	return d.guess(cost) * 2
}

// least is how long a hash takes that nothing slows down. The logins that are told to come back
// are spread by it: coming back too early costs little, too late leaves processors idle.
func (d *durations) least(cost int) time.Duration {
	if e := d.byCost[cost]; e.mean > 0 {
		return e.least
	}
	return d.guess(cost)
}

// fastest is the shortest time in which a hash was computed, about; 0 if none was.
func (d *durations) fastest(cost int) time.Duration { return d.byCost[cost].least }

// guess is the duration of a hash whose cost was not measured yet: each step of the cost
// doubles it.
func (d *durations) guess(cost int) time.Duration { return d.cheapest << (cost - MinCost) }

// estimate is a running mean and mean deviation, with the weights of RFC 6298, section 2.
type estimate struct {
	mean, deviation time.Duration
	least           time.Duration // grows slowly if everything becomes slower
}

// add takes a value into account. If it is the first one, least begins with the lesser of it
// and guess.
func (e *estimate) add(d, guess time.Duration) {
	d = max(d, 1)
	if e.mean == 0 {
		*e = estimate{d, d / 2, min(d, guess)}
		return
	}
	e.least = min(d, e.least+(d-e.least)/512)
	e.deviation += ((e.mean - d).Abs() - e.deviation) / 4
	e.mean = max(e.mean+(d-e.mean)/8, 1)
}

package htpasswd

import "time"

// durations estimates how long hashes take. The zero value starts with a guess.
type durations struct {
	all    estimate // of every cost
	byCost [MaxCost + 1]estimate
}

// add takes a measured hash into account.
func (d *durations) add(cost int, took time.Duration) {
	d.all.add(took)
	d.byCost[cost].add(took)
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
		return e.mean + 4*e.deviation
	}
	return d.guess(cost) * 3 / 2
}

// guess is the duration of a hash whose cost was not measured yet: each step of the cost
// doubles it.
func (d *durations) guess(cost int) time.Duration {
	for other := MaxCost; other >= MinCost; other-- {
		if mean := d.byCost[other].mean; mean > 0 {
			return scale(mean, cost-other)
		}
	}
	const ten = 50 * time.Millisecond // a present-day processor at cost 10
	return scale(ten, cost-10)
}

func scale(d time.Duration, steps int) time.Duration {
	if steps < 0 {
		return max(d>>-steps, 1)
	}
	return d << steps
}

// estimate is a running mean and mean deviation, with the weights of RFC 6298, section 2.
type estimate struct{ mean, deviation time.Duration }

func (e *estimate) add(d time.Duration) {
	d = max(d, 1)
	if e.mean == 0 {
		*e = estimate{d, d / 2}
		return
	}
	e.deviation += ((e.mean - d).Abs() - e.deviation) / 4
	e.mean = max(e.mean+(d-e.mean)/8, 1)
}

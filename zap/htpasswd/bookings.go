package htpasswd

import (
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// maxBooked limits the bookings of all networks, and so the memory for them.
	maxBooked = 40_000
	// maxBookedByOne limits those of one network, so that it cannot take all.
	maxBookedByOne = maxBooked / 4
	// bookedSeconds limits how far ahead a booking can be: zap.MaxRetryAfter and the half
	// that a client adds.
	bookedSeconds = int(zap.MaxRetryAfter/time.Second) * 3 / 2
)

// bookings are the turns of logins that were refused and have been told to come back. They
// exist only to spread these logins over time; a login that comes back is not recognized.
// Networks take turns here too: a network with many bookings delays one with a few only by
// that few.
type bookings struct {
	start   time.Time
	expired int                           // seconds since start whose bookings are gone
	due     [bookedSeconds + 1][]*network // by second, modulo its length
	total   int
	// atLeast[i] is how many networks have more than i bookings.
	atLeast []int
}

// add books the next turn of n and returns how long it is until then: wait, and a turn of the
// given length for each login that was refused before and for this one.
func (b *bookings) add(n *network, wait, turn time.Duration) time.Duration {
	until := wait + turn
	for i := range min(n.booked+1, len(b.atLeast)) {
		until += time.Duration(b.atLeast[i]) * turn
	}
	second := b.expired + int(until/time.Second)
	if until >= time.Duration(bookedSeconds)*time.Second || b.total >= maxBooked || n.booked >= maxBookedByOne {
		return until
	}
	if n.booked == len(b.atLeast) {
		b.atLeast = append(b.atLeast, 0)
	}
	b.atLeast[n.booked]++
	n.booked++
	b.total++
	slot := &b.due[(second+1)%len(b.due)]
	*slot = append(*slot, n)
	return until
}

// expire removes the bookings that are due by now and calls done for the networks that have
// none left.
func (b *bookings) expire(now time.Time, done func(*network)) {
	if b.start.IsZero() {
		b.start = now
	}
	present := int(now.Sub(b.start) / time.Second)
	for range min(present-b.expired, len(b.due)) {
		b.expired++
		slot := &b.due[b.expired%len(b.due)]
		for _, n := range *slot {
			n.booked--
			b.total--
			b.atLeast[n.booked]--
			if n.booked == 0 {
				done(n)
			}
		}
		*slot = nil
	}
	b.expired = present
}

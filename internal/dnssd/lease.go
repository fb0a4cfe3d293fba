package dnssd

import (
	"math/rand/v2"
	"time"
)

const (
	maxTTL = 75 * time.Minute
	// goodbye is how long a record lives that was taken back (RFC 6762, 10.1).
	goodbye = time.Second
)

// lease is how long something known holds, and when it has to be asked for.
type lease struct {
	received time.Time // zero while it is not known
	ttl      time.Duration
	expires  time.Time
	asked    int
	due      time.Time // when to ask; zero = not any more
}

// maxAsked is how often something missing, or a record before it expires, is asked for.
const maxAsked = 4

// renew starts a new lease.
func (l *lease) renew(now time.Time, seconds uint32) {
	ttl := min(time.Duration(seconds)*time.Second, maxTTL)
	*l = lease{received: now, ttl: ttl, expires: now.Add(ttl)}
	if seconds == 0 {
		l.expires = now.Add(goodbye)
		return
	}
	l.plan()
}

// plan sets when to ask: at 80, 85, 90 and 95 % of the TTL and a little more (RFC 6762, 5.2).
func (l *lease) plan() {
	l.due = time.Time{}
	if l.asked < maxAsked {
		share := 0.80 + 0.05*float64(l.asked) + 0.02*rand.Float64()
		l.due = l.received.Add(time.Duration(share * float64(l.ttl)))
	}
}

// missing makes it due at once, unless it is known or was asked for.
func (l *lease) missing(now time.Time) {
	if l.received.IsZero() && l.asked == 0 {
		l.due = now
	}
}

// ask notes a question.
func (l *lease) ask(now time.Time) {
	l.asked++
	switch {
	case !l.received.IsZero():
		l.plan()
	case l.asked < maxAsked:
		l.due = now.Add(time.Second << l.asked)
	default:
		l.due = time.Time{}
	}
}

func (l *lease) alive(now time.Time) bool { return !l.received.IsZero() && now.Before(l.expires) }

func (l *lease) isDue(now time.Time) bool { return !l.due.IsZero() && !now.Before(l.due) }

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

package auth

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// failureWindow is the time over which refused logins are counted.
	failureWindow = time.Minute
	// maxTracked is for how many addresses, users and pairs each refused logins are counted:
	// names that clients choose must not fill the memory.
	maxTracked = 100_000
	// maxKnown is how many pairs of a user and an address are known to have logged in.
	maxKnown = 100_000
	// knownFor is how long a pair is known after its last login.
	knownFor = 24 * time.Hour
)

// kind is a kind of what refused logins count against.
type kind int

const (
	byAddress kind = iota
	byUser
	byPair // of a user and an address
	kinds
)

// subject is something that refused logins count against. No name is kept, only a keyed hash.
type subject struct {
	kind kind
	id   [16]byte
}

// hasher makes subjects.
type hasher [32]byte

func newHasher() (h hasher) {
	rand.Read(h[:])
	return h
}

// subject returns the subject with these names. Each follows its length, so that different names
// have different inputs.
func (h *hasher) subject(k kind, names ...string) subject {
	m := hmac.New(sha256.New, h[:])
	for _, name := range names {
		m.Write(binary.AppendUvarint(nil, uint64(len(name))))
		m.Write([]byte(name))
	}
	return subject{k, [16]byte(m.Sum(nil))}
}

// tally is what is counted about one subject.
type tally struct {
	subject
	failures int       // refused logins in the window
	start    time.Time // of the window
	judging  int       // logins that are being judged: each can become a failure
	waiting  list.List // of *waiter: logins that wait until one of those is decided
	asked    time.Time // when a token or key was refused, or a service asked about it beyond the limit
	booked   time.Time // until when logins have been told to come back

	place *list.Element // in table.byAge, with failures
}

// table has the tallies of one kind.
type table struct {
	tallies map[[16]byte]*tally
	byAge   list.List // of *tally with failures, the oldest window first
}

func newTable() *table { return &table{tallies: make(map[[16]byte]*tally)} }

// find returns the tally of a subject, or nil if there is nothing to know about it.
func (tb *table) find(s subject) *tally {
	t := tb.tallies[s.id]
	if t != nil && t.failures > 0 && time.Since(t.start) >= failureWindow {
		tb.reset(t)
		return tb.tallies[s.id]
	}
	return t
}

// make returns the tally of a subject, new if there is none.
func (tb *table) make(s subject) *tally {
	t := tb.find(s)
	if t == nil {
		t = &tally{subject: s}
		tb.tallies[s.id] = t
	}
	return t
}

// fail counts a refused login. The number of tallies with failures is bounded: those with the
// oldest window are forgotten first.
func (tb *table) fail(t *tally) {
	t.failures++
	if t.failures > 1 {
		return
	}
	t.start = time.Now()
	t.place = tb.byAge.PushBack(t)
	for e := tb.byAge.Front(); e != nil; e = tb.byAge.Front() {
		oldest := e.Value.(*tally)
		if tb.byAge.Len() <= maxTracked && time.Since(oldest.start) < failureWindow {
			break
		}
		tb.reset(oldest)
	}
}

// reset forgets the failures of a tally.
func (tb *table) reset(t *tally) {
	tb.byAge.Remove(t.place)
	t.failures, t.place = 0, nil
	tb.forget(t)
}

// forget drops a tally about which there is nothing to know.
func (tb *table) forget(t *tally) {
	if t.failures == 0 && t.judging == 0 && t.waiting.Len() == 0 {
		delete(tb.tallies, t.id)
	}
}

// atLimit returns how many tallies have so many failures.
func (tb *table) atLimit(limit int) (n int) {
	for e := tb.byAge.Front(); e != nil; e = e.Next() {
		if t := e.Value.(*tally); t.failures >= limit && time.Since(t.start) < failureWindow {
			n++
		}
	}
	return n
}

// pairs remembers pairs of a user and an address that have logged in, and of a token or key and an
// address if a service has accepted it. Beyond maxKnown, the pair
// whose last login is oldest is forgotten.
type pairs struct {
	byLogin list.List // of knownPair, the oldest login first
	known   map[[16]byte]*list.Element
}

type knownPair struct {
	id    [16]byte
	until time.Time
}

func newPairs() *pairs { return &pairs{known: make(map[[16]byte]*list.Element)} }

func (p *pairs) has(s subject) bool {
	e := p.known[s.id]
	return e != nil && time.Until(e.Value.(knownPair).until) > 0
}

func (p *pairs) add(s subject) {
	p.remove(s)
	p.known[s.id] = p.byLogin.PushBack(knownPair{s.id, time.Now().Add(knownFor)})
	for e := p.byLogin.Front(); e != nil; e = p.byLogin.Front() {
		oldest := e.Value.(knownPair)
		if len(p.known) <= maxKnown && time.Until(oldest.until) > 0 {
			break
		}
		p.byLogin.Remove(e)
		delete(p.known, oldest.id)
	}
}

func (p *pairs) remove(s subject) {
	if e := p.known[s.id]; e != nil {
		p.byLogin.Remove(e)
		delete(p.known, s.id)
	}
}

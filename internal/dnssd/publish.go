package dnssd

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"time"
)

const (
	probes        = 3
	probeInterval = 250 * time.Millisecond
	announcements = 2
	// manyConflicts in a row make it wait long before the next probe (RFC 6762, 8.1).
	manyConflicts = 15
	conflictWait  = 5 * time.Second
)

// Publish announces services until ctx is done, and then takes them back. If another machine has
// one of the names, it takes another, and log says so. The error is that of ctx, or that the
// network cannot be used.
func Publish(ctx context.Context, p Publication, log *slog.Logger) error {
	if err := CheckInstance(p.Instance); err != nil {
		return err
	}
	l, err := openLink()
	if err != nil {
		return err
	}
	defer l.close()
	return publish(ctx, l, p, log)
}

// publication is a publisher at work on a link.
type publication struct {
	*publisher
	l         link
	log       *slog.Logger
	step      int       // probes and announcements that were sent
	due       time.Time // of the next one, or of the next rescan
	conflicts int
	rescan    time.Time
	later     chan reply // answers whose time has come
	ended     chan struct{}
}

func publish(ctx context.Context, l link, p Publication, log *slog.Logger) error {
	w := &publication{publisher: newPublisher(p), l: l, log: log, later: make(chan reply), ended: make(chan struct{})}
	defer close(w.ended)
	now := time.Now()
	w.due = now.Add(rand.N(probeInterval))
	w.rescan = now.Add(rescanInterval)
	timer := time.NewTimer(time.Until(w.due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			w.goodbye()
			return ctx.Err()
		case p := <-l.packets():
			w.receive(p)
		case r := <-w.later:
			w.send(r)
		case <-timer.C:
			if err := w.tick(time.Now()); err != nil {
				return err
			}
		}
		timer.Reset(max(time.Until(minTime(w.due, w.rescan)), time.Millisecond))
	}
}

// tick sends the probe or announcement that is due and looks for new interfaces.
func (w *publication) tick(now time.Time) error {
	if !now.Before(w.rescan) {
		w.rescan = now.Add(rescanInterval)
		before := w.l.interfaces()
		if err := w.l.rescan(); err != nil {
			return err
		}
		if !reflect.DeepEqual(before, w.l.interfaces()) {
			w.step, w.due = 0, now
		}
	}
	if now.Before(w.due) {
		return nil
	}
	switch {
	case w.step < probes:
		w.each(func(i iface) *message { return w.probe(i) })
		w.step++
		w.due = now.Add(probeInterval)
	case w.step < probes+announcements:
		w.each(func(i iface) *message { return &message{response: true, answers: w.records(i)} })
		w.step++
		w.due = now.Add(time.Second)
		if w.step == probes+announcements {
			w.conflicts = 0
			w.log.Info("announced in the local network", "name", w.instance(), "host", w.host(), "port", w.p.Port)
		}
	default:
		w.due = now.Add(time.Hour) // only rescans
	}
	return nil
}

// each multicasts on every interface that has an address to publish.
func (w *publication) each(build func(iface) *message) {
	for _, i := range w.l.interfaces() {
		if m := build(i); len(m.questions)+len(m.answers) > 0 {
			w.l.multicast(i.index, m.build())
		}
	}
}

// receive takes a packet: a question, or perhaps a conflict.
func (w *publication) receive(p packet) {
	m, err := parse(p.data)
	if err != nil {
		return
	}
	now := time.Now()
	interfaces := w.l.interfaces()
	before := w.instance()
	if p.from.Port() == port {
		w.conflict(m, interfaces)
	}
	if w.renamed {
		w.renamed = false
		w.conflicts++
		w.log.Warn("another machine has the name: taking another", "name", before, "now", w.instance(), "host", w.host())
		w.step, w.due = 0, now.Add(rand.N(probeInterval))
		if w.conflicts >= manyConflicts {
			w.due = now.Add(conflictWait)
		}
		return
	}
	if w.step < probes { // the names are not ours yet
		if w.loses(m) {
			w.step, w.due = 0, now.Add(time.Second)
		}
		return
	}
	for _, i := range interfaces {
		if i.index != p.iface {
			continue
		}
		for _, r := range w.answer(m, i, p.from, now) {
			r.iface = i.index
			w.answerLater(r)
		}
	}
}

// answerLater sends an answer by multicast after a short random wait, so that the answers of many
// machines do not collide (RFC 6762, 6); one by unicast at once.
func (w *publication) answerLater(r reply) {
	if r.to.IsValid() {
		w.send(r)
		return
	}
	time.AfterFunc(20*time.Millisecond+rand.N(100*time.Millisecond), func() {
		select {
		case w.later <- r:
		case <-w.ended:
		}
	})
}

func (w *publication) send(r reply) {
	if r.to != (netip.AddrPort{}) {
		w.l.unicast(r.to, r.message.build())
		return
	}
	w.l.multicast(r.iface, r.message.build())
}

// goodbye takes back what was announced; the address may be that of others too.
func (w *publication) goodbye() {
	if w.step <= probes {
		return
	}
	w.each(func(i iface) *message {
		m := &message{response: true}
		for _, r := range w.records(i) {
			if r.kind != typeA && r.kind != typeAAAA && r.name != enumeration {
				r.ttl = 0
				m.answers = append(m.answers, r)
			}
		}
		return m
	})
}

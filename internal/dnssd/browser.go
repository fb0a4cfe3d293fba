package dnssd

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Limits on what a network can make a browser keep.
const (
	maxInstances = 1000
	maxText      = 1300 // bytes of a TXT record
	maxAddresses = 16   // of one host
)

// Service is an instance of a service in the local network.
type Service struct {
	Type     string // "_zmtp._tcp"
	Instance string // a name for people, of up to 63 bytes
	Host     string // "house7.local"
	// Addr is one of the addresses of the host, IPv4 if it has one, and the port. It stays the
	// same while the host has it and no better kind of address.
	Addr netip.AddrPort
	Text []string // key=value
}

// Value returns the value of a key of the TXT record; keys are ASCII and compared without case.
func (s *Service) Value(key string) (string, bool) {
	for _, t := range s.Text {
		if k, v, _ := strings.Cut(t, "="); strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

// instance is what is known of one.
type instance struct {
	name          string
	ptr, srv, txt lease
	target        string
	port          uint16
	text          []string
}

// host is what is known of the target of an instance.
type host struct {
	name      string
	lease     lease
	addresses map[netip.Addr]*lease
	chosen    netip.Addr
}

// browser knows the instances of a service type. It is used by one goroutine.
type browser struct {
	service   string // _zmtp._tcp.local
	instances map[string]*instance
	hosts     map[string]*host
	// The service is asked for at queryDue, after longer and longer intervals (RFC 6762, 5.2).
	queryDue time.Time
	interval time.Duration
}

const maxQueryInterval = time.Hour

func newBrowser(service string, now time.Time) *browser {
	b := &browser{service: key(service), instances: make(map[string]*instance), hosts: make(map[string]*host)}
	b.restart(now)
	return b
}

// restart makes it ask for the service as if it was new: on a new interface.
func (b *browser) restart(now time.Time) { b.queryDue, b.interval = now, time.Second }

// handle takes the records of a response that came on an interface. local says that it is the
// loopback interface, the only one where loopback addresses count.
func (b *browser) handle(m *message, zone string, local bool, now time.Time) {
	if !m.response {
		return
	}
	records := slices.Concat(m.answers, m.additionals)
	for _, r := range records {
		if r.kind == typePTR && key(r.name) == b.service {
			b.pointer(r, now)
		}
	}
	for _, r := range records {
		b.describe(r, now)
	}
	seen := make(map[string]bool)
	for _, r := range records {
		if r.kind == typeA || r.kind == typeAAAA {
			b.address(r, zone, local, seen, now)
		}
	}
	for _, i := range b.instances {
		b.need(i, now)
	}
}

// pointer takes a PTR record: there is an instance, or with TTL 0 it leaves.
func (b *browser) pointer(r record, now time.Time) {
	k := key(r.target)
	if !strings.HasSuffix(k, "."+b.service) {
		return
	}
	i := b.instances[k]
	if i == nil {
		if r.ttl == 0 || len(b.instances) >= maxInstances {
			return
		}
		i = &instance{name: r.target}
		b.instances[k] = i
	}
	i.ptr.renew(now, r.ttl)
}

// describe takes an SRV or TXT record of an instance that is known.
func (b *browser) describe(r record, now time.Time) {
	if r.kind != typeSRV && r.kind != typeTXT {
		return
	}
	i := b.instances[key(r.name)]
	if i == nil {
		return
	}
	if r.kind == typeTXT {
		if len(strings.Join(r.text, " ")) <= maxText {
			i.text = r.text
			i.txt.renew(now, r.ttl)
		}
		return
	}
	i.target, i.port = r.target, r.port
	i.srv.renew(now, r.ttl)
	if k := key(r.target); b.hosts[k] == nil {
		b.hosts[k] = &host{name: r.target, addresses: make(map[netip.Addr]*lease)}
	}
}

// address takes an address of a host that is known. seen are the hosts and kinds of this message
// whose older addresses have been dealt with.
func (b *browser) address(r record, zone string, local bool, seen map[string]bool, now time.Time) {
	h := b.hosts[key(r.name)]
	a := r.addr
	if h == nil || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a.IsLoopback() && !local {
		return
	}
	if a.Is6() && a.IsLinkLocalUnicast() {
		a = a.WithZone(zone)
	}
	if id := h.name + string(rune(r.kind)); r.flush && !seen[id] {
		seen[id] = true
		for old, l := range h.addresses {
			// Those of the last second may be of the same answer (RFC 6762, 10.2).
			if old.Is4() == a.Is4() && old.Zone() == a.Zone() && now.Sub(l.received) > goodbye {
				l.expires = minTime(l.expires, now.Add(goodbye))
			}
		}
	}
	l := h.addresses[a]
	if l == nil {
		if r.ttl == 0 || len(h.addresses) >= maxAddresses {
			return
		}
		l = new(lease)
		h.addresses[a] = l
	}
	l.renew(now, r.ttl)
	if r.ttl > 0 {
		h.lease.renew(now, r.ttl)
	}
}

// need makes due what an instance lacks.
func (b *browser) need(i *instance, now time.Time) {
	i.srv.missing(now)
	i.txt.missing(now)
	if h := b.hosts[key(i.target)]; h != nil && i.srv.alive(now) {
		h.lease.missing(now)
	}
}

// expire forgets what is over.
func (b *browser) expire(now time.Time) {
	wanted := make(map[string]bool)
	for k, i := range b.instances {
		if !i.ptr.alive(now) {
			delete(b.instances, k)
			continue
		}
		for _, l := range []*lease{&i.srv, &i.txt} {
			if !l.received.IsZero() && !l.alive(now) {
				*l = lease{}
			}
		}
		if i.srv.alive(now) {
			wanted[key(i.target)] = true
		}
	}
	for k, h := range b.hosts {
		for a, l := range h.addresses {
			if !l.alive(now) {
				delete(h.addresses, a)
			}
		}
		if !wanted[k] {
			delete(b.hosts, k)
		}
	}
}

// services returns the instances that have all that it takes to connect to them, sorted.
func (b *browser) services(now time.Time) []Service {
	b.expire(now)
	var list []Service
	service := strings.TrimSuffix(b.service, ".local")
	for _, i := range b.instances {
		h := b.hosts[key(i.target)]
		if !i.srv.alive(now) || !i.txt.alive(now) || i.port == 0 || h == nil || len(h.addresses) == 0 {
			continue
		}
		list = append(list, Service{
			Type: service, Instance: b.instanceName(i), Host: h.name,
			Addr: netip.AddrPortFrom(h.choose(), i.port), Text: i.text,
		})
	}
	slices.SortFunc(list, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), a.Addr.Compare(b.Addr))
	})
	return list
}

// instanceName returns the name for people. It is one label, but python-zeroconf makes several of
// one with dots.
func (b *browser) instanceName(i *instance) string {
	all := labels(i.name)
	return strings.Join(all[:len(all)-len(labels(b.service))], ".")
}

// choose returns the address to connect to.
func (h *host) choose() netip.Addr {
	rank := func(a netip.Addr) int {
		switch {
		case a.Is4() && !a.IsLinkLocalUnicast():
			return 0
		case !a.IsLinkLocalUnicast():
			return 1
		case a.Is4():
			return 2
		}
		return 3
	}
	// IPv6 and IPv4 addresses can come in messages of their own, in any order.
	before, best := h.chosen, netip.Addr{}
	for a := range h.addresses {
		if !best.IsValid() || cmp.Or(cmp.Compare(rank(a), rank(best)), a.Compare(best)) < 0 {
			best = a
		}
	}
	if h.addresses[before] == nil || rank(best) < rank(before) {
		h.chosen = best
	}
	return h.chosen
}

// query returns the questions that are due, nil if none is, and notes that they are asked.
func (b *browser) query(now time.Time) *message {
	m := new(message)
	ptr := !now.Before(b.queryDue)
	for _, i := range b.instances {
		if i.ptr.isDue(now) {
			ptr = true
			i.ptr.ask(now)
		}
		for kind, l := range map[uint16]*lease{typeSRV: &i.srv, typeTXT: &i.txt} {
			if l.isDue(now) {
				l.ask(now)
				m.questions = append(m.questions, question{name: i.name, kind: kind})
			}
		}
	}
	for _, h := range b.hosts {
		if h.lease.isDue(now) {
			h.lease.ask(now)
			m.questions = append(m.questions, question{name: h.name, kind: typeA}, question{name: h.name, kind: typeAAAA})
		}
	}
	if !now.Before(b.queryDue) {
		b.queryDue = now.Add(b.interval)
		b.interval = min(2*b.interval, maxQueryInterval)
	}
	if ptr {
		m.questions = append(m.questions, question{name: b.service, kind: typePTR})
		m.answers = b.known(now)
	}
	if len(m.questions) == 0 {
		return nil
	}
	m.questions = m.questions[:min(len(m.questions), maxQuestions)] // the others are due again later
	return m
}

// Limits that keep a query within one packet.
const (
	maxQuestions = 20
	maxKnown     = 20
)

// known returns the pointers that need no answer: those with more than half of their TTL left
// (RFC 6762, 7.1).
func (b *browser) known(now time.Time) []record {
	var list []record
	for _, i := range b.instances {
		left := i.ptr.expires.Sub(now)
		if len(list) < maxKnown && i.ptr.ttl > 0 && left > i.ptr.ttl/2 {
			list = append(list, record{name: b.service, kind: typePTR, ttl: uint32(left / time.Second), target: i.name})
		}
	}
	return list
}

// next returns when something is due or expires.
func (b *browser) next() time.Time {
	next := b.queryDue
	add := func(l *lease) {
		if !l.due.IsZero() {
			next = minTime(next, l.due)
		}
		if !l.received.IsZero() {
			next = minTime(next, l.expires)
		}
	}
	for _, i := range b.instances {
		add(&i.ptr)
		add(&i.srv)
		add(&i.txt)
	}
	for _, h := range b.hosts {
		if !h.lease.due.IsZero() {
			next = minTime(next, h.lease.due)
		}
		for _, l := range h.addresses {
			next = minTime(next, l.expires)
		}
	}
	return next
}

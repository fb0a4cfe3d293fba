package dnssd

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// TTLs of published records, in seconds (RFC 6762, 10).
const (
	hostTTL   = 120
	otherTTL  = 4500
	legacyTTL = 10 // for resolvers that do not know multicast DNS (6.7)
)

const enumeration = "_services._dns-sd._udp.local"

// Publication is a set of services of one instance name on one port of this machine.
type Publication struct {
	// Instance is the name for people, 1 to 63 bytes of UTF-8. If another machine has it,
	// " (2)" and so on is added.
	Instance string
	// Host is the first label of the name that the services are reached by: Host.local. It must
	// not be the machine's own, which another responder may publish with other addresses.
	Host string
	Port uint16
	// Only, if it is valid, is the one address to publish; else all of each interface are.
	Only     netip.Addr
	Services []PublishedService
}

// PublishedService is a service type with its TXT record.
type PublishedService struct {
	Type string   // "_https._tcp"
	Text []string // key=value
}

// CheckInstance reports an error if a name cannot be that of an instance (RFC 6763, 4.1.1).
func CheckInstance(name string) error {
	switch {
	case name == "" || len(name) > maxLabel:
		return fmt.Errorf("%q has %d bytes: want a name of 1 to %d", name, len(name), maxLabel)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%q is not text without control characters", name)
	}
	return nil
}

// publisher answers questions about a publication. It is used by one goroutine.
type publisher struct {
	p       Publication
	number  int // of the instance name: 1, or 2 for "name (2)"
	hosts   int // the same for the host name
	sent    map[string]time.Time
	renamed bool // a conflict was seen: the names have to be probed again
}

func newPublisher(p Publication) *publisher {
	return &publisher{p: p, number: 1, hosts: 1, sent: make(map[string]time.Time)}
}

// instance returns the instance name in use.
func (p *publisher) instance() string {
	if p.number == 1 {
		return p.p.Instance
	}
	suffix := fmt.Sprintf(" (%d)", p.number)
	return strings.ToValidUTF8(p.p.Instance[:min(len(p.p.Instance), maxLabel-len(suffix))], "") + suffix
}

// host returns the host name in use.
func (p *publisher) host() string {
	name := p.p.Host
	if p.hosts > 1 {
		suffix := fmt.Sprintf("-%d", p.hosts)
		name = name[:min(len(name), maxLabel-len(suffix))] + suffix
	}
	return escape(name) + ".local"
}

func (p *publisher) full(service string) string {
	return escape(p.instance()) + "." + service + ".local"
}

// addresses returns what is published on an interface.
func (p *publisher) addresses(i iface) []netip.Addr {
	var list []netip.Addr
	for _, prefix := range i.prefixes {
		if a := prefix.Addr(); !p.p.Only.IsValid() || a == p.p.Only {
			list = append(list, a)
		}
	}
	return list
}

// records returns all that is published on an interface; nil if it is not reached by it.
func (p *publisher) records(i iface) []record {
	addresses := p.addresses(i)
	if len(addresses) == 0 {
		return nil
	}
	var list []record
	for _, s := range p.p.Services {
		list = append(list,
			record{name: s.Type + ".local", kind: typePTR, ttl: otherTTL, target: p.full(s.Type)},
			record{name: enumeration, kind: typePTR, ttl: otherTTL, target: s.Type + ".local"})
	}
	for _, s := range p.p.Services {
		list = append(list,
			record{name: p.full(s.Type), kind: typeSRV, ttl: hostTTL, flush: true, target: p.host(), port: p.p.Port},
			record{name: p.full(s.Type), kind: typeTXT, ttl: otherTTL, flush: true, text: s.Text})
	}
	for _, a := range addresses {
		r := record{name: p.host(), kind: typeAAAA, ttl: hostTTL, flush: true, addr: a}
		if a.Is4() {
			r.kind = typeA
		}
		list = append(list, r)
	}
	return list
}

// probe returns the question whether anybody has the names, with what is going to be published
// (RFC 6762, 8.1).
func (p *publisher) probe(i iface) *message {
	m := new(message)
	for _, r := range p.records(i) {
		if r.kind == typePTR || r.kind == typeTXT {
			continue
		}
		if q := (question{name: r.name, kind: typeANY}); !slices.Contains(m.questions, q) {
			m.questions = append(m.questions, q)
		}
		r.flush = false
		m.authorities = append(m.authorities, r)
	}
	return m
}

// loses reports whether another machine probes for one of the names at the same time and has
// what compares as later, so that it goes first (RFC 6762, 8.2).
func (p *publisher) loses(m *message) bool {
	return !m.response && slices.ContainsFunc(m.authorities, func(r record) bool {
		return r.kind == typeSRV && p.isOurs(r.name) && cmp.Or(cmp.Compare(r.port, p.p.Port), cmp.Compare(key(r.target), key(p.host()))) > 0
	})
}

// isOurs reports whether a name is that of one of the services.
func (p *publisher) isOurs(name string) bool {
	return slices.ContainsFunc(p.p.Services, func(s PublishedService) bool { return key(name) == key(p.full(s.Type)) })
}

// conflict looks for a record of another machine under one of the names, and then takes another
// name. interfaces are all of this machine.
func (p *publisher) conflict(m *message, interfaces []iface) {
	if !m.response {
		return
	}
	ours := record{target: p.host(), port: p.p.Port}
	for _, r := range slices.Concat(m.answers, m.additionals) {
		if r.kind == typeSRV && r.ttl > 0 && p.isOurs(r.name) && !r.sameData(&ours) {
			p.number++
			p.renamed = true
			return
		}
		if r.ttl > 0 && (r.kind == typeA || r.kind == typeAAAA) && key(r.name) == key(p.host()) && !owned(r.addr, interfaces) {
			p.hosts++
			p.renamed = true
			return
		}
	}
}

// owned reports whether an address is one of this machine.
func owned(a netip.Addr, interfaces []iface) bool {
	return slices.ContainsFunc(interfaces, func(i iface) bool {
		return slices.ContainsFunc(i.prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// reply is an answer and where to send it.
type reply struct {
	message *message
	to      netip.AddrPort // not valid: multicast on iface
	iface   int
}

// answer returns the answers to a query that came on an interface.
func (p *publisher) answer(m *message, i iface, from netip.AddrPort, now time.Time) []reply {
	if m.response || len(m.questions) == 0 {
		return nil
	}
	records := p.records(i)
	legacy := from.Port() != port
	unicast := true
	var found []record
	for _, q := range m.questions {
		unicast = unicast && q.unicast
		for _, r := range records {
			if key(r.name) == key(q.name) && (q.kind == r.kind || q.kind == typeANY) && !known(m.answers, r) && !has(found, r) {
				found = append(found, r)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	a := &message{response: true, answers: found}
	for _, r := range records {
		if r.kind != typePTR && !has(found, r) {
			a.additionals = append(a.additionals, r)
		}
	}
	switch {
	case legacy:
		a.id, a.questions = m.id, m.questions
		for _, section := range [][]record{a.answers, a.additionals} {
			for i := range section {
				section[i].ttl, section[i].flush = min(section[i].ttl, legacyTTL), false
			}
		}
		return []reply{{message: a, to: from}}
	case unicast:
		return []reply{{message: a, to: from}}
	case !p.mayMulticast(a, i, len(m.authorities) > 0, now):
		return nil
	}
	return []reply{{message: a}}
}

// known reports whether a query has a record among its known answers, with at least half of the
// TTL left (RFC 6762, 7.1).
func known(answers []record, r record) bool {
	return slices.ContainsFunc(answers, func(k record) bool {
		return k.kind == r.kind && key(k.name) == key(r.name) && k.sameData(&r) && k.ttl >= r.ttl/2
	})
}

func has(list []record, r record) bool {
	return slices.ContainsFunc(list, func(o record) bool {
		return o.kind == r.kind && o.name == r.name && o.sameData(&r)
	})
}

// mayMulticast reports whether the last multicast of one of these answers on the interface is
// long enough ago, and notes this one: a second, or 250 ms if it defends a name against a probe
// (RFC 6762, 6).
func (p *publisher) mayMulticast(m *message, i iface, probe bool, now time.Time) bool {
	wait := time.Second
	if probe {
		wait = probeInterval
	}
	may := false
	for _, r := range m.answers {
		id := fmt.Sprint(i.index, r.kind, r.name)
		if now.Sub(p.sent[id]) >= wait {
			p.sent[id] = now
			may = true
		}
	}
	return may
}

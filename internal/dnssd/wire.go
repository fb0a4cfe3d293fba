package dnssd

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

// golang.org/x/net/dns/dnsmessage is not used here: it refuses names with a dot in a label, and
// instances are named by people: "Boiler v1.2".

// Types of records (RFC 1035, RFC 2782, RFC 3596).
const (
	typeA    uint16 = 1
	typePTR  uint16 = 12
	typeTXT  uint16 = 16
	typeAAAA uint16 = 28
	typeSRV  uint16 = 33
	typeANY  uint16 = 255
)

const (
	classIN = 1
	// topBit of a class asks for an answer by unicast in a question, and in a record of a response
	// says that it replaces all others (RFC 6762, 5.4 and 10.2).
	topBit = 1 << 15

	maxName    = 255 // bytes of a name on the wire
	maxLabel   = 63
	maxPacket  = 9000 // bytes (RFC 6762, 17)
	headerSize = 12
	response   = 1 << 15 // flag
	answers    = 1 << 10 // flag: authoritative
)

var errMessage = errors.New("dnssd: invalid message")

// message is a DNS message. Names are in presentation form without the final dot: a dot or
// backslash in a label has a backslash in front.
type message struct {
	id          uint16
	response    bool
	questions   []question
	answers     []record
	authorities []record
	additionals []record
}

type question struct {
	name    string
	kind    uint16
	unicast bool // an answer by unicast is welcome
}

// record is a resource record of class IN. Which fields after flush are set depends on kind.
type record struct {
	name  string
	kind  uint16
	ttl   uint32 // seconds
	flush bool

	target string // PTR, SRV
	port   uint16 // SRV
	text   []string
	addr   netip.Addr
}

// sameData reports whether two records of the same name and kind say the same.
func (r *record) sameData(o *record) bool {
	return strings.EqualFold(r.target, o.target) && r.port == o.port && r.addr == o.addr &&
		strings.Join(r.text, "\x00") == strings.Join(o.text, "\x00")
}

// parse reads a message. Records of other classes and types are left out.
func parse(b []byte) (*message, error) {
	if len(b) < headerSize {
		return nil, errMessage
	}
	flags := binary.BigEndian.Uint16(b[2:])
	if flags&0x780f != 0 { // opcode, response code: to be ignored (RFC 6762, 18.3 and 18.11)
		return nil, errMessage
	}
	m := &message{id: binary.BigEndian.Uint16(b), response: flags&response != 0}
	p := parser{b: b, pos: headerSize}
	for range binary.BigEndian.Uint16(b[4:]) {
		q := question{name: p.name(), kind: p.uint16()}
		class := p.uint16()
		if p.failed {
			return nil, errMessage
		}
		q.unicast = class&topBit != 0
		if class&^topBit == classIN || class&^topBit == uint16(typeANY) {
			m.questions = append(m.questions, q)
		}
	}
	for i, section := range []*[]record{&m.answers, &m.authorities, &m.additionals} {
		for range binary.BigEndian.Uint16(b[6+2*i:]) {
			r, ok := p.record()
			if p.failed {
				return nil, errMessage
			}
			if ok {
				*section = append(*section, r)
			}
		}
	}
	return m, nil
}

// parser reads from a message. After a failure it returns zero values.
type parser struct {
	b      []byte
	pos    int
	failed bool
}

func (p *parser) bytes(n int) []byte {
	if p.failed || len(p.b)-p.pos < n {
		p.failed = true
		return nil
	}
	p.pos += n
	return p.b[p.pos-n : p.pos]
}

func (p *parser) uint16() uint16 {
	if b := p.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// name reads a name, which may be compressed: a pointer leads to an earlier place.
func (p *parser) name() string {
	var name strings.Builder
	size, end := 1, -1
	for at := p.pos; ; {
		if p.failed || at >= len(p.b) {
			p.failed = true
			return ""
		}
		n := int(p.b[at])
		switch {
		case n == 0:
			if end < 0 {
				end = at + 1
			}
			p.pos = end
			return name.String()
		case n <= maxLabel && at+1+n <= len(p.b):
			if size += 1 + n; size > maxName {
				p.failed = true
				return ""
			}
			if name.Len() > 0 {
				name.WriteByte('.')
			}
			name.WriteString(escape(string(p.b[at+1 : at+1+n])))
			at += 1 + n
		case n >= 0xc0 && at+2 <= len(p.b):
			to := int(binary.BigEndian.Uint16(p.b[at:])) & 0x3fff
			if end < 0 {
				end = at + 2
			}
			if p.failed = to >= at; p.failed { // only backwards, so that it ends
				return ""
			}
			at = to
		default:
			p.failed = true
			return ""
		}
	}
}

// record reads a record. ok is false for a type or class that is not used here.
func (p *parser) record() (r record, ok bool) {
	r.name, r.kind = p.name(), p.uint16()
	class := p.uint16()
	if b := p.bytes(4); b != nil {
		r.ttl = binary.BigEndian.Uint32(b)
	}
	r.flush = class&topBit != 0
	n := int(p.uint16())
	start := p.pos
	data := p.bytes(n)
	if p.failed || class&^topBit != classIN {
		return r, false
	}
	d := parser{b: p.b[:start+n], pos: start} // names in it may point before it
	switch r.kind {
	case typeA, typeAAAA:
		r.addr, ok = netip.AddrFromSlice(data)
		ok = ok && r.addr.Is4() == (r.kind == typeA)
	case typePTR:
		r.target = d.name()
		ok = !d.failed
	case typeSRV:
		d.bytes(4) // priority and weight
		r.port = d.uint16()
		r.target = d.name()
		ok = !d.failed
	case typeTXT:
		for d.pos < len(d.b) {
			r.text = append(r.text, string(d.bytes(1+int(d.b[d.pos]))))
			if d.failed {
				return r, false
			}
			last := len(r.text) - 1
			r.text[last] = r.text[last][1:]
		}
		ok = true
	}
	return r, ok
}

var escaper = strings.NewReplacer(`\`, `\\`, `.`, `\.`)

// escape returns a label in presentation form.
func escape(label string) string { return escaper.Replace(label) }

// labels returns the labels of a name in presentation form.
func labels(name string) []string {
	var all []string
	var label strings.Builder
	for i := 0; i < len(name); i++ {
		switch {
		case name[i] == '\\' && i+1 < len(name):
			i++
			label.WriteByte(name[i])
		case name[i] == '.':
			all = append(all, label.String())
			label.Reset()
		default:
			label.WriteByte(name[i])
		}
	}
	return append(all, label.String())
}

// build returns the message as bytes, without compression.
func (m *message) build() []byte {
	flags := uint16(0)
	if m.response {
		flags = response | answers
	}
	b := binary.BigEndian.AppendUint16(nil, m.id)
	b = binary.BigEndian.AppendUint16(b, flags)
	for _, n := range []int{len(m.questions), len(m.answers), len(m.authorities), len(m.additionals)} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, q := range m.questions {
		b = appendName(b, q.name)
		b = binary.BigEndian.AppendUint16(b, q.kind)
		b = binary.BigEndian.AppendUint16(b, class(q.unicast))
	}
	for _, section := range [][]record{m.answers, m.authorities, m.additionals} {
		for _, r := range section {
			b = r.append(b)
		}
	}
	return b
}

func class(top bool) uint16 {
	if top {
		return classIN | topBit
	}
	return classIN
}

func appendName(b []byte, name string) []byte {
	if name != "" {
		for _, label := range labels(name) {
			b = append(b, byte(len(label)))
			b = append(b, label...)
		}
	}
	return append(b, 0)
}

func (r *record) append(b []byte) []byte {
	b = appendName(b, r.name)
	b = binary.BigEndian.AppendUint16(b, r.kind)
	b = binary.BigEndian.AppendUint16(b, class(r.flush))
	b = binary.BigEndian.AppendUint32(b, r.ttl)
	at := len(b)
	b = append(b, 0, 0)
	switch r.kind {
	case typeA, typeAAAA:
		b = append(b, r.addr.WithZone("").AsSlice()...)
	case typePTR:
		b = appendName(b, r.target)
	case typeSRV:
		b = binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 0), r.port)
		b = appendName(b, r.target)
	case typeTXT:
		for _, t := range r.text {
			b = append(append(b, byte(len(t))), t...)
		}
		if len(r.text) == 0 {
			b = append(b, 0) // RFC 6763, 6.1
		}
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// key returns the form of a name by which it is compared.
func key(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

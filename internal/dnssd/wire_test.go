package dnssd

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

var compare = cmp.Options{cmp.AllowUnexported(message{}, question{}, record{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}

// TestWire: what is built is parsed, with every kind of record and names that need escapes.
func TestWire(t *testing.T) {
	m := &message{
		id: 7, response: true,
		questions: []question{{name: "_zmtp._tcp.local", kind: typePTR}, {name: `Boiler v1\.2 \\ x._zmtp._tcp.local`, kind: typeANY, unicast: true}},
		answers: []record{
			{name: "_zmtp._tcp.local", kind: typePTR, ttl: 4500, target: `Boiler v1\.2 \\ x._zmtp._tcp.local`},
			{name: `Boiler v1\.2 \\ x._zmtp._tcp.local`, kind: typeSRV, ttl: 120, flush: true, target: "boiler.local", port: 5556},
		},
		authorities: []record{{name: "x.local", kind: typeTXT, text: []string{"a=1", "", "curve=x"}}},
		additionals: []record{
			{name: "boiler.local", kind: typeA, ttl: 120, addr: netip.MustParseAddr("192.0.2.1")},
			{name: "boiler.local", kind: typeAAAA, ttl: 120, addr: netip.MustParseAddr("2001:db8::1")},
		},
	}
	got, err := parse(m.build())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, compare); diff != "" {
		t.Error(diff)
	}
}

// TestParseCompressed: names of others are compressed, and a message ends where its names say.
func TestParseCompressed(t *testing.T) {
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{
		{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("_zmtp._tcp.local."), Class: dnsmessage.ClassINET, TTL: 9}, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("a._zmtp._tcp.local.")}},
		{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("a._zmtp._tcp.local."), Class: dnsmessage.ClassINET | 1<<15, TTL: 9}, Body: &dnsmessage.SRVResource{Port: 5, Target: dnsmessage.MustNewName("h.local.")}},
		{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("other.local."), Class: dnsmessage.ClassINET, TTL: 9}, Body: &dnsmessage.MXResource{MX: dnsmessage.MustNewName("h.local.")}},
		{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("h.local."), Class: dnsmessage.ClassCHAOS, TTL: 9}, Body: &dnsmessage.AResource{}},
		{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("h.local."), Class: dnsmessage.ClassINET, TTL: 9}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}},
	}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &message{response: true, answers: []record{
		{name: "_zmtp._tcp.local", kind: typePTR, ttl: 9, target: "a._zmtp._tcp.local"},
		{name: "a._zmtp._tcp.local", kind: typeSRV, ttl: 9, flush: true, target: "h.local", port: 5},
		{name: "h.local", kind: typeA, ttl: 9, addr: netip.MustParseAddr("192.0.2.1")},
	}}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
	for n := range len(b) {
		if _, err := parse(b[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a message", n, len(b))
		}
	}
	loop := append((&message{questions: []question{{name: "x", kind: 1}}}).build()[:headerSize], 0xc0, headerSize, 0, 1, 0, 1)
	if _, err := parse(loop); err == nil {
		t.Error("a name that points to itself is taken")
	}
}

// FuzzParse: the parser reads what dnsmessage writes, and what it reads can be built again.
func FuzzParse(f *testing.F) {
	m := &message{response: true, questions: []question{{name: "_zmtp._tcp.local", kind: typePTR}}, answers: []record{
		{name: "_zmtp._tcp.local", kind: typePTR, ttl: 4500, target: "a._zmtp._tcp.local"},
		{name: "a._zmtp._tcp.local", kind: typeSRV, ttl: 120, flush: true, target: "b.local", port: 5556},
		{name: "a._zmtp._tcp.local", kind: typeTXT, text: []string{"a=1"}},
		{name: "b.local", kind: typeA, addr: netip.MustParseAddr("192.0.2.1")},
	}}
	f.Add(m.build())
	f.Fuzz(func(t *testing.T, b []byte) {
		var other dnsmessage.Message
		if other.Unpack(b) == nil && other.OpCode == 0 && other.RCode == 0 {
			if packed, err := other.Pack(); err == nil {
				if _, err := parse(packed); err != nil {
					t.Fatalf("not parsed: %v", err)
				}
			}
		}
		got, err := parse(b)
		if err != nil {
			return
		}
		again, err := parse(got.build())
		if err != nil {
			t.Fatalf("built and not parsed: %v", err)
		}
		if diff := cmp.Diff(got.answers, again.answers, compare); diff != "" && len(got.build()) < 1<<16 {
			t.Error(diff)
		}
		p := newPublisher(Publication{Instance: "x", Host: "h", Port: 1, Services: []PublishedService{{Type: "_zws._tcp"}}})
		p.conflict(got, nil)
	})
}

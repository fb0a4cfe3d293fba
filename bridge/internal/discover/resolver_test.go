package discover

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

const zmtpName = "_zmtp._tcp.houses.lan."

// records answers each query with these, over UDP.
func records(t *testing.T, answers ...dnsmessage.Resource) func(dnsmessage.Message, bool) [][]byte {
	return func(q dnsmessage.Message, _ bool) [][]byte {
		m := reply(q)
		m.Answers = answers
		return [][]byte{pack(t, m)}
	}
}

func addresses(endpoints []Endpoint) []string {
	list := make([]string, len(endpoints))
	for i, e := range endpoints {
		list[i] = e.Address
	}
	return list
}

// TestLookup: what a server answers, and what becomes of it.
func TestLookup(t *testing.T) {
	many := make([]dnsmessage.Resource, 300)
	want := make([]string, len(many))
	for i := range many {
		many[i] = srvRecord(zmtpName, fmt.Sprintf("house-%03d.a-rather-long-name-of-a-domain.houses.lan.", i), 5556, 60)
		want[i] = fmt.Sprintf("tcp://house-%03d.a-rather-long-name-of-a-domain.houses.lan:5556", i)
	}
	soa := dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("houses.lan."), Class: dnsmessage.ClassINET, TTL: 900},
		Body:   &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("ns.houses.lan."), MBox: dnsmessage.MustNewName("root.houses.lan."), MinTTL: 7},
	}
	with := func(change func(*dnsmessage.Message)) func(dnsmessage.Message, bool) [][]byte {
		return func(q dnsmessage.Message, _ bool) [][]byte {
			m := reply(q)
			change(m)
			return [][]byte{pack(t, m)}
		}
	}
	a := srvRecord(zmtpName, "a.houses.lan.", 5556, 60)
	for _, c := range []struct {
		name    string
		answer  func(dnsmessage.Message, bool) [][]byte
		want    []string
		ttl     time.Duration
		skipped int
		err     string
	}{
		{name: "two", answer: records(t, srvRecord(zmtpName, "a.houses.lan.", 5556, 20), srvRecord(zmtpName, "b.houses.lan.", 5557, 12)),
			want: []string{"tcp://a.houses.lan:5556", "tcp://b.houses.lan:5557"}, ttl: 12 * time.Second},
		{name: "none", answer: records(t), want: []string{}, ttl: maxInterval},
		{name: "other names do not count", answer: records(t, a, srvRecord("_other._tcp.houses.lan.", "x.houses.lan.", 1, 1)), want: []string{"tcp://a.houses.lan:5556"}, ttl: maxInterval},
		{name: "no such name", answer: with(func(m *dnsmessage.Message) {
			m.RCode, m.Authorities = dnsmessage.RCodeNameError, []dnsmessage.Resource{soa}
		}), want: []string{}, ttl: 7 * time.Second},
		{name: "alias", answer: records(t, alias(zmtpName, "_zmtp._tcp.real.lan.", 9), srvRecord("_ZMTP._tcp.real.lan.", "a.real.lan.", 5556, 60)), want: []string{"tcp://a.real.lan:5556"}, ttl: 9 * time.Second},
		{name: "alias to a name that the server does not know by itself", answer: func(q dnsmessage.Message, _ bool) [][]byte {
			m := reply(q)
			if q.Questions[0].Name.String() == zmtpName {
				m.Answers = []dnsmessage.Resource{alias(zmtpName, "_zmtp._tcp.real.lan.", 9)}
			} else {
				m.Answers = []dnsmessage.Resource{srvRecord("_zmtp._tcp.real.lan.", "a.real.lan.", 5556, 60)}
			}
			return [][]byte{pack(t, m)}
		}, want: []string{"tcp://a.real.lan:5556"}, ttl: 9 * time.Second},
		{name: "alias to itself", answer: records(t, alias(zmtpName, zmtpName, 9)), want: []string{}, ttl: 9 * time.Second},
		{name: "endless aliases", answer: func(q dnsmessage.Message, _ bool) [][]byte {
			m := reply(q)
			m.Answers = []dnsmessage.Resource{alias(q.Questions[0].Name.String(), "x"+q.Questions[0].Name.String(), 9)}
			return [][]byte{pack(t, m)}
		}, err: "more than 8 aliases"},
		{name: "service that there is not", answer: records(t, srvRecord(zmtpName, ".", 0, 60)), want: []string{}, ttl: maxInterval, skipped: 1},
		{name: "targets that are not hosts", answer: records(t, a, srvRecord(zmtpName, "a b.lan.", 1, 60), srvRecord(zmtpName, "{user}.lan.", 1, 60), srvRecord(zmtpName, "x.lan.", 0, 60)),
			want: []string{"tcp://a.houses.lan:5556"}, ttl: maxInterval, skipped: 3},
		{name: "failure of the server", answer: with(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }), err: "the server answers ServerFailure"},
		{name: "refusal", answer: with(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused }), err: "the server answers Refused"},
		{name: "forged before the right one", answer: func(q dnsmessage.Message, _ bool) [][]byte {
			forged := srvRecord(zmtpName, "forged.lan.", 1, 60)
			wrongID, wrongName, wrongType, query, right := reply(q), reply(q), reply(q), reply(q), reply(q)
			wrongID.ID++
			wrongName.Questions = []dnsmessage.Question{question(dnsmessage.MustNewName("_x._tcp.houses.lan."))}
			wrongType.Questions = []dnsmessage.Question{{Name: q.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
			query.Response = false
			var sent [][]byte
			for _, m := range []*dnsmessage.Message{wrongID, wrongName, wrongType, query} {
				m.Answers = []dnsmessage.Resource{forged}
				sent = append(sent, pack(t, m))
			}
			right.Answers = []dnsmessage.Resource{a}
			return append(sent, []byte("no DNS"), pack(t, right))
		}, want: []string{"tcp://a.houses.lan:5556"}, ttl: maxInterval},
		{name: "only forged", answer: func(q dnsmessage.Message, _ bool) [][]byte {
			m := reply(q)
			m.ID++
			m.Answers = []dnsmessage.Resource{a}
			return [][]byte{pack(t, m)}
		}, err: "no answer in time"},
		{name: "truncated", answer: func(q dnsmessage.Message, tcp bool) [][]byte {
			m := reply(q)
			m.Answers = many
			if !tcp {
				m.Truncated, m.Answers = true, many[:3]
			}
			return [][]byte{pack(t, m)}
		}, want: want, ttl: maxInterval},
		{name: "truncated by TCP too", answer: with(func(m *dnsmessage.Message) { m.Truncated = true }), err: "truncated answer"},
		{name: "truncated, and nothing by TCP", answer: func(q dnsmessage.Message, tcp bool) [][]byte {
			if tcp {
				return nil
			}
			m := reply(q)
			m.Truncated = true
			return [][]byte{pack(t, m)}
		}, err: "EOF"},
		{name: "broken records", answer: func(q dnsmessage.Message, _ bool) [][]byte {
			m := reply(q)
			m.Answers = []dnsmessage.Resource{a}
			b := pack(t, m)
			return [][]byte{b[:len(b)-3]}
		}, err: "invalid answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := resolverFor(t, "options timeout:1 attempts:1", startDNS(t, c.answer))
			got, err := r.lookup(t.Context(), zmtpName)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, addresses(got.endpoints)); diff != "" {
				t.Error(diff)
			}
			if got.ttl != c.ttl || got.skipped != c.skipped {
				t.Errorf("ttl %v, %d skipped; want %v, %d", got.ttl, got.skipped, c.ttl, c.skipped)
			}
		})
	}
}

// TestLookupServers: a server that does not answer, or cannot, is not the last word.
func TestLookupServers(t *testing.T) {
	broken := startDNS(t, func(q dnsmessage.Message, _ bool) [][]byte {
		m := reply(q)
		m.RCode = dnsmessage.RCodeServerFailure
		return [][]byte{pack(t, m)}
	})
	good := startDNS(t, records(t, srvRecord(zmtpName, "a.houses.lan.", 5556, 60)))
	got, err := resolverFor(t, "options timeout:1 attempts:1", nil, broken, good).lookup(t.Context(), zmtpName)
	if err != nil || len(got.endpoints) != 1 {
		t.Errorf("got %v, %v; want what the third server has", got, err)
	}

	_, err = resolverFor(t, "options timeout:1 attempts:2", broken).lookup(t.Context(), zmtpName)
	if want := "DNS server 192.0.2.1:53: the server answers ServerFailure"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	if n := broken.asked(); n != 3 {
		t.Errorf("the broken server was asked %d times, want 1 and then 2", n)
	}

	if _, err = resolverFor(t, "").lookup(t.Context(), zmtpName); err == nil || !strings.Contains(err.Error(), "names no server") {
		t.Errorf("error %v, want one about resolv.conf", err)
	}
	if _, err = (&resolver{file: "/does/not/exist"}).lookup(t.Context(), zmtpName); err == nil {
		t.Error("no error without resolv.conf")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = resolverFor(t, "", nil).lookup(ctx, zmtpName); err == nil {
		t.Error("no error although the context is done")
	}
}

// TestResolvConf: as resolv.conf(5) has it.
func TestResolvConf(t *testing.T) {
	c := parseResolvConf(strings.NewReader(`# comment
domain lan
nameserver 192.0.2.1
nameserver fe80::1%eth0
nameserver not-an-address
nameserver
nameserver 2001:db8::1
nameserver 192.0.2.4
options rotate timeout:99 attempts:0
`))
	want := resolvConf{servers: []string{"192.0.2.1:53", "[fe80::1%eth0]:53", "[2001:db8::1]:53"}, timeout: 30 * time.Second, attempts: 1}
	if diff := cmp.Diff(&want, c, cmp.AllowUnexported(resolvConf{})); diff != "" {
		t.Error(diff)
	}
}

// FuzzParseAnswer: nothing that a server sends makes the parser fail otherwise than by an error,
// and what it returns can be connected to.
func FuzzParseAnswer(f *testing.F) {
	name := dnsmessage.MustNewName(zmtpName)
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{question(name)}}
	m := reply(q)
	m.Answers = []dnsmessage.Resource{alias(zmtpName, "b.lan.", 9), srvRecord("b.lan.", "a.lan.", 5556, 60), srvRecord(zmtpName, ".", 0, 1)}
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:20])
	f.Fuzz(func(t *testing.T, msg []byte) {
		a, err := parseAnswer(msg, 7, name)
		if err != nil {
			return
		}
		if a.ttl < 0 || a.ttl > maxInterval {
			t.Errorf("ttl %v", a.ttl)
		}
		for _, e := range a.endpoints {
			if !strings.HasPrefix(e.Address, "tcp://") || strings.ContainsAny(e.Address, " {}*") || len(e.Address) > 300 {
				t.Errorf("endpoint %q", e.Address)
			}
		}
	})
}

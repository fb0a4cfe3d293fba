package dnssd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seen collects what a browser reports.
type seen struct {
	mu      sync.Mutex
	reports [][]Service
}

func (s *seen) add(list []Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, list)
}

// last returns the newest report as text.
func (s *seen) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) == 0 {
		return "nothing reported"
	}
	var list []string
	for _, v := range s.reports[len(s.reports)-1] {
		list = append(list, fmt.Sprint(v.Instance, " ", v.Addr, " ", v.Text))
	}
	return strings.Join(list, ", ")
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reports)
}

// run runs f until the test of the bubble ends.
func run(t *testing.T, f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(stop)
	return stop
}

func startBrowse(t *testing.T, l link) *seen {
	s := new(seen)
	run(t, func(ctx context.Context) error { return browse(ctx, l, "_zmtp._tcp", s.add) })
	return s
}

func startPublish(t *testing.T, l link, instance, host string, port uint16, text ...string) (stop func()) {
	p := Publication{Instance: instance, Host: host, Port: port, Services: []PublishedService{{Type: "_zmtp._tcp", Text: text}}}
	return run(t, func(ctx context.Context) error { return publish(ctx, l, p, slog.New(slog.DiscardHandler)) })
}

func wantLast(t *testing.T, s *seen, want string) {
	t.Helper()
	synctest.Wait()
	if got := s.last(); got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
}

// TestBrowse: a service that is there, one that comes, one that says goodbye, and one that falls
// silent.
func TestBrowse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		first := startPublish(t, n.join("192.0.2.1"), "House v1.2", "house1", 5556, "curve=k", "x=1")
		time.Sleep(10 * time.Second)
		s := startBrowse(t, n.join("192.0.2.9"))
		time.Sleep(2 * time.Second)
		one := `House v1.2 192.0.2.1:5556 [curve=k x=1]`
		wantLast(t, s, one)

		second := n.join("192.0.2.2")
		startPublish(t, second, "Other", "house2", 5557)
		time.Sleep(2 * time.Second)
		both := one + ", Other 192.0.2.2:5557 []"
		wantLast(t, s, both)

		// Alive for hours, by the questions before records expire.
		time.Sleep(5 * time.Hour)
		wantLast(t, s, both)
		if c := s.count(); c != 2 {
			t.Errorf("%d reports, want 2", c)
		}

		first()
		time.Sleep(2 * time.Second)
		wantLast(t, s, "Other 192.0.2.2:5557 []")
		second.set(true, true)
		time.Sleep(hostTTL * time.Second)
		wantLast(t, s, "")
		second.set(false, false)
		time.Sleep(3 * time.Hour) // the pointer is asked for once an hour at least
		wantLast(t, s, "Other 192.0.2.2:5557 []")
	})
}

// TestBrowseNothing: an empty network is reported too, and asked with growing intervals.
func TestBrowseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		s := startBrowse(t, n.join("192.0.2.9"))
		time.Sleep(70 * time.Second)
		wantLast(t, s, "")
		// At 0, 1, 3, 7, 15, 31 and 63 s.
		if q := n.queries("_zmtp._tcp.local", typePTR); q != 7 {
			t.Errorf("%d questions in 70 s, want 7", q)
		}
	})
}

// TestBrowseAsks: a responder that sends records only when asked for them.
func TestBrowseAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		l := n.join("192.0.2.1")
		records := []record{
			{name: "_zmtp._tcp.local", kind: typePTR, ttl: 4500, target: "a._zmtp._tcp.local"},
			{name: "a._zmtp._tcp.local", kind: typeSRV, ttl: 120, flush: true, target: "h.local", port: 1},
			{name: "a._zmtp._tcp.local", kind: typeTXT, ttl: 4500, flush: true},
			{name: "h.local", kind: typeA, ttl: 120, flush: true, addr: netip.MustParseAddr("192.0.2.1")},
		}
		run(t, func(ctx context.Context) error {
			for {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case p := <-l.in:
					m, err := parse(p.data)
					if err != nil || m.response {
						continue
					}
					for _, q := range m.questions {
						for _, r := range records {
							if r.name == q.name && r.kind == q.kind {
								l.multicast(2, (&message{response: true, answers: []record{r}}).build())
							}
						}
					}
				}
			}
		})
		s := startBrowse(t, n.join("192.0.2.9"))
		time.Sleep(2 * time.Second)
		wantLast(t, s, "a 192.0.2.1:1 []")
	})
}

// announce multicasts a service with these addresses from a port.
func announce(l *fakeLink, from uint16, ttl uint32, addresses ...string) {
	m := &message{response: true, answers: []record{
		{name: "_zmtp._tcp.local", kind: typePTR, ttl: ttl, target: "a._zmtp._tcp.local"},
		{name: "a._zmtp._tcp.local", kind: typeSRV, ttl: ttl, flush: true, target: "h.local", port: 1},
		{name: "a._zmtp._tcp.local", kind: typeTXT, ttl: ttl, flush: true},
	}}
	for _, a := range addresses {
		r := record{name: "H.local", kind: typeA, ttl: ttl, flush: true, addr: netip.MustParseAddr(a)}
		if r.addr.Is6() {
			r.kind = typeAAAA
		}
		m.additionals = append(m.additionals, r)
	}
	l.transmit(m.build(), from, netip.Addr{})
}

// TestBrowseAddresses: which of several addresses is taken, and which do not count.
func TestBrowseAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		l := n.join("192.0.2.1")
		s := startBrowse(t, n.join("192.0.2.9"))
		time.Sleep(2 * time.Second)
		announce(l, 1234, 120, "192.0.2.66")
		wantLast(t, s, "") // not from port 5353
		announce(l, port, 120, "127.0.0.1", "::1", "0.0.0.0", "224.0.0.1")
		wantLast(t, s, "")
		announce(l, port, 120, "fe80::1", "169.254.0.7")
		wantLast(t, s, "a 169.254.0.7:1 []")
		announce(l, port, 120, "192.0.2.7", "2001:db8::1", "192.0.2.8")
		wantLast(t, s, "a 192.0.2.7:1 []") // a better one, although it still has the other
		announce(l, port, 120, "192.0.2.3", "192.0.2.7")
		wantLast(t, s, "a 192.0.2.7:1 []")
		time.Sleep(3 * time.Second)
		announce(l, port, 120, "192.0.2.3")
		time.Sleep(2 * time.Second) // the flush bit has taken the others away
		wantLast(t, s, "a 192.0.2.3:1 []")
		announce(l, port, 120, "fe80::1")
		wantLast(t, s, "a 192.0.2.3:1 []")
		announce(l, port, 0)
		time.Sleep(2 * time.Second)
		wantLast(t, s, "")
	})
}

// TestBrowseBounds: a network cannot make a browser keep more than some.
func TestBrowseBounds(t *testing.T) {
	now := time.Now()
	b := newBrowser("_zmtp._tcp.local", now)
	for i := range 2 * maxInstances {
		name := fmt.Sprintf("i%d._zmtp._tcp.local", i)
		m := &message{response: true, answers: []record{
			{name: "_zmtp._tcp.local", kind: typePTR, ttl: 4500, target: name},
			{name: "_other._tcp.local", kind: typePTR, ttl: 4500, target: "x" + name},
			{name: name, kind: typeSRV, ttl: 120, target: "h.local", port: 1},
			{name: name, kind: typeTXT, ttl: 120, text: []string{strings.Repeat("x", 255), strings.Repeat("y", min(255, i))}},
			{name: "h.local", kind: typeA, ttl: 120, addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})},
			{name: fmt.Sprintf("unwanted%d.local", i), kind: typeA, ttl: 120, addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})},
		}}
		b.handle(m, "eth0", false, now)
	}
	if len(b.instances) != maxInstances || len(b.hosts) != 1 || len(b.hosts["h.local"].addresses) != maxAddresses {
		t.Errorf("%d instances, %d hosts, %d addresses", len(b.instances), len(b.hosts), len(b.hosts["h.local"].addresses))
	}
	if got := len(b.services(now)); got != maxInstances {
		t.Errorf("%d services", got)
	}
	if size := len(b.query(now).build()); size > 1400 {
		t.Errorf("a query has %d bytes", size)
	}
}

// TestPublishConflict: of two machines that want a name one gets another, whoever comes first and
// also when both come at once.
func TestPublishConflict(t *testing.T) {
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprint("together ", together), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := new(network)
				startPublish(t, n.join("192.0.2.1"), "bridge", "host", 1)
				if !together {
					time.Sleep(5 * time.Second)
				}
				startPublish(t, n.join("192.0.2.2"), "bridge", "host", 2)
				s := startBrowse(t, n.join("192.0.2.9"))
				time.Sleep(20 * time.Second)
				synctest.Wait()
				got := s.last()
				for _, want := range []string{"bridge 192.0.2.", "bridge (2) 192.0.2.", "1:1 []", "2:2 []"} {
					if !strings.Contains(got, want) {
						t.Errorf("reported %q, want it to have %q", got, want)
					}
				}
				if strings.Contains(got, "(3)") {
					t.Errorf("reported %q", got)
				}
			})
		})
	}
}

// TestPublishAnswers: to whom and when a publisher answers.
func TestPublishAnswers(t *testing.T) {
	p := newPublisher(Publication{Instance: "b", Host: "h", Port: 8443, Services: []PublishedService{{Type: "_https._tcp", Text: []string{"path=/"}}, {Type: "_zws._tcp"}}})
	i := iface{index: 2, prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("fe80::1/64")}}
	peer, legacy := netip.MustParseAddrPort("192.0.2.9:5353"), netip.MustParseAddrPort("192.0.2.9:40000")
	start := time.Now()
	ask := func(q question, from netip.AddrPort, after time.Duration, known ...record) string {
		text := ""
		for _, r := range p.answer(&message{id: 9, questions: []question{q}, answers: known}, i, from, start.Add(after)) {
			text += fmt.Sprintf("to %v id %d %d+%d", r.to.IsValid(), r.message.id, len(r.message.answers), len(r.message.additionals))
			for _, a := range r.message.answers {
				text += fmt.Sprintf(" %s/%d", a.target, a.ttl)
			}
		}
		return text
	}
	ptr := question{name: "_https._tcp.LOCAL", kind: typePTR}
	for _, c := range []struct{ name, got, want string }{
		{"pointer", ask(ptr, peer, 0), "to false id 0 1+6 b._https._tcp.local/4500"},
		{"again at once", ask(ptr, peer, time.Second/2), ""},
		{"a second later", ask(ptr, peer, time.Second), "to false id 0 1+6 b._https._tcp.local/4500"},
		{"known", ask(ptr, peer, 5*time.Second, record{name: "_https._tcp.local", kind: typePTR, ttl: 3000, target: "b._https._tcp.local"}), ""},
		{"known, soon not any more", ask(ptr, peer, 5*time.Second, record{name: "_https._tcp.local", kind: typePTR, ttl: 2000, target: "b._https._tcp.local"}), "to false id 0 1+6 b._https._tcp.local/4500"},
		{"by unicast", ask(question{ptr.name, typePTR, true}, peer, 5*time.Second), "to true id 0 1+6 b._https._tcp.local/4500"},
		{"legacy", ask(ptr, legacy, 5*time.Second), "to true id 9 1+6 b._https._tcp.local/10"},
		{"service types", ask(question{name: enumeration, kind: typePTR}, peer, 9*time.Second), "to false id 0 2+6 _https._tcp.local/4500 _zws._tcp.local/4500"},
		{"instance", ask(question{name: "b._zws._tcp.local", kind: typeSRV}, peer, 9*time.Second), "to false id 0 1+5 h.local/120"},
		{"another", ask(question{name: "c._zws._tcp.local", kind: typeSRV}, peer, 9*time.Second), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
	p.p.Only = netip.MustParseAddr("198.51.100.1")
	if got := p.records(i); got != nil {
		t.Errorf("published where the address is not: %v", got)
	}
}

// TestNames: names that are too long for a suffix, and those that cannot be names.
func TestNames(t *testing.T) {
	p := newPublisher(Publication{Instance: strings.Repeat("x", 60) + "äö"[:3], Host: strings.Repeat("h", 63)})
	p.number, p.hosts = 12, 3
	if got := p.instance(); got != strings.Repeat("x", 58)+" (12)" {
		t.Errorf("%q", got)
	}
	if got := p.host(); got != strings.Repeat("h", 61)+"-3.local" {
		t.Errorf("%q", got)
	}
	got := []bool{}
	for _, name := range []string{"a", "", strings.Repeat("x", 64), "a\nb", "a\xff"} {
		got = append(got, CheckInstance(name) == nil)
	}
	for _, name := range []string{"_zmtp._tcp", "zmtp._tcp", "_zmtp", "_zmtp._udp", "_._tcp", "_a-very-long-name-x._tcp", "_a.b._tcp", "_a b._tcp"} {
		got = append(got, CheckType(name) == nil)
	}
	if diff := cmp.Diff([]bool{true, false, false, false, false, true, false, false, false, false, false, false, false}, got); diff != "" {
		t.Error(diff)
	}
}

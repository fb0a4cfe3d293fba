package accept

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// arrive has a connection from address enter the gate; nil if it is refused.
func arrive(g *Gate, address string) *Conn {
	c := &Conn{TCPConn: new(net.TCPConn), gate: g, peer: netip.MustParseAddr(address)}
	if !g.enter(c) {
		return nil
	}
	return c
}

// admit returns what Admit decides about a request on c.
func admit(c *Conn) Reason { return Admit(context.WithValue(context.Background(), connKey{}, c)) }

func (g *Gate) idling(c *Conn, idle bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setIdle(c, idle)
}

// TestLimits checks which connections are served when as many as possible come, and that a
// place is free again when one leaves.
func TestLimits(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, tt := range []struct {
		name      string
		limits    Limits
		addresses []string // the connections; the last one is beyond the limits
		want      Reason
	}{
		{"of an address", Limits{PerAddress: 2}, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"}, Address},
		{"of an IPv6 network", Limits{PerAddress: 2}, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8::3"}, Address},
		{"in all", Limits{Connections: 3, PerAddress: 2}, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"}, Connections},
		{"of proxies only in all", Limits{Connections: 4, PerAddress: 2, Proxies: proxies},
			[]string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"}, Connections},
		{"descriptors", Limits{Connections: 9, Descriptors: 2}, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, Descriptors},
		{"more descriptors than connections", Limits{Connections: 2, Descriptors: 9}, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, Connections},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, _ := newGate(tt.limits)
			first, last := tt.addresses[:len(tt.addresses)-1], tt.addresses[len(tt.addresses)-1]
			var served []*Conn
			for _, a := range first {
				c := arrive(g, a)
				if c == nil || admit(c) != "" {
					t.Fatalf("a connection from %s is not served", a)
				}
				served = append(served, c)
			}
			c := arrive(g, last)
			if c == nil {
				t.Fatal("the first connection beyond the limits is not told so")
			}
			if got := admit(c); got != tt.want {
				t.Errorf("beyond %q, want %q", got, tt.want)
			}
			served[0].Close()
			if got := admit(c); got != "" {
				t.Errorf("with a free place: beyond %q", got)
			}
			c.Close()
			c.Close() // gives nothing back twice
			for _, c := range served {
				c.Close()
			}
			if open, _ := g.Open(); open != 0 || len(g.networks) != 0 {
				t.Errorf("%d connections and %d networks are left", open, len(g.networks))
			}
		})
	}
}

// TestSpare checks that only a few connections are accepted to be told that there are too
// many, of each address too.
func TestSpare(t *testing.T) {
	g, r := newGate(Limits{Connections: 1})
	arrive(g, "192.0.2.1")
	told := map[int]int{}
	for host := range 10 {
		for range 10 {
			if arrive(g, fmt.Sprintf("192.0.2.%d", host)) != nil {
				told[host]++
			}
		}
	}
	want := map[int]int{0: maxSparePerAddress, 1: maxSparePerAddress, 2: maxSparePerAddress, 3: maxSparePerAddress}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("connections beyond the limits by address: %v, want %v", told, want)
	}
	if len(r.refused) != 100-maxSpare {
		t.Errorf("%d refused, want %d", len(r.refused), 100-maxSpare)
	}
}

// TestIdle checks that connections that wait for a request give way to new ones, the oldest
// first, and that others do not.
func TestIdle(t *testing.T) {
	g, _ := newGate(Limits{Connections: 4, PerAddress: 3})
	a1, a2, b := arrive(g, "192.0.2.1"), arrive(g, "192.0.2.1"), arrive(g, "192.0.2.2")
	for _, c := range []*Conn{b, a1, a2, a1} { // a1 is active again in between
		g.idling(c, false)
		g.idling(c, true)
	}
	arrive(g, "192.0.2.1")
	gone := func(want ...bool) {
		t.Helper()
		if got := []bool{a1.place == gone, a2.place == gone, b.place == gone}; !slices.Equal(got, want) {
			t.Errorf("closed: %v, want %v", got, want)
		}
	}
	gone(false, false, false)
	arrive(g, "192.0.2.1") // the fourth of its address
	gone(false, true, false)
	arrive(g, "192.0.2.3") // the fifth in all
	gone(false, true, true)
	g.idling(a1, false)
	if c := arrive(g, "192.0.2.1"); admit(c) != Address {
		t.Error("a connection with a request gave way")
	}
	gone(false, true, true)
}

// TestFair checks that an address with many connections keeps no other out: it gives way
// until others have as many, the oldest first, but not with connections that are logged in.
func TestFair(t *testing.T) {
	g, r := newGate(Limits{Connections: 6})
	keep := func(c *Conn) { Keep(context.WithValue(context.Background(), connKey{}, c)) }
	var crowd []*Conn
	for range 6 {
		crowd = append(crowd, arrive(g, "192.0.2.1"))
	}
	keep(crowd[1])
	if c := arrive(g, "192.0.2.1"); admit(c) != Connections {
		t.Error("an address gave way to itself")
	} else {
		c.Close()
	}
	for i, want := range []Reason{"", "", Connections} {
		if c := arrive(g, "192.0.2.2"); admit(c) != want {
			t.Errorf("connection %d of another address is not as wanted, %q", i, want)
		}
	}
	var left []int
	for i, c := range crowd {
		if c.place == within {
			left = append(left, i)
		}
	}
	if !slices.Equal(left, []int{1, 3, 4, 5}) {
		t.Errorf("connections %v are left, want all but the oldest without a login", left)
	}
	if want := "[connections connections connections connections]"; fmt.Sprint(r.refused) != want {
		t.Errorf("counted %v, want %s", r.refused, want)
	}
}

// TestRename checks that a connection counts for the address in its PROXY header.
func TestRename(t *testing.T) {
	g, _ := newGate(Limits{PerAddress: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}})
	client := netip.MustParseAddr("192.0.2.1")
	first := arrive(g, "10.0.0.1")
	if !g.rename(first, client) || admit(first) != "" {
		t.Error("the first connection of a client is not served")
	}
	for i := range maxSparePerAddress + 1 {
		c := arrive(g, "10.0.0.1")
		if got := g.rename(c, client); got != (i < maxSparePerAddress) {
			t.Errorf("connection %d beyond the limit: %v", i, got)
		} else if got && admit(c) != Address {
			t.Errorf("connection %d is served", i)
		}
		if i == maxSparePerAddress {
			c.Close()
		}
	}
	if other := arrive(g, "10.0.0.1"); !g.rename(other, netip.MustParseAddr("192.0.2.2")) || admit(other) != "" {
		t.Error("another client is not served")
	}
	first.Close()
	if g.rename(first, client) {
		t.Error("a closed connection counts")
	}
}

// failing is a listener without descriptors.
type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) { return nil, f.err }

// TestNoDescriptors checks that a connection that cannot be accepted is counted, and logged at
// most once in an interval, with how many there were.
func TestNoDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := newGate(Limits{})
		r.repeats.SetInterval(time.Minute)
		cause := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		l := g.Listener(failing{err: cause})
		for range 5 {
			if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		g.Listener(failing{err: net.ErrClosed}).Accept()
		lines := r.lines()
		if r.failed != 5 || len(lines) != 2 || strings.Contains(lines[0], "suppressed") || !strings.Contains(lines[1], "suppressed=3") {
			t.Errorf("%d counted, want 5; log:\n%s", r.failed, strings.Join(lines, "\n"))
		}
	})
}

func TestCapacity(t *testing.T) {
	for _, tt := range []struct{ limit, cost, fixed, want int }{
		{0, 2, 10, 0},
		{256, 1, 0, 192},
		{256, 2, 2, 95},
		{64, 1, 0, 32},
		{16, 9, 20, 1},
		{1 << 20, 2, 0, 7 << 16},
	} {
		if got := capacity(tt.limit, tt.cost, tt.fixed); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

package accept

import (
	"container/list"
	"net/netip"
)

// This file decides who has a place. Nothing in it blocks, and all of it needs the gate's lock.

// place puts c within the limits. Without room it takes that of idle connections, or in all
// that of the address that has the most without a login; the caller closes them. If that does
// not do, it returns the limit that c is beyond. Lock held on entry.
func (g *Gate) place(c *Conn) (reason Reason, evicted []*Conn) {
	for {
		reason = g.lacks(c.network)
		if reason == "" {
			g.put(c, within)
			g.setGuest(c, true)
			return "", evicted
		}
		victim := g.oldestIdle(c.network, reason == Address)
		if victim == nil && reason != Address {
			if victim = g.crowding(c.network); victim != nil {
				victim.crowded = reason
			}
		}
		if victim == nil {
			return reason, evicted
		}
		g.remove(victim)
		evicted = append(evicted, victim)
	}
}

// lacks returns the limit that one more connection of an address would be beyond. Lock held on
// entry.
func (g *Gate) lacks(a netip.Addr) Reason {
	l := &g.limits
	switch n := g.networks[a]; {
	case n != nil && l.PerAddress > 0 && n.within >= l.PerAddress:
		return Address
	case l.Descriptors > 0 && g.within >= l.Descriptors:
		return Descriptors
	case l.Connections > 0 && g.within >= l.Connections:
		return Connections
	}
	return ""
}

// oldestIdle returns the connection that waits longest for a request, of any address or of
// one. Lock held on entry.
func (g *Gate) oldestIdle(a netip.Addr, same bool) *Conn {
	if n := g.networks[a]; same && (n == nil || n.idle == 0) {
		return nil
	}
	for e := g.idle.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); !same || c.network == a {
			return c
		}
	}
	return nil
}

// crowding returns the oldest connection without a login of the address that has the most of
// them; nil unless that address would still have as many as a after one more. So one address
// cannot keep others out, however often it connects. Lock held on entry.
func (g *Gate) crowding(a netip.Addr) *Conn {
	var most netip.Addr
	n := 1
	if own := g.networks[a]; own != nil {
		n += own.guests
	}
	for other, has := range g.networks {
		if has.guests > n {
			most, n = other, has.guests
		}
	}
	if !most.IsValid() {
		return nil
	}
	for e := g.guests.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); c.network == most {
			return c
		}
	}
	return nil
}

// placeBeyond puts c beyond the limits, to be told so. It reports false if there are too many
// already. Lock held on entry.
func (g *Gate) placeBeyond(c *Conn) bool {
	n := g.networks[c.network]
	if g.spare >= maxSpare || n != nil && n.spare >= maxSparePerAddress {
		return false
	}
	g.put(c, beyond)
	return true
}

// put counts c at a place. Lock held on entry.
func (g *Gate) put(c *Conn, p place) {
	c.place = p
	n := g.networks[c.network]
	if n == nil && c.network.IsValid() {
		n = new(network)
		g.networks[c.network] = n
	}
	g.count(n, p, 1)
}

// remove forgets c. Lock held on entry.
func (g *Gate) remove(c *Conn) {
	g.setGuest(c, false)
	n := g.networks[c.network]
	g.count(n, c.place, -1)
	c.place = gone
	if n != nil && *n == (network{}) {
		delete(g.networks, c.network)
	}
}

// count adds d to the connections at a place. n is nil for those of proxies.
func (g *Gate) count(n *network, p place, d int) {
	var unknown network
	if n == nil {
		n = &unknown
	}
	switch p {
	case within:
		g.within += d
		n.within += d
	case beyond:
		g.spare += d
		n.spare += d
	}
}

// setGuest keeps the list of connections without a login. Lock held on entry.
func (g *Gate) setGuest(c *Conn, guest bool) {
	if !guest {
		g.setIdle(c, false)
	}
	d := g.guests.set(&c.guest, c, guest)
	if n := g.networks[c.network]; n != nil {
		n.guests += d
	}
}

// setIdle keeps the list of connections that wait for a request. Lock held on entry.
func (g *Gate) setIdle(c *Conn, idle bool) {
	d := g.idle.set(&c.idle, c, idle && c.guest != nil)
	if n := g.networks[c.network]; n != nil {
		n.idle += d
	}
}

// conns is a list of connections, oldest first.
type conns struct{ list.List }

// set adds c to the list, removes it, or does nothing, so that it is there or not. at is where
// c keeps its element. It returns by how many the list has grown.
func (l *conns) set(at **list.Element, c *Conn, there bool) int {
	switch {
	case there && *at == nil:
		*at = l.PushBack(c)
		return 1
	case !there && *at != nil:
		l.Remove(*at)
		*at = nil
		return -1
	}
	return 0
}

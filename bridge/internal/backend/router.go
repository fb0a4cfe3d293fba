package backend

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// router is a ROUTER socket (28/REQREP).
type router struct {
	none
	byID map[string]*peer
	next uint32 // of the routing ids that we make
}

func newRouter(c *core) *router {
	return &router{none{c}, make(map[string]*peer), rand.Uint32()}
}

// joined gives p its routing id: its own Identity, or 00 and four octets as libzmq makes
// them. An Identity that begins with 00 or is in use counts as none.
func (s *router) joined(p *peer) {
	id := p.conn.Peer().Metadata.Get("Identity")
	if id == "" || id[0] == 0 || s.byID[id] != nil {
		id = s.make()
	}
	p.id = id
	s.byID[id] = p
}

func (s *router) make() string {
	for {
		id := string(binary.BigEndian.AppendUint32([]byte{0}, s.next))
		s.next++
		if s.byID[id] == nil {
			return id
		}
	}
}

func (s *router) left(p *peer) { delete(s.byID, p.id) }

// send takes the first frame for the routing id and drops what cannot go there.
func (s *router) send(x *session, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		if len(m) < 2 {
			return i, ErrEnvelope
		}
		p := s.byID[string(m[0])]
		switch {
		case p == nil:
			s.core.drop(Unroutable)
		case p.full():
			s.core.drop(Overflow)
		default:
			p.last = x
			p.push(item{m: m[1:], x: x})
		}
	}
	return len(msgs), nil
}

// receive puts p's routing id in front. The message goes to the session that last
// addressed p, or else to the one that is attached longest.
func (s *router) receive(p *peer, m zmtp.Message) error {
	c := s.core
	c.mu.Lock()
	x := p.last
	if x == nil && len(c.sessions) > 0 {
		x = c.sessions[0]
	}
	if x == nil {
		c.drop(Unroutable)
	}
	c.mu.Unlock()
	if x != nil {
		p.prefix = append(append(p.prefix[:0], []byte(p.id)), m...)
		p.deliver(x, p.prefix)
	}
	return nil
}

func (s *router) detached(x *session) {
	for _, p := range s.core.peers {
		if p.last == x {
			p.last = nil
		}
	}
}

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
	next uint32 // for the next generated routing id
}

func newRouter(c *core) *router {
	return &router{none{c}, make(map[string]*peer), rand.Uint32()}
}

// joined assigns p its routing id: its own Identity, or 00 and four bytes as libzmq generates
// them. An Identity that begins with 00 or is in use is ignored.
func (s *router) joined(p *peer) {
	id := p.conn.Peer().Metadata.Get("Identity")
	if id == "" || id[0] == 0 || s.byID[id] != nil {
		id = s.generate()
	}
	p.id = id
	s.byID[id] = p
}

// generate returns a routing id that is not in use.
func (s *router) generate() string {
	for {
		id := string(binary.BigEndian.AppendUint32([]byte{0}, s.next))
		s.next++
		if s.byID[id] == nil {
			return id
		}
	}
}

func (s *router) left(p *peer) { delete(s.byID, p.id) }

// send sends to the peer whose routing id is the first frame. It drops what has no such peer
// or finds it full.
func (s *router) send(st *stream, msgs []zmtp.Message) (int, error) {
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
			p.last = st
			p.push(item{m: m[1:], st: st})
		}
	}
	return len(msgs), nil
}

// receive puts p's routing id before m. The message goes to the stream that sent to p last, or
// else to the one that has been attached longest.
func (s *router) receive(p *peer, m zmtp.Message) error {
	c := s.core
	c.mu.Lock()
	st := p.last
	if st == nil && len(c.streams) > 0 {
		st = c.streams[0]
	}
	if st == nil {
		c.drop(Unroutable)
	}
	c.mu.Unlock()
	if st != nil {
		p.prefixed = append(append(p.prefixed[:0], []byte(p.id)), m...)
		p.deliver(st, p.prefixed)
	}
	return nil
}

func (s *router) detached(st *stream) {
	for _, p := range s.core.peers {
		if p.last == st {
			p.last = nil
		}
	}
}

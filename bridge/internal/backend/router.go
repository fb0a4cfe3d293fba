package backend

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// router is a ROUTER socket (28/REQREP). Several streams share a peer in turns, or with
// envelopes at the same time.
type router struct {
	none
	shared      bool
	envelope    bool          // ListenOptions.Envelope
	turnTimeout time.Duration // ListenOptions.TurnTimeout
	byID        map[string]*peer
	next        uint32 // for the next generated routing id
}

func newRouter(c *core, shared bool) *router {
	return &router{none: none{c}, shared: shared, turnTimeout: DefaultConnectTimeout, byID: make(map[string]*peer), next: rand.Uint32()}
}

// blocked implements pattern: a peer that takes its routing id over from another connection
// waits until that one is closed.
func (s *router) blocked(p *peer) bool {
	holder := s.byID[claimedID(p.conn.Peer())]
	if holder == nil || !takesOver(p, holder) {
		return false
	}
	_ = holder.conn.Close()
	return true
}

// takesOver reports whether p gets the routing id that it claims although holder has it: the
// user has come back, or a user claims what a peer without one has.
func takesOver(p, holder *peer) bool {
	user := p.status.User
	return user != "" && (holder.status.User == user || holder.status.User == "")
}

// joined assigns p its routing id: its own Identity, or 00 and four bytes as libzmq generates
// them. An Identity that begins with 00 or is in use is ignored.
func (s *router) joined(p *peer) {
	id := claimedID(p.conn.Peer())
	if id == "" || s.byID[id] != nil {
		id = s.generate()
	}
	p.id = id
	s.byID[id] = p
	if s.shared && !s.envelope {
		p.turns = newTurns(p, s.turnTimeout)
	}
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

// left drops what p can get no more.
func (s *router) left(p *peer) {
	delete(s.byID, p.id)
	unsent := len(p.queue)
	if p.turns != nil {
		unsent += p.turns.stop()
	}
	for range unsent {
		s.core.drop(Unroutable)
	}
	p.queue = nil
}

// send sends to the peer whose routing id is the first frame. It drops what has no such peer
// or finds it full.
func (s *router) send(st *stream, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		if IsProbe(m) {
			s.core.drop(Unasked)
			continue
		}
		if len(m) < 2 {
			return i, ErrEnvelope
		}
		p := s.byID[string(m[0])]
		switch {
		case p == nil || p.draining.Load():
			s.core.drop(Unroutable)
		case p.turns != nil:
			if !p.turns.offer(st, m[1:]) {
				s.core.drop(Overflow)
			}
		case p.full():
			s.core.drop(Overflow)
		case s.envelope:
			m = withEnvelope(m[1:])
			m[0] = s.core.envelope(st, p)
			p.push(item{m: m, st: st})
		default:
			p.push(item{m: m[1:], st: st})
		}
	}
	return len(msgs), nil
}

// receive puts p's routing id before m. An answer goes to the stream that has asked, and what
// is not an answer to all streams that may send to p.
func (s *router) receive(p *peer, m zmtp.Message) error {
	st, m, why := s.addressee(p, m)
	if !p.mayPublish(m) { // as an answer it still counts
		return nil
	}
	p.prefixed = append(append(p.prefixed[:0], []byte(p.id)), m...)
	switch {
	case why == unasked:
		s.core.broadcast(p, p.prefixed)
	case st == nil || !p.deliver(st, p.prefixed):
		s.core.unroutable()
	}
	return nil
}

// origin is why a peer sends a message.
type origin int

const (
	reply origin = iota
	unasked
)

// addressee returns the stream that m is an answer to, nil if it has left, and m without its
// envelope. An empty message that a peer begins with is a probe and answers nothing.
func (s *router) addressee(p *peer, m zmtp.Message) (*stream, zmtp.Message, origin) {
	c := s.core
	if !s.shared {
		return c.only.Load(), m, reply
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.turns != nil {
		if !p.heard && IsProbe(m) {
			return nil, m, unasked
		}
		st, ok := p.turns.answer()
		if !ok {
			return nil, m, unasked
		}
		return st, m, reply
	}
	if st := p.asker(m); st != nil {
		return st, m[1:], reply
	}
	if isEnvelope(m[0]) {
		return nil, m[1:], reply
	}
	return nil, m, unasked
}

// roomy gives p what waits for room in the present turn.
func (s *router) roomy(p *peer) {
	if p.turns != nil {
		p.turns.written()
	}
}

// detached ends what st has at the peers, except for the messages that it has sent.
func (s *router) detached(st *stream) {
	for _, p := range s.core.peers {
		if p.turns != nil {
			p.turns.depart(st)
		}
	}
}

// pending returns how many messages wait for a turn.
func (s *router) pending() int {
	n := 0
	for _, p := range s.core.peers {
		if p.turns != nil {
			n += p.turns.waiting
		}
	}
	return n
}

func (s *router) waiting() int { return s.pending() }

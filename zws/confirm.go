package zws

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// pings are the WebSocket pings of a connection: those of liveness, and those that ask whether
// the client has got a batch (Batch.Confirm). writer.mu guards them. They are counted in the
// order in which they are written, and each pong answers the oldest: libzmq's pongs are empty.
//
// A client may answer only the newest of several pings (RFC 6455, section 5.5.3), after which
// the count would lag behind for good. So the pings of Confirm carry a number, whose echo
// answers all pings before it as well, and as a rule none is sent while another is unanswered.
type pings struct {
	unanswered uint32
	due        bool // one of liveness is to be written
	stale      bool // one was unanswered when the next was due, and so were all since
	waiting    bool // next is to be asked about
	bare       bool // pings carry no number

	// asked is the place of the ping of Confirm among the unanswered, from 1; 0 if there is none.
	asked  uint32
	number uint32 // of the last one of Confirm
	token  uint64 // that it asks about
	next   uint64
}

// tick makes a ping of liveness due.
func (p *pings) tick() {
	p.stale = p.unanswered > 0
	p.due = true
}

// append appends the pings that can be written now.
func (p *pings) append(dst []byte) []byte {
	if p.due {
		p.due = false
		p.unanswered++
		dst = wsframe.AppendControl(dst, wsframe.Ping, nil)
	}
	if !p.waiting || p.asked > 0 || p.unanswered > 0 && !p.stale {
		return dst
	}
	p.waiting, p.token = false, p.next
	p.unanswered++
	p.asked = p.unanswered
	p.number++
	return wsframe.AppendControl(dst, wsframe.Ping, p.payload())
}

// payload is that of the last ping of Confirm.
func (p *pings) payload() []byte {
	if p.bare {
		return nil
	}
	return binary.BigEndian.AppendUint32(nil, p.number)
}

// answer counts a pong. confirmed is set if it answers the ping that asks about token.
func (p *pings) answer(payload string) (token uint64, confirmed bool) {
	n := uint32(1)
	if payload != "" {
		if p.asked == 0 || payload != string(p.payload()) {
			return 0, false // unsolicited, or for a ping that counts as answered
		}
		n = p.asked
	}
	if n > p.unanswered {
		return 0, false
	}
	p.unanswered -= n
	p.stale = false
	if p.asked == 0 {
		return 0, false
	}
	p.asked -= n
	return p.token, p.asked == 0
}

// answered records a pong. The reader calls it.
func (c *Conn) answered(payload string) {
	w := &c.out
	w.mu.Lock()
	token, confirmed := w.pings.answer(payload)
	again := w.pings.waiting
	w.mu.Unlock()
	if confirmed {
		if f := c.confirmed.Load(); f != nil && *f != nil {
			(*f)(token)
		}
	}
	if again {
		w.wake()
	}
}

// Confirm appends a ping after what the batch contains by now. When the client has answered it,
// AcceptOptions.Confirmed is called with token: the client then has all of that, too. At most
// one ping is unanswered at a time, including those of Options.PingInterval, unless a client
// leaves one unanswered for a whole interval. If one is on its way the newest token waits, and
// is asked about once that is answered; older ones that wait are forgotten, so tokens should
// increase. It also works without pings (PingInterval). On a channel of ZWSMUX1.0 it does
// nothing, because its clients acknowledge by themselves.
func (b *Batch) Confirm(token uint64) {
	if b.channel != nil {
		return
	}
	w := &b.conn.out
	w.mu.Lock()
	w.pings.waiting, w.pings.next = true, token
	b.pings(&w.pings)
	w.mu.Unlock()
}

// pings appends the pings that can be written now. writer.mu held on entry.
func (b *Batch) pings(p *pings) {
	b.endShared()
	start := len(b.own)
	b.own = p.append(b.own)
	b.size += len(b.own) - start
}

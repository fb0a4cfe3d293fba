package zws

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// lostInterval is how often a client without credit is told of lost messages at most.
const lostInterval = 100 * time.Millisecond

// muxChannel is a Channel of ZWSMUX1.0. Most methods of Channel are done by those of the same
// purpose here.
type muxChannel struct {
	Channel
	parent  *mux
	number  uint32
	request ChannelRequest

	life lifetime // of the channel alone; see cause

	reader shift // of Serve

	// Guarded by parent.mu.
	arrived   chan struct{} // closed when the reader has something to look at; nil if nobody waits
	gone      bool          // closed by either side
	taken     bool          // the reader has taken something and not come back yet
	released  bool          // closed or rejected by the caller
	active    bool          // in parent.active
	woken     bool          // Flush leaves it to another goroutine
	follower  *muxChannel   // in parent.active
	inbox     []byte        // messages of the client, encoded, so that their cost is their size
	requests  muxRequests
	departing *departure
	allowance int64 // what the client may still send; one message may take it below zero
	consumed  int64 // what was read since the client last got credit
	source    Source
	credit    int64 // what the server may still send; one message may take it below zero
	granted   int64 // credit that the client has given since it opened the channel
	lost      uint64
	toldLost  bool // of lost messages within lostInterval, without credit

	// Only the writer uses these.
	budget int64    // credit during a turn
	rest   [][]byte // what the source gave and there was no credit for
}

func newMuxChannel(m *mux, f *muxframe.Frame) *muxChannel {
	ch := &muxChannel{parent: m, number: f.Channel, credit: int64(f.Number)}
	ch.Channel.conn, ch.Channel.mux = m.conn, ch
	ch.request = ChannelRequest(f.Open)
	ch.request.RoutingID = bytes.Clone(f.Open.RoutingID) // f aliases a pooled buffer
	ch.request.Subscribe = nil
	for _, topic := range f.Open.Subscribe {
		ch.request.Subscribe = append(ch.request.Subscribe, bytes.Clone(topic))
	}
	ch.readFirst(f.Open.Subscribe)
	return ch
}

// opened tells the client that its channel is open, by a frame to which channel and credit
// are added. It returns false if the channel has ended.
func (ch *muxChannel) opened(f muxframe.Frame) bool {
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch.gone || ch.over() {
		return false
	}
	ch.allowance, ch.requests.open = muxWindow, true
	f.Channel, f.Number = ch.number, muxWindow
	m.send(f)
	return true
}

// release ends the caller's part in the channel, which then no longer counts as held.
func (ch *muxChannel) release() {
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ch.released {
		ch.released = true
		m.held--
	}
}

// check checks messages that the client has sent.
func (ch *muxChannel) check(p []byte) error {
	if ch.request.Relay != "" {
		o := ch.parent.options
		return checkRelayed(p, relayLimit(o.maxMessage, o.maxHandshake))
	}
	return muxError(muxframe.CheckMessages(p, ch.conn.checkSize))
}

// receive queues messages that the client has sent, for which it needs credit. They are the
// end of raw.
func (ch *muxChannel) receive(p []byte, raw pooled) error {
	m := ch.parent
	if err := ch.check(p); err != nil {
		return err
	}
	m.mu.Lock()
	for rest := p; len(rest) > 0; {
		if ch.allowance <= 0 {
			m.mu.Unlock()
			return protocolError(fmt.Sprintf("channel %d: a message without credit", ch.number))
		}
		n := muxframe.Size(rest)
		ch.allowance -= int64(n)
		rest = rest[n:]
	}
	switch {
	case ch.gone:
	case len(ch.inbox) == 0:
		ch.inbox = raw.keep(p)
	default:
		ch.inbox = append(ch.inbox, p...)
	}
	ch.arrive()
	m.mu.Unlock()
	return nil
}

// take takes a message out of the inbox, or a request that is due before it, and gives the
// client credit for earlier messages: in large amounts, so that a small message does not cost an
// answer. It returns nil for both if nothing waits.
func (ch *muxChannel) take() (zmtp.Message, *HistoryRequest) {
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch.consumed >= muxWindow/2 && !ch.gone {
		ch.allowance += ch.consumed
		m.send(muxframe.Frame{Op: muxframe.Credit, Channel: ch.number, Number: uint64(ch.consumed)})
		ch.consumed = 0
	}
	r := ch.requests.take()
	if ch.taken = r != nil || len(ch.inbox) > 0; !ch.taken {
		ch.inbox = nil // an idle channel keeps no buffer
		ch.departed()
		return nil, nil
	}
	if r != nil {
		return nil, r
	}
	n := muxframe.Size(ch.inbox)
	var message zmtp.Message
	message, ch.inbox = takeMessage(ch.inbox, n)
	ch.consumed += int64(n)
	ch.requests.list.passed(n)
	return message, nil
}

// takeMessage takes the first message, of n bytes, out of an inbox. A large one that is all
// of the inbox is not copied.
func takeMessage(inbox []byte, n int) (m zmtp.Message, rest []byte) {
	if n == len(inbox) && n > keptScratch {
		return muxframe.Split(inbox), nil
	}
	return muxframe.Decode(inbox[:n]), inbox[n:]
}

func (ch *muxChannel) buffered() bool {
	ch.parent.mu.Lock()
	defer ch.parent.mu.Unlock()
	return ch.first != nil || len(ch.inbox) > 0
}

// addCredit adds to what the server may send.
func (ch *muxChannel) addCredit(size uint64) error {
	ch.parent.mu.Lock()
	defer ch.parent.mu.Unlock()
	if ch.credit+int64(size) > muxframe.MaxCredit {
		return tooMuchCredit(ch.number)
	}
	if ch.credit <= 0 { // else the source has not been stopped
		ch.activateWoken()
		ch.conn.out.wake()
	}
	ch.credit += int64(size)
	ch.granted += int64(size)
	return nil
}

func tooMuchCredit(channel uint32) error {
	return protocolError(fmt.Sprintf("channel %d: more than %d bytes of credit", channel, muxframe.MaxCredit))
}

// close closes the channel for a reason that the client is told.
func (ch *muxChannel) close(err error) {
	cause := Cause(err)
	if ch.end(cause) {
		ch.parent.send(closing(ch.number, cause))
	}
}

// closed ends the channel because the client has closed it.
func (ch *muxChannel) closed(code Code, reason string) {
	ch.parent.mu.Lock()
	defer ch.parent.mu.Unlock()
	ch.depart(&CloseError{Code: code, Reason: reason, Err: ErrPeerClosed})
}

// end ends the channel at once and reports whether it was open until now.
func (ch *muxChannel) end(cause *CloseError) (open bool) {
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	open = !ch.gone
	ch.gone, ch.inbox, ch.requests = true, nil, muxRequests{}
	m.remove(ch)
	ch.life.end(cmp.Or(ch.conn.Cause(), cause)) // keeps the first
	ch.departed()
	ch.arrive()
	return open
}

// cause returns why the channel has ended, by itself or with the connection; nil if it has not.
func (ch *muxChannel) cause() *CloseError {
	if cause := ch.life.cause.Load(); cause != nil {
		return cause
	}
	return ch.conn.Cause()
}

func (ch *muxChannel) over() bool { return ch.cause() != nil }

func (ch *muxChannel) attach(source Source) {
	ch.parent.mu.Lock()
	ch.source = source
	ch.parent.mu.Unlock()
	ch.wake()
}

func (ch *muxChannel) addLost(n uint64) {
	ch.parent.mu.Lock()
	ch.lost += n
	ch.parent.mu.Unlock()
	ch.wake()
}

// takeLost returns how many lost messages the client is told of now. A client that gives no credit
// is told at most once in lostInterval: a flood would cost it a WebSocket message for every few that
// were dropped, and it would give credit later still. Lock held on entry.
func (ch *muxChannel) takeLost() uint64 {
	if ch.lost == 0 || ch.credit <= 0 && ch.toldLost {
		return 0
	}
	if ch.credit <= 0 {
		ch.toldLost = true
		time.AfterFunc(lostInterval, func() {
			ch.parent.mu.Lock()
			ch.toldLost = false
			ch.parent.mu.Unlock()
			ch.wake()
		})
	}
	lost := ch.lost
	ch.lost = 0
	return lost
}

// fill is the channel's turn in a batch. It reports whether it appended anything. Lock held on entry, and
// released meanwhile.
func (ch *muxChannel) fill(b *Batch) bool {
	if ch.gone {
		return false
	}
	source, lost, credit := ch.source, ch.takeLost(), ch.credit
	ch.parent.mu.Unlock()
	before := b.size
	used := ch.append(b, source, lost, credit)
	ch.parent.mu.Lock()
	ch.credit -= used
	return b.size > before
}

// append appends what the channel has, as far as the credit lasts, and returns how much of that it has used.
func (ch *muxChannel) append(b *Batch, source Source, lost uint64, credit int64) (used int64) {
	if lost > 0 {
		b.muxFrame(muxframe.Frame{Op: muxframe.Lost, Channel: ch.number, Number: lost})
	}
	if source == nil || credit <= 0 && len(ch.rest) > 0 {
		return 0
	}
	ch.budget, b.channel = credit, ch // without credit b is full, and the source only lets go of what was written
	if rest := ch.rest; len(rest) > 0 {
		// The source is not asked in this turn: what it gave must stay unchanged.
		ch.rest = nil
		for _, p := range rest {
			ch.deliver(b, p)
		}
	} else {
		source.Next(b)
	}
	b.channel = nil
	return credit - ch.budget
}

// deliver appends encoded messages as far as there is credit, and keeps the rest.
func (ch *muxChannel) deliver(b *Batch, p []byte) {
	for len(p) > 0 {
		n := ch.affordable(p)
		ch.budget -= int64(n)
		if n == 0 {
			ch.rest = append(ch.rest, p)
			return
		}
		b.muxMessages(p[:n])
		p = p[n:]
	}
}

// affordable returns how many bytes of p, which are whole encoded messages, go into the next WebSocket message:
// until it is full, or the credit is used up.
func (ch *muxChannel) affordable(p []byte) (n int) {
	if len(p) <= muxWrite && int64(len(p)) <= ch.budget {
		return len(p)
	}
	for n < len(p) && n < muxWrite && int64(n) < ch.budget {
		n += ch.encodedSize(p[n:])
	}
	return n
}

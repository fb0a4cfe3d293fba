package backend

import (
	"crypto/rand"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// envelopeSize is the length of an envelope in bytes: 00 and a random number.
const envelopeSize = 1 + 8

// noEnvelope stands in front of a message until a peer was chosen, so that its size does not
// change.
var noEnvelope = make([]byte, envelopeSize)

// withEnvelope returns m with room for an envelope in front.
func withEnvelope(m zmtp.Message) zmtp.Message {
	return append(append(make(zmtp.Message, 0, 1+len(m)), noEnvelope), m...)
}

// envelope returns what is in front of the messages of st to p. It is random and different
// for each stream and peer, so that only a peer that was asked can answer, and only the
// streams that asked it. Lock held on entry.
func (c *core) envelope(st *stream, p *peer) []byte {
	if e := st.envelopes[p]; e != nil {
		return e
	}
	e := newEnvelope()
	if st.closed {
		return e // nobody waits for the answer
	}
	if st.envelopes == nil {
		st.envelopes = make(map[*peer][]byte)
	}
	if p.askers == nil {
		p.askers = make(map[string]*stream)
	}
	st.envelopes[p] = e
	p.askers[string(e)] = st
	return e
}

// newEnvelope returns an envelope that nobody knows.
func newEnvelope() []byte {
	e := make([]byte, envelopeSize)
	_, _ = rand.Read(e[1:]) // always succeeds
	return e
}

// asker returns the stream whose envelope for p the message begins with; nil if there is
// none. Lock held on entry.
func (p *peer) asker(m zmtp.Message) *stream {
	if len(m) < 2 {
		return nil
	}
	return p.askers[string(m[0])]
}

// isEnvelope reports whether a frame looks like an envelope.
func isEnvelope(frame []byte) bool { return len(frame) == envelopeSize && frame[0] == 0 }

// forgetEnvelope removes the envelope of st for p, so that no answer to it arrives. Lock held
// on entry.
func (st *stream) forgetEnvelope(p *peer) {
	delete(p.askers, string(st.envelopes[p]))
	delete(st.envelopes, p)
}

// forgetEnvelopes removes the envelopes of a stream that has left. Lock held on entry.
func (st *stream) forgetEnvelopes() {
	for p, e := range st.envelopes {
		delete(p.askers, string(e))
	}
	st.envelopes = nil
}

// forgetEnvelopes removes the envelopes of a peer that has left. Lock held on entry.
func (p *peer) forgetEnvelopes() {
	for _, st := range p.askers {
		delete(st.envelopes, p)
	}
	p.askers = nil
}

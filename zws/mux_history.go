package zws

import (
	"bytes"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
)

// muxRequests are the requests of a channel's client that wait until its reader has taken the
// messages before them. The lock of the mux guards them.
type muxRequests struct {
	open  bool // the client may send requests
	list  between[muxRequest]
	bytes int // that they take
}

type muxRequest struct {
	*HistoryRequest
	size int
}

// requestCost is what a request that waits takes beyond its bytes on the wire, about.
const requestCost = 64

// put adds a request, by a frame of size bytes, behind inbox bytes of messages. Of several
// acknowledgements in a row only the last one counts.
func (q *muxRequests) put(r *HistoryRequest, size, inbox int) {
	size += requestCost
	q.bytes += size
	q.list.put(muxRequest{r, size}, inbox, func(last muxRequest) bool {
		if r.Op != HistoryAck || last.Op != HistoryAck {
			return false
		}
		q.bytes -= last.size
		return true
	})
}

// take returns the first request if it is due before the next message; nil if it is not.
func (q *muxRequests) take() *HistoryRequest {
	first, _ := q.list.take()
	q.bytes -= first.size
	return first.HistoryRequest
}

// receiveRequest queues what the client asks beside messages, by a frame of size bytes. It needs
// no credit, so what waits is limited.
func (ch *muxChannel) receiveRequest(f *muxframe.Frame, size int) error {
	if !ch.request.History {
		return protocolError(fmt.Sprintf("unknown op %02x", f.Op))
	}
	r := &HistoryRequest{At: bytes.Clone(f.At)} // f aliases a pooled buffer
	switch f.Op {
	case muxframe.Resume:
		r.Op = HistoryResume
		for _, topic := range f.Topics {
			r.Topics = append(r.Topics, bytes.Clone(topic))
		}
	case muxframe.Ack:
		r.Op = HistoryAck
	case muxframe.Last:
		r.Op, r.Topics = HistoryLast, [][]byte{bytes.Clone(f.Topic)}
	}
	m := ch.parent
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ch.gone:
		return nil
	case !ch.requests.open:
		return protocolError(fmt.Sprintf("channel %d: op %02x before the channel is open", ch.number, f.Op))
	case ch.requests.bytes > maxControl:
		return &CloseError{Code: CodeTooLarge, Reason: fmt.Sprintf("channel %d: more than %d bytes of requests wait", ch.number, maxControl)}
	}
	ch.requests.put(r, size, len(ch.inbox))
	ch.arrive()
	return nil
}

// op returns the op of messages to the client, encodedSize how many bytes of p are its first one.
func (ch *muxChannel) op() byte {
	if ch.history.marked {
		return muxframe.Marked
	}
	return muxframe.Messages
}

func (ch *muxChannel) encodedSize(p []byte) int {
	if ch.history.marked {
		return muxframe.MarkedSize(p)
	}
	return muxframe.Size(p)
}

// resumed and live are about the channel whose turn it is.
func (muxNotifier) resumed(b *Batch, at []byte, recovered, gap bool) error {
	b.muxFrame(muxframe.Frame{Op: muxframe.Resumed, Channel: b.channel.number, Flags: resumedFlags(recovered, gap), At: at})
	return nil
}

func (muxNotifier) live(b *Batch, at []byte) error {
	b.muxFrame(muxframe.Frame{Op: muxframe.Live, Channel: b.channel.number, At: at})
	return nil
}

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
	list  []muxRequest
	bytes int // that they take
	ahead int // bytes of messages that are to be taken before the first
}

// muxRequest is one of them.
type muxRequest struct {
	*HistoryRequest
	ahead int // bytes of messages between the one before and this one
	size  int
}

// requestCost is what a request that waits takes beyond its bytes on the wire, about.
const requestCost = 64

// put adds a request behind inbox bytes of messages. Of several acknowledgements in a row only
// the last one counts.
func (q *muxRequests) put(r *HistoryRequest, size, inbox int) {
	size += requestCost
	if n := len(q.list); n > 0 && inbox == q.ahead && r.Op == HistoryAck && q.list[n-1].Op == HistoryAck {
		q.bytes += size - q.list[n-1].size
		q.list[n-1].HistoryRequest, q.list[n-1].size = r, size
		return
	}
	q.list = append(q.list, muxRequest{r, inbox - q.ahead, size})
	q.ahead = inbox
	q.bytes += size
}

// take returns the first request if it is due before the next message; nil if it is not.
func (q *muxRequests) take() *HistoryRequest {
	if len(q.list) == 0 || q.list[0].ahead > 0 {
		return nil
	}
	first := q.list[0]
	q.list[0] = muxRequest{}
	q.list = q.list[1:]
	q.bytes -= first.size
	return first.HistoryRequest
}

// passed is called when n bytes of messages were taken.
func (q *muxRequests) passed(n int) {
	if len(q.list) > 0 {
		q.list[0].ahead -= n
		q.ahead -= n
	}
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
	signal(ch.arrived)
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

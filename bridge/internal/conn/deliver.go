package conn

import (
	"errors"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// delivering is the way of messages from a backend of the stream's own into its queue; a hub
// fills the queue itself. Only the backend uses chunk, size, over and left.
type delivering struct {
	chunk *queue.Chunk // what the backend has brought since the last Flush
	kept  bool         // the chunk holds subscriptions of peers, which are not dropped
	size  int          // of the chunk before, which the next one is made for
	over  error        // why the queue takes no more
	left  int          // messages that the queue did not take any more

	// mu orders notifications behind what the backend is bringing.
	mu      sync.Mutex
	running bool     // between the first Message and Flush; the backend alone sets it
	dropped [][]byte // topics of dropped subscriptions, for the end of that
}

// deliveries returns the way of messages from a backend of the stream's own.
func (s *stream) deliveries() *delivering {
	if d := s.delivering.Load(); d != nil {
		return d
	}
	s.delivering.CompareAndSwap(nil, new(delivering))
	return s.delivering.Load()
}

// unsubscribed is delivering.unsubscribed.
func (s *stream) unsubscribed(topic []byte, limit int) error {
	return s.deliveries().unsubscribed(s.queue, topic, limit)
}

// minChunk is the smallest chunk, in bytes.
const minChunk = 256

// Message implements backend.Receiver: it collects what the client may see. It takes nothing
// once the queue is closed, so that another client may have it.
func (s *stream) Message(m zmtp.Message) error {
	d := s.deliveries()
	if d.over != nil {
		return d.over
	}
	d.begin()
	if !s.subscriptions.current(m[0]) {
		return nil
	}
	socket := s.route.SocketType()
	if socket != zmtp.REP && !s.mayReceive(m) { // the socket of a REP has asked already
		if !socket.Subscribes() { // there a filter drops what a wide subscription brings
			s.route.Metrics().Dropped(backend.Forbidden)
		}
		return nil
	}
	if kept := isSubscription(socket, m); kept != d.kept {
		if s.put(d); d.over != nil {
			return d.over
		}
		d.kept = kept
	}
	if d.chunk == nil {
		d.chunk = queue.NewChunk(s.codec, max(d.size, minChunk))
	}
	d.chunk.Append(m)
	return nil
}

// Discarded implements backend.Receiver: the client would have had m.
func (s *stream) Discarded(m zmtp.Message) {
	if s.subscriptions.current(m[0]) && s.mayReceive(m) {
		s.queue.Missed(1)
	}
}

// isSubscription reports whether m tells a publishing client what peers are subscribed to. A
// client that missed one would publish to nobody, so on_full does not apply to it.
func isSubscription(socket zmtp.SocketType, m zmtp.Message) bool {
	if socket != zmtp.PUB && socket != zmtp.XPUB {
		return false
	}
	_, ok := zmtp.ParseSubscription(m)
	return ok
}

// Flush implements backend.Receiver: it queues what was collected.
func (s *stream) Flush() {
	d := s.deliveries()
	s.put(d)
	d.end(s.queue)
}

// put queues the chunk, if there is one.
func (s *stream) put(d *delivering) {
	if d.chunk == nil {
		return
	}
	chunk := d.chunk
	d.chunk, d.size = nil, chunk.Size()
	s.route.Metrics().ToClient(chunk.Messages(), chunk.Size())
	if d.kept {
		d.over = s.queue.PutKept(chunk)
	} else {
		if d.over = s.queue.PutChunk(chunk); d.over != nil {
			d.left += chunk.Messages()
		}
	}
	chunk.Release()
}

// close releases what was collected. The backend is closed by then.
func (d *delivering) close() {
	if d.chunk != nil {
		d.chunk.Release()
	}
}

func (d *delivering) begin() {
	if d.running {
		return
	}
	d.mu.Lock()
	d.running = true
	d.mu.Unlock()
}

// end is called when everything that the backend has brought is in q.
func (d *delivering) end(q *queue.Queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = false
	for _, topic := range d.dropped {
		_ = q.Unsubscribed(topic) // a closed queue belongs to a stream that is over
	}
	d.dropped = nil
}

// unsubscribed notifies the client that its subscription to topic was dropped: behind what
// the backend is bringing, or else behind what is in q. Later messages are checked by the new
// rights. While the backend is blocked by a full queue, at most limit notifications wait.
func (d *delivering) unsubscribed(q *queue.Queue, topic []byte, limit int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.running:
		if errors.Is(q.Unsubscribed(topic), queue.ErrFull) {
			return errTooSlow
		}
	case len(d.dropped) >= limit:
		return errTooSlow
	default:
		d.dropped = append(d.dropped, topic)
	}
	return nil
}

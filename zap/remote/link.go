package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// link is one connection of a [Client], from the dial until it is lost.
type link struct {
	o      Options
	ctx    context.Context // done once the link is lost, with the reason as its cause
	cancel context.CancelCauseFunc
	out    chan zmtp.Message // to the writer

	received atomic.Int64 // messages
	strays   atomic.Int64 // messages that answer no pending request

	mu      sync.Mutex
	pending map[string]chan<- answer // by request id; each takes one answer without blocking
	retired bool                     // takes no more requests; ends with the last pending one
}

type answer struct {
	reply *zap.Reply
	err   error
}

func newLink(ctx context.Context, o Options) *link {
	l := &link{o: o, out: make(chan zmtp.Message), pending: make(map[string]chan<- answer)}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	return l
}

// usable reports whether the link takes another request.
func (l *link) usable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.retired && l.ctx.Err() == nil
}

// run connects, reads and writes until the link is lost.
func (l *link) run() {
	conn, err := zmtp.Dial(l.ctx, l.o.Endpoint, l.o.Security, zmtp.Options{
		SocketType:       zmtp.DEALER,
		Limits:           limits,
		HandshakeTimeout: l.o.Timeout,
		WriteTimeout:     l.o.Timeout,
	})
	if err != nil {
		l.cancel(err)
		return
	}
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	var reading sync.WaitGroup
	reading.Go(func() { l.cancel(l.read(conn)) })
	l.cancel(l.write(conn))
	conn.Close()
	reading.Wait()
}

// write sends requests, as many in one write as are queued.
func (l *link) write(conn *zmtp.Conn) error {
	const maxRequests = 64
	for {
		var requests []zmtp.Message
		select {
		case m := <-l.out:
			requests = append(requests, m)
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
		for more := true; more && len(requests) < maxRequests; {
			select {
			case m := <-l.out:
				requests = append(requests, m)
			default:
				more = false
			}
		}
		if err := conn.Write(requests...); err != nil {
			return err
		}
	}
}

// read hands every reply to the pending request with its id. A reply with an unknown id is
// late, or comes from a broken handler, and is ignored.
func (l *link) read(conn *zmtp.Conn) error {
	for {
		m, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
		l.received.Add(1)
		envelope, body, err := zap.SplitEnvelope(m)
		if err != nil || len(envelope) != 1 || len(body) < 2 {
			l.strays.Add(1)
			continue
		}
		id := string(body[1])
		l.mu.Lock()
		result, ok := l.pending[id]
		delete(l.pending, id)
		l.mu.Unlock()
		if !ok {
			l.strays.Add(1)
			continue
		}
		reply, err := zap.ParseReply(body, id)
		result <- answer{reply, err}
	}
}

// ask sends a request with the given id and waits for its reply until ctx is done.
func (l *link) ask(ctx context.Context, id string, req *zap.Request) (*zap.Reply, error) {
	message, err := encode(id, req)
	if err != nil {
		return nil, err
	}
	result := make(chan answer, 1)
	l.mu.Lock()
	l.pending[id] = result
	l.mu.Unlock()
	received, strays := l.received.Load(), l.strays.Load()
	defer l.forget(id)

	out := l.out
	for {
		select {
		case out <- message:
			out = nil // sent; a nil channel is never chosen
		case a := <-result:
			return a.reply, a.err
		case <-l.ctx.Done():
			select {
			case a := <-result: // came just before the connection was lost
				return a.reply, a.err
			default:
				return nil, context.Cause(l.ctx)
			}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && l.received.Load() == received {
				l.retire()
			}
			return nil, l.timeoutError(ctx, strays)
		}
	}
}

// retire makes further requests use another connection. This one has received nothing for as
// long as a request may take, so the peer may be gone without having closed it.
func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
}

// forget removes a request, and ends a retired link with the last one.
func (l *link) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, id)
	if l.retired && len(l.pending) == 0 {
		l.cancel(errors.New("connection closed: the handler did not reply in time"))
	}
}

// timeoutError returns the cause of ctx, and mentions replies that answered no request.
func (l *link) timeoutError(ctx context.Context, before int64) error {
	err := context.Cause(ctx)
	if n := l.strays.Load() - before; n > 0 {
		return fmt.Errorf("%w (%d replies with an unknown id)", err, n)
	}
	return err
}

// encode returns the message of a DEALER socket: the delimiter and the request.
func encode(id string, req *zap.Request) (zmtp.Message, error) {
	numbered := *req
	numbered.ID = id
	frames, err := numbered.Frames()
	if err != nil {
		return nil, err
	}
	m := append(zmtp.Message{{}}, frames...)
	if size := m.Size(); int64(size) > limits.Message {
		return nil, fmt.Errorf("request of %d bytes, at most %d", size, limits.Message)
	}
	return m, nil
}

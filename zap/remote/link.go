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

// link is one connection of a [Client], from the attempt to make it until it is lost.
type link struct {
	o      Options
	ctx    context.Context // done once the link is lost, with the reason as its cause
	cancel context.CancelCauseFunc
	out    chan zmtp.Message // to the writer

	received atomic.Int64 // messages
	strays   atomic.Int64 // those of them that answer nothing that was asked

	mu      sync.Mutex
	waiting map[string]chan<- answer // by request id; each takes one answer without blocking
	retired bool                     // takes no more requests, and is lost when none waits
}

type answer struct {
	reply *zap.Reply
	err   error
}

func newLink(ctx context.Context, o Options) *link {
	l := &link{o: o, out: make(chan zmtp.Message), waiting: make(map[string]chan<- answer)}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	return l
}

// usable tells whether another request may be sent over the link.
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

// write sends what comes, as many requests at once as are there.
func (l *link) write(conn *zmtp.Conn) error {
	const most = 64
	for {
		var batch []zmtp.Message
		select {
		case m := <-l.out:
			batch = append(batch, m)
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
		for more := true; more && len(batch) < most; {
			select {
			case m := <-l.out:
				batch = append(batch, m)
			default:
				more = false
			}
		}
		if err := conn.Write(batch...); err != nil {
			return err
		}
	}
}

// read gives every reply to the request that bears its id. A reply that bears no id we know
// comes too late, or from a handler that is broken; either way it answers nothing.
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
		waiting, ok := l.waiting[id]
		delete(l.waiting, id)
		l.mu.Unlock()
		if !ok {
			l.strays.Add(1)
			continue
		}
		reply, err := zap.ParseReply(body, id)
		waiting <- answer{reply, err}
	}
}

// ask sends a request under the given id and waits for its reply until ctx is done.
func (l *link) ask(ctx context.Context, id string, req *zap.Request) (*zap.Reply, error) {
	message, err := encode(id, req)
	if err != nil {
		return nil, err
	}
	result := make(chan answer, 1)
	l.mu.Lock()
	l.waiting[id] = result
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
			case a := <-result: // came just before the loss
				return a.reply, a.err
			default:
				return nil, context.Cause(l.ctx)
			}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && l.received.Load() == received {
				l.retire()
			}
			return nil, l.tooLate(ctx, strays)
		}
	}
}

// retire has further requests try another connection: nothing at all has come over this one
// for the time that a request may take, so it may have died without telling us.
func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
}

// forget takes a request out of the list, and ends a retired link with its last one.
func (l *link) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, id)
	if l.retired && len(l.waiting) == 0 {
		l.cancel(errors.New("connection given up: the handler answered nothing in time"))
	}
}

// tooLate says what came in place of the answer.
func (l *link) tooLate(ctx context.Context, before int64) error {
	err := context.Cause(ctx)
	if n := l.strays.Load() - before; n > 0 {
		return fmt.Errorf("%w (%d replies came that answer no request)", err, n)
	}
	return err
}

// encode makes the message of a DEALER socket: the delimiter, then the request.
func encode(id string, req *zap.Request) (zmtp.Message, error) {
	numbered := *req
	numbered.ID = id
	frames, err := numbered.Frames()
	if err != nil {
		return nil, err
	}
	m := append(zmtp.Message{{}}, frames...)
	if size := m.Size(); int64(size) > limits.Message {
		return nil, fmt.Errorf("request of %d octets, at most %d", size, limits.Message)
	}
	return m, nil
}

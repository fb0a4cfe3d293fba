package route

import (
	"context"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hub is the layer of a shared SUB or XSUB socket: it subscribes to the union of what the
// streams subscribe to, and fans out.
type hub struct {
	*fanout.Hub
	up      backend.Socket
	kept    bool // the route has a history
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newHub puts a hub on socket.
func newHub(r *Route, socket *backend.Shared) (*hub, error) {
	h := &hub{Hub: fanout.New(hubOptions(r)), kept: r.archive != nil}
	if h.kept {
		r.metrics.KeepsHistory()
		r.applyKeeping(h.Hub)
	}
	var err error
	if h.up, err = socket.Attach(h.Hub, backend.AttachOptions{}); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(context.Background())
	h.running.Go(func() { _ = h.Run(ctx, h.up) }) // until the hub is closed
	return h, nil
}

func hubOptions(r *Route) fanout.Options {
	return fanout.Options{
		LingerBytes: func() int64 { return r.Rules().tenth() },
		Flush:       func() time.Duration { return r.Rules().flush },
		Observe:     r.metrics.ToClient,
		Log:         r.keptIn(),
		LastValues:  r.alwaysLast,
		Resumed:     func(a history.Resumed) { r.metrics.Resumed(a.Recovered, a.Gap) },
		Replayed:    r.metrics.Replayed,
	}
}

func (h *hub) close() {
	h.cancel()
	h.running.Wait()
}

func (h *hub) join(c *Client) (*Attachment, error) {
	socket := &hubSocket{h.Join(c.Queue, fanout.MemberOptions{Codec: c.Codec, Filter: c.Filter, Follow: h.kept && c.Positioned}), h.up, c.Excess}
	a := &Attachment{Socket: socket}
	if h.kept {
		a.History = socket
	}
	return a, nil
}

// hubSocket is a member of the hub as the socket of a stream.
type hubSocket struct {
	member *fanout.Member
	up     backend.Socket
	excess func() bool
}

func (s *hubSocket) Subscribe(_ context.Context, filtered bool, topics ...[]byte) error {
	for _, topic := range topics {
		if err := s.member.Subscribe(topic, filtered); err != nil {
			return err
		}
	}
	return nil
}

func (s *hubSocket) Unsubscribe(_ context.Context, topics ...[]byte) error {
	for _, topic := range topics {
		s.member.Unsubscribe(topic)
	}
	return nil
}

// Resume implements History.
func (s *hubSocket) Resume(at []byte, greet, filtered bool, topics ...[]byte) error {
	return s.member.Resume(at, greet, filtered, topics...)
}

// SubscribeLast implements History.
func (s *hubSocket) SubscribeLast(filtered bool, topics ...[]byte) error {
	for _, topic := range topics {
		if err := s.member.SubscribeLast(topic, filtered); err != nil {
			return err
		}
	}
	return nil
}

// Send passes messages of an XSUB upstream.
func (s *hubSocket) Send(ctx context.Context, msgs ...zmtp.Message) error {
	return s.up.Send(ctx, msgs...)
}

// Recheck does nothing: what members may have is asked for each message.
func (s *hubSocket) Recheck() {}

// Unfinished implements Socket: a hub receives only, but for what an XSUB has sent already.
func (s *hubSocket) Unfinished() bool { return false }

func (s *hubSocket) Status() []backend.Status { return nil }

func (s *hubSocket) Close() error {
	if s.excess() {
		s.member.Forget()
	} else {
		s.member.Leave()
	}
	return nil
}

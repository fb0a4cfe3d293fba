package bridge

import (
	"context"
	"errors"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hub is the layer of a shared SUB or XSUB socket: it subscribes to the union of what the
// channels want, and fans out.
type hub struct {
	*fanout.Hub
	up      backend.Socket
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newHub puts a hub on socket; lost hears when it cannot go on.
func newHub(r *route, socket *backend.Shared, lost func(error)) (*hub, error) {
	h := &hub{Hub: fanout.New(fanout.Options{Flush: r.config.Flush, Observe: r.metrics.ToClient})}
	var err error
	if h.up, err = socket.Attach(h.Hub); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(context.Background())
	h.running.Go(func() {
		if err := h.Run(ctx, h.up); !errors.Is(err, context.Canceled) {
			lost(err)
		}
	})
	return h, nil
}

func (h *hub) close() {
	h.cancel()
	h.running.Wait()
}

func (h *hub) join(c *channel) (backend.Socket, error) {
	member := h.Join(c.queue, fanout.MemberOptions{Codec: c.codec, Filter: deliverable{c}})
	return &hubSocket{member: member, channel: c, up: h.up}, nil
}

// hubSocket is a member of the hub as the socket of a channel.
type hubSocket struct {
	member  *fanout.Member
	channel *channel
	up      backend.Socket
}

// Subscribe implements backend.Socket.
func (s *hubSocket) Subscribe(_ context.Context, topics ...[]byte) error {
	for _, topic := range topics {
		if err := s.member.Subscribe(topic, s.channel.filtered.Load()); err != nil {
			return err
		}
	}
	return nil
}

// Unsubscribe implements backend.Socket.
func (s *hubSocket) Unsubscribe(_ context.Context, topics ...[]byte) error {
	for _, topic := range topics {
		s.member.Unsubscribe(topic)
	}
	return nil
}

// Send implements backend.Socket: messages of an XSUB go upstream unchanged.
func (s *hubSocket) Send(ctx context.Context, msgs ...zmtp.Message) error {
	return s.up.Send(ctx, msgs...)
}

// Status implements backend.Socket: the connections are the hub's.
func (s *hubSocket) Status() []backend.Status { return nil }

// Close ends the member.
func (s *hubSocket) Close() error {
	s.member.Leave()
	return nil
}

// deliverable is the filter of one channel.
type deliverable struct{ *channel }

// Allows implements fanout.Filter.
func (d deliverable) Allows(topic []byte) bool { return d.privileges.Load().Deliver(topic) }

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
	member := h.Join(c.queue, fanout.MemberOptions{Codec: c.codec})
	return &hubSocket{member: member, channel: c, up: h.up}, nil
}

// hubSocket is a member of the hub as the socket of a channel.
type hubSocket struct {
	member  *fanout.Member
	channel *channel
	up      backend.Socket
}

// Send takes subscriptions; the hub tells the backends what is new to them. What else an
// XSUB sends goes to them as it is.
func (s *hubSocket) Send(ctx context.Context, msgs ...zmtp.Message) error {
	for _, m := range msgs {
		on, prefix, ok := subscription(m)
		switch {
		case !ok:
			if err := s.up.Send(ctx, m); err != nil {
				return err
			}
		case !on:
			s.member.Cancel(prefix)
		default:
			if err := s.member.Subscribe(prefix); err != nil {
				return err
			}
		}
	}
	return nil
}

// restrict has every message looked at before it goes to the client. Until then the member
// shares its messages with all others that have the same subscriptions.
func (s *hubSocket) restrict() { s.member.Restrict(deliverable{s.channel}) }

// Close ends the member.
func (s *hubSocket) Close() error {
	s.member.Leave()
	return nil
}

// deliverable is the filter of one channel.
type deliverable struct{ *channel }

// Allows implements fanout.Filter.
func (d deliverable) Allows(topic []byte) bool { return d.privileges.Load().Deliver(topic) }

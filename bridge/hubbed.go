package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/backend"
	"github.com/zwsbridge/zwsbridge/bridge/fanout"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hubbed serves all channels of a SUB or XSUB route by one upstream socket and a hub on
// top that fans out. When the socket's last endpoint has refused us, all channels end, and
// the next client has it opened anew.
type hubbed struct {
	route *route
	open  func(lost func(error)) (*backend.Shared, error)

	mu   sync.Mutex
	live *liveHub // nil once closed
}

// liveHub is an open socket with its hub.
type liveHub struct {
	shared  *backend.Shared
	hub     *fanout.Hub
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	err      error             // why it has ended
	sessions map[*session]bool // whom to tell so
}

// newHubbed opens the socket, so that it is connected when the first client comes.
func newHubbed(r *route, open func(lost func(error)) (*backend.Shared, error)) (*hubbed, error) {
	u := &hubbed{route: r, open: open}
	var err error
	u.live, err = u.start()
	return u, err
}

func (u *hubbed) attach(ctx context.Context, s *session, _ *zws.Login, c *channel) (backend.Socket, error) {
	live, err := u.current()
	if err != nil {
		return nil, err
	}
	if err := u.route.waitReady(ctx, live.shared); err != nil {
		if live.refused() {
			live.fail(err)
		}
		return nil, err
	}
	if err := live.enter(s); err != nil {
		return nil, err
	}
	member := live.hub.Join(c.queue, fanout.MemberOptions{
		Codec:            c.codec,
		MaxSubscriptions: u.route.rules.Load().limits.subscriptions,
	})
	return &hubSocket{live: live, session: s, channel: c, member: member}, nil
}

// current is the open socket. One that has ended is opened anew.
func (u *hubbed) current() (*liveHub, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.live == nil:
		return nil, errShutdown
	case u.live.alive():
		return u.live, nil
	}
	live, err := u.start()
	if err != nil {
		return nil, err
	}
	u.live.close()
	u.live = live
	return live, nil
}

// start opens the socket and has its hub follow what the members want.
func (u *hubbed) start() (*liveHub, error) {
	live := &liveHub{
		hub:      fanout.New(fanout.Options{Flush: u.route.config.Flush}),
		sessions: make(map[*session]bool),
	}
	var err error
	if live.shared, err = u.open(live.fail); err != nil {
		return nil, err
	}
	up, err := live.shared.Attach(live.hub.Receiver())
	if err != nil {
		_ = live.shared.Close()
		return nil, err
	}
	var ctx context.Context
	ctx, live.cancel = context.WithCancel(context.Background())
	live.running.Go(func() {
		if err := live.hub.Run(ctx, up); !errors.Is(err, context.Canceled) {
			live.fail(err)
		}
	})
	return live, nil
}

func (u *hubbed) statuses() []backend.Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil {
		return nil
	}
	return u.live.shared.Status()
}

func (u *hubbed) close() {
	u.mu.Lock()
	live := u.live
	u.live = nil
	u.mu.Unlock()
	if live != nil {
		live.close()
	}
}

// fail ends every session on the socket. It does not block.
func (h *liveHub) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return
	}
	h.err = err
	for s := range h.sessions {
		s.end(err)
	}
}

func (h *liveHub) alive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err == nil
}

// refused tells whether every endpoint has refused us, so that none is tried again.
func (h *liveHub) refused() bool {
	list := h.shared.Status()
	return len(list) > 0 && !slices.ContainsFunc(list, func(s backend.Status) bool { return s.State != backend.Refused })
}

func (h *liveHub) enter(s *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.sessions[s] = true
	}
	return h.err
}

func (h *liveHub) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s)
}

func (h *liveHub) close() {
	h.cancel()
	h.running.Wait()
	_ = h.shared.Close()
}

// hubSocket is a member of the hub as the socket of a channel.
type hubSocket struct {
	live    *liveHub
	session *session
	channel *channel
	member  *fanout.Member
}

// Send takes subscriptions; the hub tells the backends what is new to them.
func (s *hubSocket) Send(_ context.Context, msgs ...zmtp.Message) error {
	for _, m := range msgs {
		on, prefix, ok := subscription(m)
		switch {
		case !ok:
			return fmt.Errorf("%w: a shared route takes subscriptions only", zmtp.ErrProtocol)
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

// deliverable is the filter of one channel.
type deliverable struct{ *channel }

// Allows implements fanout.Filter.
func (d deliverable) Allows(topic []byte) bool { return d.privileges.Load().Deliver(topic) }

// Close ends the member.
func (s *hubSocket) Close() error {
	s.member.Leave()
	s.live.leave(s.session)
	return nil
}

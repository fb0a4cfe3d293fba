package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func (c *clustered) attach(ctx context.Context, client *Client) (*Attachment, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	member := c.hub.Join(client.Queue, fanout.MemberOptions{Codec: client.Codec, Filter: client.Filter, Follow: client.Positioned})
	socket := &clusterSocket{hubSocket{member: member, excess: client.Excess}, c}
	if err := c.waitReady(ctx); err != nil {
		client.Queue.Close()
		_ = socket.Close()
		return nil, err
	}
	return &Attachment{Socket: socket, History: socket}, nil
}

// clusterSocket is a member of the hub as the socket of a stream.
type clusterSocket struct {
	hubSocket
	c *clustered
}

// Resume implements History. A position that another bridge has given can be ahead of this one.
func (s *clusterSocket) Resume(at []byte, greet, filtered bool, topics ...[]byte) error {
	var p history.Position
	if p.UnmarshalBinary(at) == nil {
		s.c.share.Await(p)
	}
	return s.hubSocket.Resume(at, greet, filtered, topics...)
}

// Send passes messages of an XSUB upstream.
func (s *clusterSocket) Send(ctx context.Context, msgs ...zmtp.Message) error {
	s.c.mu.Lock()
	up := s.c.up
	s.c.mu.Unlock()
	if up == nil {
		return nil // as an XSUB without a peer
	}
	return up.Send(ctx, msgs...)
}

// errNoLeader is what clients are told while no bridge reads the backends.
var errNoLeader = &zws.CloseError{Code: zws.CodeBackendLost,
	Reason: "no bridge reads the backends of this route at present"}

// waitReady waits for the route's `ready` rule, which is about the backends of the bridge that
// leads: for the end of the attempts that are under way, and for a leader as long as a lease takes.
func (c *clustered) waitReady(ctx context.Context) error {
	l := c.route.links.Load()
	if l.ready == backend.None {
		return nil
	}
	led, inbound := time.NewTimer(c.route.archive.lease), time.NewTimer(l.connectTimeout)
	defer led.Stop()
	defer inbound.Stop()
	var late error
	for {
		changed := c.share.Changed()
		leader, ok := c.share.Leader()
		if ok {
			ready, err := c.ready(l.ready, decodeStatuses(leader.States))
			if ready || err != nil {
				return err
			}
		}
		if late != nil && (!ok || late != errNoLeader) {
			return late
		}
		select {
		case <-ctx.Done():
			return errNoLeader
		case <-changed:
		case <-led.C:
			late = errNoLeader
		case <-inbound.C:
			if c.route.listens {
				late = backendsAway(errors.New("no backend is connected"))
			}
		}
	}
}

// backendsAway is what clients are told while the backends of the leader do not meet the route's
// `ready` rule.
func backendsAway(cause error) error {
	return &zws.CloseError{Code: zws.CodeBackendLost, Reason: "no backend can be reached", Err: cause}
}

// ready reports whether these states meet the route's `ready` rule, or that they will not soon.
func (c *clustered) ready(rule backend.Ready, list []backend.Status) (ok bool, err error) {
	connected, connecting := 0, 0
	for _, s := range list {
		switch s.State {
		case backend.Connected:
			connected++
		case backend.Connecting:
			connecting++
		default:
			err = fmt.Errorf("%s: %w", s.Address, s.Err)
		}
	}
	switch {
	case connected > 0 && (rule == backend.Any || c.route.listens || connected == len(list)):
		return true, nil
	case c.route.listens, len(list) == 0: // none yet
		return false, nil
	case rule == backend.All && connected+connecting < len(list), connected+connecting == 0:
		return false, backendsAway(err)
	}
	return false, nil
}

// sharedStatus is a backend.Status as it travels between bridges.
type sharedStatus struct {
	Position   int            `json:"position,omitempty"`
	Address    string         `json:"address"`
	Source     backend.Source `json:"source,omitempty"`
	User       string         `json:"user,omitempty"`
	State      backend.State  `json:"state"`
	Since      time.Time      `json:"since"`
	Error      string         `json:"error,omitempty"`
	Next       time.Time      `json:"next,omitzero"`
	Reconnects int            `json:"reconnects,omitempty"`
	Handshake  time.Duration  `json:"handshake,omitempty"`
}

func encodeStatuses(list []backend.Status) json.RawMessage {
	shared := make([]sharedStatus, 0, len(list))
	for _, s := range list {
		one := sharedStatus{Position: s.Position, Address: s.Address, User: s.User, State: s.State,
			Since: s.Since, Source: s.Source, Next: s.Next, Reconnects: s.Reconnects, Handshake: s.Handshake}
		if s.Err != nil {
			one.Error = s.Err.Error()
		}
		shared = append(shared, one)
	}
	text, _ := json.Marshal(shared) // nothing in it can fail
	return text
}

func decodeStatuses(text json.RawMessage) []backend.Status {
	var shared []sharedStatus
	if json.Unmarshal(text, &shared) != nil {
		return nil
	}
	list := make([]backend.Status, 0, len(shared))
	for _, s := range shared {
		one := backend.Status{Position: s.Position, Address: s.Address, User: s.User, State: s.State,
			Since: s.Since, Source: s.Source, Next: s.Next, Reconnects: s.Reconnects, Handshake: s.Handshake}
		if s.Error != "" {
			one.Err = errors.New(s.Error)
		}
		list = append(list, one)
	}
	return list
}

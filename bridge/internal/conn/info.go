package conn

import (
	"cmp"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
)

// Info is what operators see of a session.
type Info struct {
	Number    uint64 `json:"session"`
	User      string `json:"user"` // in the form of printable.Name
	Route     string `json:"route"`
	Dialect   string `json:"dialect"`
	Mechanism string `json:"mechanism"`
	// Relayed is the mechanism that the client speaks with the backend of a relay.
	Relayed string    `json:"relayed,omitempty"`
	Address string    `json:"address"`
	Since   time.Time `json:"since"`
	// Expires is when the login ends; zero for never.
	Expires time.Time `json:"expires,omitzero"`
	// Multiplexed means that this is a connection of ZWSMUX1.0, which is listed beside its streams, so
	// that it can be seen and ended as a whole. Channels is how many streams it has.
	Multiplexed bool `json:"multiplexed,omitempty"`
	Channels    int  `json:"channels,omitempty"`
	// Messages and Bytes wait to be written to the client; Dropped were not written.
	Messages int    `json:"queued_messages"`
	Bytes    int64  `json:"queued_bytes"`
	Dropped  uint64 `json:"dropped"`
	// SubscriptionBytes is what the subscriptions count.
	SubscriptionBytes int64 `json:"subscription_bytes"`
	// Held is what a multiplexed connection holds for its client over all channels, of
	// server.max_connection_bytes: the queues of its channels and what is being written.
	Held int64 `json:"held_bytes,omitempty"`
	// Lag is how many seconds the oldest of the waiting messages has waited.
	Lag float64 `json:"lag_seconds"`
}

// entry is one session of a connection.
type entry interface {
	id() *session
	end(cause error)
	info() Info
}

// sessions returns the sessions of a connection that are not over: its streams, and the connection
// itself if it is a multiplexed one. Those that are about to be sent READY are among them, so that no
// client has READY and is not listed.
func (c *connection) sessions() []entry {
	if c.ended() {
		return nil
	}
	var list []entry
	if c.login.Load().Multiplexed {
		list = append(list, c)
	}
	for _, s := range c.all() {
		if !s.ended() {
			list = append(list, s)
		}
	}
	return list
}

func (s *session) id() *session { return s }

func (c *connection) info() Info {
	l := c.login.Load()
	i := Info{
		Number:    c.number,
		User:      printable.Name(l.User()),
		Route:     c.route.Path(),
		Dialect:   l.Dialect,
		Mechanism: string(l.Mechanism),
		Address:   c.from.String(),
		Since:     c.since,
	}
	if end, limited, err := l.Reply.Metadata.Expires(); err == nil && limited {
		i.Expires = end
	}
	if l.Multiplexed {
		i.Multiplexed, i.Channels = true, len(c.all())
		i.Held = c.bound.budget.Held() + c.bound.sent.Held()
	}
	return i
}

func (s *stream) info() Info {
	i := s.conn.info()
	i.Number, i.Route, i.Since = s.number, s.route.Path(), s.since
	i.Held, i.Multiplexed, i.Channels = 0, false, 0 // the connection's
	i.Relayed = string(s.relayed)
	i.Dropped = s.queue.Dropped()
	i.Messages, i.Bytes = s.queue.Len()
	i.SubscriptionBytes = s.subscriptions.account.Held()
	i.Lag = s.queue.Lag().Seconds()
	return i
}

// Sessions lists the sessions that are logged in, oldest first.
func (s *Set) Sessions() []Info {
	list := []Info{}
	for _, c := range s.all() {
		for _, e := range c.sessions() {
			list = append(list, e.info())
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// EachBackend calls f for each stream that has connections of its own to backends.
func (s *Set) EachBackend(f func(path string, session uint64, status []backend.Status)) {
	for _, c := range s.all() {
		for _, st := range c.all() {
			if own := st.socket.Status(); len(own) > 0 {
				f(st.route.Path(), st.number, own)
			}
		}
	}
}

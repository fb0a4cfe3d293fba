package bridge

import (
	"cmp"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws"
)

// SessionInfo is what an operator sees of a session.
type SessionInfo struct {
	Number    uint64 `json:"session"`
	User      string `json:"user"`
	Route     string `json:"route"`
	Dialect   string `json:"dialect"`
	Mechanism string `json:"mechanism"`
	// Relayed is the mechanism that the client speaks with the backend of a relay.
	Relayed string    `json:"relayed,omitempty"`
	Address string    `json:"address"`
	Since   time.Time `json:"since"`
	// Expires is when the login ends; zero for never.
	Expires time.Time `json:"expires,omitzero"`
	// Messages and Octets wait to be written to the client; Dropped were not.
	Messages int    `json:"queued_messages"`
	Octets   int64  `json:"queued_octets"`
	Dropped  uint64 `json:"dropped"`
	// Lag is how many seconds the first of the waiting messages has waited.
	Lag float64 `json:"lag_seconds"`
}

// BackendInfo is what an operator sees of an endpoint, or of a peer that has dialled in.
type BackendInfo struct {
	Route string `json:"route"`
	// Session is whose own connection it is; 0 where clients share one.
	Session    uint64    `json:"session,omitempty"`
	Position   int       `json:"backend,omitempty"`
	Address    string    `json:"address"`
	User       string    `json:"user,omitempty"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	Error      string    `json:"error,omitempty"`
	Reconnects int       `json:"reconnects"`
}

// Sessions lists the sessions that are logged in, oldest first.
func (b *Bridge) Sessions() []SessionInfo {
	list := []SessionInfo{}
	b.each(func(s *session) {
		if info, ok := s.info(); ok {
			list = append(list, info)
		}
	})
	slices.SortFunc(list, func(a, b SessionInfo) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

func (s *session) info() (SessionInfo, bool) {
	ws := s.connection()
	if ws == nil || ws.Cause() != nil {
		return SessionInfo{}, false
	}
	l := ws.Login()
	info := SessionInfo{
		Number:    s.number,
		User:      l.User(),
		Route:     s.route.config.Path,
		Dialect:   l.Dialect,
		Mechanism: string(l.Mechanism),
		Relayed:   string(l.Relayed),
		Address:   s.from.text(),
		Since:     s.since,
	}
	if s.channel != nil {
		info.Dropped = s.channel.queue.Dropped()
		info.Messages, info.Octets = s.channel.queue.Len()
		info.Lag = s.channel.queue.Lag().Seconds()
	}
	if end, limited, err := expiry(l.Reply); err == nil && limited {
		info.Expires = end
	}
	return info, true
}

// Backends lists the endpoints of all routes and the peers that have dialled in.
func (b *Bridge) Backends() []BackendInfo {
	list := []BackendInfo{}
	add := func(r *route, session uint64, statuses []backend.Status) {
		for _, s := range statuses {
			info := BackendInfo{
				Route: r.config.Path, Session: session, Position: s.Position, Address: s.Address, User: s.User,
				State: s.State.String(), Since: s.Since, Reconnects: s.Reconnects,
			}
			if s.Err != nil {
				info.Error = s.Err.Error()
			}
			list = append(list, info)
		}
	}
	for _, r := range b.state.Load().sorted() {
		add(r, 0, r.upstream.statuses())
	}
	b.each(func(s *session) {
		if s.connection() == nil || s.channel == nil {
			return
		}
		if own, ok := s.channel.socket.(interface{ Status() []backend.Status }); ok {
			add(s.route, s.number, own.Status())
		}
	})
	return list
}

// Kick ends the session of that number, or every session of the user, with 4401, and tells
// how many there were.
func (b *Bridge) Kick(number uint64, user string) (int, error) {
	if (number == 0) == (user == "") {
		return 0, errKick
	}
	kicked := 0
	b.each(func(s *session) {
		ws := s.connection()
		if ws == nil || ws.Cause() != nil || number != 0 && s.number != number || user != "" && ws.Login().User() != user {
			return
		}
		kicked++
		s.end(errKicked)
	})
	return kicked, nil
}

var errKicked = &zws.CloseError{Code: zws.CodeExpired, Reason: "an administrator has ended this session"}

// sorted lists the routes by path.
func (s *state) sorted() []*route {
	list := make([]*route, 0, len(s.routes))
	for _, r := range s.routes {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *route) int { return cmp.Compare(a.config.Path, b.config.Path) })
	return list
}

// ready tells whether a peer is connected.
func (u *shared) ready() bool {
	return slices.ContainsFunc(u.statuses(), func(s backend.Status) bool { return s.State == backend.Connected })
}

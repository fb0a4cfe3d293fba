package route

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Endpoint is one backend of a route.
type Endpoint struct {
	// Address is tcp://host:port or ipc://path. In the configuration it can hold placeholders.
	Address string
	// ServerKey is the public key of a backend with CURVE, else zero.
	ServerKey [32]byte
	// Source is where the endpoint comes from.
	Source backend.Source
}

// links are how a route reaches its backends. They are never changed but replaced as a whole.
type links struct {
	since   time.Time  // when the configuration was read
	connect []Endpoint // of all sources, each address once
	allowed allowedEndpoints

	credentials       credentials
	serverKey         [32]byte // of endpoints without their own
	insecurePlaintext bool

	ready          backend.Ready
	connectTimeout time.Duration
	zmtp2          bool

	limits zmtp.Limits // of what a backend may send
	// highWaterMark and highWaterBytes limit what waits for a backend.
	highWaterMark  int
	highWaterBytes int64
	maxTopic       int

	bind    []string
	inbound backend.ListenOptions // how peers that connect to bind log in

	// backoff and maxBackoff are the waits between attempts.
	backoff, maxBackoff time.Duration
}

// sources are the endpoints of a route by where they come from. Guarded by Route.changing.
type sources struct {
	lists map[string][]Endpoint
	// disconnected are the addresses that an operator has disconnected, until the next reload.
	disconnected map[string]bool
}

// Names of lists in sources.
const (
	fileList  = "file"
	adminList = "admin"
)

// merged returns all endpoints: those of the file first, then those of other sources by name, and
// those that operators have added last. An address that several sources have is that of the
// first. One without a server key of its own has key.
func (s *sources) merged(key [32]byte) []Endpoint {
	names := slices.SortedFunc(maps.Keys(s.lists), func(a, b string) int {
		return cmp.Or(cmp.Compare(listRank(a), listRank(b)), cmp.Compare(a, b))
	})
	var all []Endpoint
	for _, name := range names {
		for _, e := range s.lists[name] {
			known := slices.ContainsFunc(all, func(other Endpoint) bool { return other.Address == e.Address })
			if !known && (name == adminList || !s.disconnected[e.Address]) {
				if e.ServerKey == [32]byte{} {
					e.ServerKey = key
				}
				all = append(all, e)
			}
		}
	}
	return all
}

func listRank(name string) int {
	switch name {
	case fileList:
		return 0
	case adminList:
		return 2
	}
	return 1
}

// SetSource replaces the endpoints that one source contributes to those of the route, and puts
// them in force: live streams stay, get connections to the new ones and lose those to the ones
// that are gone, see [backend.Dedicated.SetEndpoints]. name tells the sources of a route apart,
// such as the srv:// endpoint or the path of the connect_file. An empty list is valid. Addresses
// that another source has too are connected once.
//
// It returns at once. After an error, which is about the credentials of the route, the endpoints
// are as before. A reload keeps the lists as long as the route stays.
func (r *Route) SetSource(name string, list []Endpoint) error {
	return r.changeSources(func(s *sources) error {
		s.lists[name] = slices.Clone(list)
		return nil
	})
}

// RemoveSource removes the endpoints of a source that the route has no longer. Errors are those
// of SetSource.
func (r *Route) RemoveSource(name string) error {
	return r.changeSources(func(s *sources) error {
		delete(s.lists, name)
		return nil
	})
}

// changeSources changes where the route's endpoints come from, and puts the result in force
// unless change returns an error.
func (r *Route) changeSources(change func(*sources) error) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	next := r.sources.clone()
	if err := change(&next); err != nil {
		return err
	}
	l := *r.links.Load()
	l.connect = next.merged(l.serverKey)
	return r.relink(&next, &l)
}

func (s *sources) clone() sources {
	return sources{maps.Clone(s.lists), maps.Clone(s.disconnected)}
}

// link makes the endpoints of s those of l, without those of operators that l does not let them
// connect.
func (r *Route) link(l *links, s *sources) {
	s.lists[adminList] = slices.DeleteFunc(slices.Clone(s.lists[adminList]), func(e Endpoint) bool {
		return r.connectable(l, &e) != nil
	})
	l.connect = s.merged(l.serverKey)
	if r.socket == zmtp.PAIR && len(l.connect) > 1 { // the one of the configuration counts
		delete(s.lists, adminList)
		l.connect = s.merged(l.serverKey)
	}
}

// relink puts next in force. Route.changing is held on entry.
func (r *Route) relink(s *sources, next *links) error {
	apply, err := r.upstream.prepare(next)
	if err != nil {
		return err
	}
	r.sources = *s
	r.links.Store(next)
	apply()
	r.announce()
	return nil
}

// options completes the options of a socket.
func (l *links) options(o backend.Options) backend.Options {
	o.HighWaterMark, o.HighWaterBytes, o.MaxTopic, o.ZMTP2 = l.highWaterMark, l.highWaterBytes, l.maxTopic, l.zmtp2
	o.Limits = l.limits
	return o
}

// unused returns the state of endpoints to which no stream has a connection: used are the addresses
// that streams have. An endpoint with placeholders is another one for each stream, and used if there
// are streams.
func (l *links) unused(streams int, used map[string]bool) (list []backend.Status) {
	for i, e := range l.connect {
		if used[e.Address] || streams > 0 && strings.Contains(e.Address, "{") {
			continue
		}
		list = append(list, backend.Status{Position: i + 1, Address: e.Address, Source: e.Source, State: backend.Idle, Since: l.since})
	}
	return list
}

// resolved returns the endpoints for a client, with the login of the bridge there. The client is
// nil for a shared connection. Errors are *[zws.CloseError].
func (l *links) resolved(c *Client) ([]backend.Endpoint, error) {
	var login *zws.Login
	var chosen []string // by a client of webtalk, among the route's endpoints
	now := func() *zws.Login { return nil }
	if c != nil {
		login, now = c.Login, c.Renewed
		chosen = login.Wishes().Connect
	}
	var list []backend.Endpoint
	var security zmtp.ClientSecurity // read once: the endpoints can be a thousand
	var err error
	for _, e := range l.connect {
		if len(chosen) > 0 && !slices.Contains(chosen, e.Address) {
			continue
		}
		if security == nil {
			if security, err = l.credentials.security(e, now()); err != nil {
				return nil, err
			}
		}
		if c, ok := security.(zmtp.Curve); ok { // other logins are the same everywhere
			c.ServerKey = e.ServerKey
			security = c
		}
		b := backend.Endpoint{Address: e.Address, Security: security, Source: e.Source, ClientLogin: l.credentials.passThrough, Renew: func() (zmtp.ClientSecurity, error) {
			return l.credentials.security(e, now())
		}}
		if login != nil {
			if b.Address, b.Permit, err = l.allowed.resolve(e.Address, login); err != nil {
				return nil, err
			}
		}
		list = append(list, b)
	}
	return list, nil
}

// unresolved ends a stream whose login has no backend any more, by links that are in force now.
// Other errors are the bridge's, and the stream keeps the endpoints that it has.
func (r *Route) unresolved(c *Client, err error) {
	if zws.Cause(err).Code == zws.CodeInternal {
		r.log.Error("the endpoints of a stream stay as they are", slog.Uint64("session", c.Number), slog.String("error", err.Error()))
		return
	}
	c.End(err)
}

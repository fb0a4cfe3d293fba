package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// What operators change in the endpoints of a route that bridges share is done by the bridge that
// leads. The others hear of it with its lease and do the same, so that the next leader goes on with it.

// ErrNotAnswered reports that the bridge that has to do something cannot be reached.
var ErrNotAnswered = errors.New("it has to be done by the bridge that reads the backends")

// operation is what an operator has asked of a bridge that does not lead.
type operation struct {
	Endpoint   string   `json:"endpoint"`
	ServerKey  [32]byte `json:"server_key"`
	Disconnect bool     `json:"disconnect,omitempty"`
}

// outcome is the answer.
type outcome struct {
	Changed   bool   `json:"changed,omitempty"`
	NotListed bool   `json:"not_listed,omitempty"`
	Error     string `json:"error,omitempty"`
}

// operatorChanges are what operators have changed in the endpoints of a route.
type operatorChanges struct {
	Connected    []operation `json:"connected,omitempty"`
	Disconnected []string    `json:"disconnected,omitempty"`
}

// follower returns what serves the route. ok is false if its history is not shared, or this bridge
// leads.
func (r *Route) follower() (c *clustered, ok bool) {
	c, ok = r.upstream.(*clustered)
	return c, ok && !c.share.Leading()
}

// handOver has the bridge that leads do o.
func (c *clustered) handOver(o operation) (changed bool, err error) {
	request, err := json.Marshal(o)
	if err != nil {
		return false, err
	}
	reply, err := c.share.Operate(request)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotAnswered, err)
	}
	return readOutcome(reply)
}

// readOutcome returns what the bridge that leads has answered. It answers nothing while none of its
// routes writes to the archive, as between two configurations.
func readOutcome(reply []byte) (changed bool, err error) {
	if len(reply) == 0 {
		return false, fmt.Errorf("%w: it does not serve the route at present", ErrNotAnswered)
	}
	var done outcome
	switch err := json.Unmarshal(reply, &done); {
	case err != nil:
		return false, fmt.Errorf("%w: its answer is malformed: %w", ErrNotAnswered, err)
	case done.NotListed:
		return false, ErrNotListed
	case done.Error != "":
		return false, errors.New(done.Error)
	}
	return done.Changed, nil
}

// operate does what an operator has asked of another bridge.
func (c *clustered) operate(request []byte) (reply []byte) {
	var o operation
	var done outcome
	err := json.Unmarshal(request, &o)
	switch {
	case err != nil:
	case o.Disconnect:
		done.Changed, err = c.route.disconnect(o.Endpoint)
	default:
		done.Changed, err = c.route.connect(o.Endpoint, o.ServerKey)
	}
	if err != nil {
		done.NotListed, done.Error = errors.Is(err, ErrNotListed), err.Error()
	}
	reply, _ = json.Marshal(done)
	return reply
}

// announce tells the other bridges what operators have changed, if this one leads. Route.changing is
// held on entry.
func (r *Route) announce() {
	c, ok := r.upstream.(*clustered)
	if !ok || !c.share.Leading() {
		return
	}
	var changes operatorChanges
	for _, e := range r.sources.lists[adminList] {
		changes.Connected = append(changes.Connected, operation{Endpoint: e.Address, ServerKey: e.ServerKey})
	}
	changes.Disconnected = slices.Sorted(maps.Keys(r.sources.disconnected))
	text, err := json.Marshal(changes)
	if err == nil {
		c.share.SetOperator(text)
	}
}

// followed is what operators have changed on the bridge that leads, and when the configuration was read to
// which that was applied.
type followed struct {
	changes string
	since   time.Time // links.since
}

// follow does what operators have changed on the bridge that leads, once, and again after a reload here:
// what that takes back stays as it is on the bridge that leads.
func (c *clustered) follow() {
	c.mu.Lock()
	keeping := c.keeping // the route is complete
	c.mu.Unlock()
	text := c.share.Operator()
	now := followed{string(text), c.route.links.Load().since}
	if !keeping || text == nil || c.share.Leading() || now == c.followed {
		return
	}
	var changes operatorChanges
	err := json.Unmarshal(text, &changes)
	if err == nil {
		err = c.route.changeSources(func(s *sources) error {
			l := c.route.links.Load()
			s.lists[adminList] = nil
			clear(s.disconnected)
			for _, o := range changes.Connected {
				e := Endpoint{Address: o.Endpoint, ServerKey: o.ServerKey, Source: backend.SourceAdmin}
				if err := c.route.connectable(l, &e); err != nil {
					c.route.log.Warn("an endpoint that was connected on another bridge cannot be on this one", slog.String("endpoint", o.Endpoint), slog.String("error", err.Error()))
					continue
				}
				s.lists[adminList] = append(s.lists[adminList], e)
			}
			for _, address := range changes.Disconnected {
				s.disconnected[address] = true
			}
			return nil
		})
	}
	if err != nil {
		c.route.log.Error("what was connected on another bridge cannot be on this one", slog.String("error", err.Error()))
	}
	c.followed = now
}

package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Route are the counters of one route. All methods may be called concurrently.
type Route struct {
	all  *Metrics
	path string

	inMessages, inBytes         prometheus.Counter
	outMessages, outBytes       prometheus.Counter
	slowClient                  prometheus.Counter
	dropped                     map[backend.Drop]prometheus.Counter
	handshake, backendHandshake prometheus.Observer
}

// refusalCodes and endCodes are those that are to be expected. Their counters are 0 before the first event: the rate
// of a counter that appears with it does not show it.
var (
	refusalCodes = []zws.Code{
		zws.CodeGoingAway, zws.CodeProtocol, zws.CodeTemporary, zws.CodeRefused, zws.CodeForbidden, zws.CodeNotTaken, zws.CodeTimeout,
		zws.CodeTooMany, zws.CodeHandlerBroken, zws.CodeBackendRefused, zws.CodeBackendLost, zws.CodeBackendTimeout,
	}
	endCodes = []zws.Code{
		zws.CodeNormal, zws.CodeGoingAway, zws.CodeProtocol, zws.CodeNoStatus, zws.CodeAbnormal, zws.CodeTooLarge, zws.CodeExpired,
		zws.CodeForbidden, zws.CodeTimeout, zws.CodeTakenOver, zws.CodeTooMany, zws.CodeBackendLost, zws.CodeTooSlow,
	}
)

// Route returns the counters of the route at path.
func (m *Metrics) Route(path string) *Route {
	for _, code := range refusalCodes {
		m.refusals.WithLabelValues(path, strconv.Itoa(int(code)))
	}
	for _, code := range endCodes {
		m.ended.WithLabelValues(path, strconv.Itoa(int(code)))
	}
	dropped := make(map[backend.Drop]prometheus.Counter)
	for _, why := range []backend.Drop{backend.Unroutable, backend.Overflow, backend.Unasked, backend.Forbidden, backend.Replaced, backend.TooLarge} {
		dropped[why] = m.dropped.WithLabelValues(path, why.String())
	}
	return &Route{
		all:              m,
		path:             path,
		inMessages:       m.messages.WithLabelValues(path, "in"),
		inBytes:          m.bytes.WithLabelValues(path, "in"),
		outMessages:      m.messages.WithLabelValues(path, "out"),
		outBytes:         m.bytes.WithLabelValues(path, "out"),
		slowClient:       m.dropped.WithLabelValues(path, "slow-client"),
		dropped:          dropped,
		handshake:        m.handshake.WithLabelValues(path),
		backendHandshake: m.backendHandshake.WithLabelValues(path),
	}
}

// Started counts a session that has logged in, took being the time since its upgrade.
func (r *Route) Started(dialect string, took time.Duration) {
	r.all.sessions.WithLabelValues(r.path, dialect).Inc()
	r.all.started.WithLabelValues(r.path, dialect).Inc()
	r.handshake.Observe(took.Seconds())
}

// Ended counts the end of a session that Started has counted.
func (r *Route) Ended(dialect string, cause *zws.CloseError) {
	r.all.sessions.WithLabelValues(r.path, dialect).Dec()
	r.all.ended.WithLabelValues(r.path, codeLabel(cause)).Inc()
}

// FromClient counts a message on its way to the backend.
func (r *Route) FromClient(m zmtp.Message) {
	r.inMessages.Inc()
	r.inBytes.Add(float64(m.Size()))
}

// ToClient counts messages that were queued for a client.
func (r *Route) ToClient(messages, bytes int) {
	r.outMessages.Add(float64(messages))
	r.outBytes.Add(float64(bytes))
}

// SlowClient counts n messages that were dropped because a client read too slowly.
func (r *Route) SlowClient(n uint64) { r.slowClient.Add(float64(n)) }

// Dropped counts a message that was dropped on the way to a backend or from one.
func (r *Route) Dropped(why backend.Drop) { r.dropped[why].Inc() }

// Backend counts a change of a backend's state.
func (r *Route) Backend(s backend.Status) {
	if s.State == backend.Connected && s.Handshake > 0 {
		r.backendHandshake.Observe(s.Handshake.Seconds())
	}
}

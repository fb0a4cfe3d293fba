package bridge

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// metrics are the counts that the bridge keeps for Prometheus. What is counted for each
// message is resolved once for each route, so that counting costs an atomic addition.
type metrics struct {
	registry *prometheus.Registry
	since    time.Time

	sessions  *prometheus.GaugeVec     // route, dialect
	accepted  *prometheus.CounterVec   // route, dialect
	ends      *prometheus.CounterVec   // route, code: sessions that were logged in
	refusals  *prometheus.CounterVec   // route, code: clients that were not
	logins    *prometheus.CounterVec   // authenticator, status
	messages  *prometheus.CounterVec   // route, direction
	octets    *prometheus.CounterVec   // route, direction
	dropped   *prometheus.CounterVec   // route, reason
	handshake *prometheus.HistogramVec // route
	behind    *prometheus.HistogramVec // route: handshakes with backends
}

// noRoute stands for the path of a request that no route serves: what clients make up must
// not become labels.
const noRoute = "none"

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		since:    time.Now(),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zwsbridge_sessions", Help: "Sessions that are logged in.",
		}, []string{"route", "dialect"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_sessions_total", Help: "Sessions that have logged in.",
		}, []string{"route", "dialect"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_session_ends_total", Help: "Sessions that have ended, by WebSocket close code.",
		}, []string{"route", "code"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_refusals_total", Help: "Clients that were not let in, by WebSocket close code.",
		}, []string{"route", "code"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_logins_total", Help: "Decisions of the ZAP handler, by authenticator and status.",
		}, []string{"authenticator", "status"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_messages_total", Help: "ZeroMQ messages, by direction: in = from clients, out = to clients, dropped ones included.",
		}, []string{"route", "direction"}),
		octets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_octets_total", Help: "Octets of message frames, by direction: in = from clients, out = to clients, dropped ones included.",
		}, []string{"route", "direction"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zwsbridge_dropped_total", Help: "Messages dropped, by reason: slow-client, backend-full, " +
				"unroutable = to a peer or session that is not there, unasked = no reply to anything.",
		}, []string{"route", "reason"}),
		handshake: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zwsbridge_handshake_seconds", Help: "Time from the upgrade to READY, the login behind included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"route"}),
		behind: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zwsbridge_backend_handshake_seconds", Help: "Time of a connect and ZMTP handshake with a backend that let us in.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"route"}),
	}
	m.registry.MustRegister(m.sessions, m.accepted, m.ends, m.refusals, m.logins, m.messages, m.octets, m.dropped, m.handshake, m.behind,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// routeMetrics are the counters of one route.
type routeMetrics struct {
	inMessages, inOctets   prometheus.Counter
	outMessages, outOctets prometheus.Counter
	slowClient             prometheus.Counter                  // messages dropped for one
	dropped                map[backend.Drop]prometheus.Counter // behind
	handshake, behind      prometheus.Observer
}

func (m *metrics) route(path string) *routeMetrics {
	dropped := make(map[backend.Drop]prometheus.Counter)
	for _, why := range []backend.Drop{backend.Unroutable, backend.Overflow, backend.Unasked} {
		dropped[why] = m.dropped.WithLabelValues(path, why.String())
	}
	return &routeMetrics{
		inMessages:  m.messages.WithLabelValues(path, "in"),
		inOctets:    m.octets.WithLabelValues(path, "in"),
		outMessages: m.messages.WithLabelValues(path, "out"),
		outOctets:   m.octets.WithLabelValues(path, "out"),
		slowClient:  m.dropped.WithLabelValues(path, "slow-client"),
		dropped:     dropped,
		handshake:   m.handshake.WithLabelValues(path),
		behind:      m.behind.WithLabelValues(path),
	}
}

// fromClient counts a message on its way to the backend.
func (m *routeMetrics) fromClient(msg zmtp.Message) {
	m.inMessages.Inc()
	m.inOctets.Add(float64(msg.Size()))
}

// toClient counts messages that were queued for a client.
func (m *routeMetrics) toClient(messages, octets int) {
	m.outMessages.Add(float64(messages))
	m.outOctets.Add(float64(octets))
}

// backend counts what has happened to a backend of the route.
func (m *routeMetrics) backend(s backend.Status) {
	if s.State == backend.Connected && s.Handshake > 0 {
		m.behind.Observe(s.Handshake.Seconds())
	}
}

// login counts a decision of the ZAP handler; entry is empty if no authenticator decided.
func (m *metrics) login(entry string, status zap.Status) {
	m.logins.WithLabelValues(entry, strconv.Itoa(int(status))).Inc()
}

// refused counts a client that was not let in. r is nil where no route serves its path.
func (m *metrics) refused(r *route, cause *zws.CloseError) {
	m.refusals.WithLabelValues(pathOf(r), codeLabel(cause)).Inc()
}

// started and ended count a session that has logged in.
func (m *metrics) started(s *session) {
	labels := []string{s.route.config.Path, s.ws.Login().Dialect}
	m.sessions.WithLabelValues(labels...).Inc()
	m.accepted.WithLabelValues(labels...).Inc()
	s.route.metrics.handshake.Observe(time.Since(s.since).Seconds())
}

func (m *metrics) ended(s *session) {
	m.sessions.WithLabelValues(s.route.config.Path, s.ws.Login().Dialect).Dec()
	m.ends.WithLabelValues(s.route.config.Path, codeLabel(s.ws.Cause())).Inc()
}

// codeLabel is the code of cause as a label. A client may close with whatever code it likes,
// one of ours included: beyond those of RFC 6455, section 7.4.1, that counts as 1000.
func codeLabel(cause *zws.CloseError) string {
	code := cause.Code
	if errors.Is(cause, zws.ErrPeerClosed) && (code < 1000 || code > 1015) {
		code = zws.CodeNormal
	}
	return strconv.Itoa(int(code))
}

func pathOf(r *route) string {
	if r == nil {
		return noRoute
	}
	return r.config.Path
}

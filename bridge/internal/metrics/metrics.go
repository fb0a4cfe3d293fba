package metrics

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Metrics are the counters of one bridge. All methods may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry
	counted  *prometheus.Registry  // the part of registry that Counts gathers
	also     prometheus.Registerer // of the program; nil without
	all      []prometheus.Collector
	since    time.Time

	sessions         *prometheus.GaugeVec   // route, dialect
	started          *prometheus.CounterVec // route, dialect
	ended            *prometheus.CounterVec // route, code
	refusals         *prometheus.CounterVec // route, code
	logins           *prometheus.CounterVec // authenticator, status
	loginQueue       prometheus.Gauge
	loginWait        prometheus.Histogram
	login            *prometheus.HistogramVec // status
	authenticator    *prometheus.HistogramVec // authenticator, status
	reloadOK         prometheus.Gauge
	reloadTime       prometheus.Gauge
	reloadFailure    atomic.Pointer[ReloadFailure] // of the last reload; nil if it has succeeded
	messages         *prometheus.CounterVec        // route, direction
	bytes            *prometheus.CounterVec        // route, direction
	dropped          *prometheus.CounterVec        // route, reason
	handshake        *prometheus.HistogramVec      // route
	backendHandshake *prometheus.HistogramVec      // route

	connectionsRefused *prometheus.CounterVec // listener, reason
	acceptErrors       *prometheus.CounterVec // listener
	stalled            *prometheus.CounterVec // listener

	history history
}

// NoRoute is the route label of a request whose path no route serves: paths that clients
// make up must not become labels.
const NoRoute = "none"

// New makes the metrics of a bridge; source is asked for gauges at each scrape.
func New(source Source) *Metrics {
	m := newCollectors()
	m.all = append(m.all, gauges{source})
	m.registry.MustRegister(m.all...)
	m.counted.MustRegister(m.sessions, m.ended, m.refusals, m.logins, m.messages, m.bytes, m.dropped)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Register registers the metrics with the program's registry too, except for those of the Go
// runtime and the process, which belong to the program. It fails, and changes nothing, if one
// of the names is taken. It is called at most once; Close undoes it.
func (m *Metrics) Register(with prometheus.Registerer) error {
	for i, c := range m.all {
		if err := with.Register(c); err != nil {
			unregister(with, m.all[:i])
			return err
		}
	}
	m.also = with
	return nil
}

// Close removes the metrics from the registry of the program, if they are there.
func (m *Metrics) Close() {
	if m.also != nil {
		unregister(m.also, m.all)
	}
}

func unregister(from prometheus.Registerer, registered []prometheus.Collector) {
	for _, c := range registered {
		from.Unregister(c)
	}
}

func newCollectors() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		counted:  prometheus.NewRegistry(),
		since:    time.Now(),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zwsbridge_sessions", Help: "Sessions that are logged in. A connection of ZWSMUX1.0 counts as one, and each of its channels as one more.",
		}, []string{"route", "dialect"}),
		started:  counter("zwsbridge_sessions_total", "Sessions that have logged in.", "route", "dialect"),
		ended:    counter("zwsbridge_session_ends_total", "Sessions that have ended, by WebSocket close code.", "route", "code"),
		refusals: counter("zwsbridge_refusals_total", "Clients that were refused, by WebSocket close code.", "route", "code"),
		logins:   counter("zwsbridge_logins_total", "Decisions of the ZAP handler, by authenticator and status.", "authenticator", "status"),
		loginQueue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "zwsbridge_login_queue", Help: "Logins that wait for a free processor to hash their password.",
		}),
		loginWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "zwsbridge_login_wait_seconds", Help: "Time that logins have waited for a free processor to hash their password.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		messages: counter("zwsbridge_messages_total", "ZeroMQ messages, by direction: in = from clients, "+
			"out = queued for clients, including those dropped later.", "route", "direction"),
		bytes: counter("zwsbridge_bytes_total", "Bytes of message frames, by direction: in = from clients, "+
			"out = queued for clients, including those dropped later.", "route", "direction"),
		dropped: counter("zwsbridge_dropped_total", "Messages dropped, by reason: slow-client, backend-full, "+
			"unroutable = to a peer or session that does not exist, unasked = a reply to no request or a probe, "+
			"replaced = a request that its client has replaced before the reply, "+
			"too-large = larger than max_message or max_frames, not-allowed = the rights of the client or backend do not allow it.", "route", "reason"),
		handshake:        histogram("zwsbridge_handshake_seconds", "Time from the upgrade to READY, including the login at the backend.", "route"),
		backendHandshake: histogram("zwsbridge_backend_handshake_seconds", "Time of connect and ZMTP handshake with a backend, where they succeeded.", "route"),
	}
	m.login = histogram("zwsbridge_login_seconds", "Time from the credentials of a client to the decision, with all waits, by status of ZAP.", "status")
	m.authenticator = histogram("zwsbridge_authenticator_seconds", "Time of a decision of the ZAP handler, by the authenticator that has decided and status.", "authenticator", "status")
	m.reloadOK = prometheus.NewGauge(prometheus.GaugeOpts{Name: "zwsbridge_config_last_reload_successful", Help: "1 if the configuration in force is that of the last reload, or start, 0 if the last reload has failed."})
	m.reloadTime = prometheus.NewGauge(prometheus.GaugeOpts{Name: "zwsbridge_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was loaded, in Unix time."})
	m.Reloaded(nil)
	m.Authenticator("")
	m.refusals.WithLabelValues(NoRoute, strconv.Itoa(int(zws.CodeNoRoute)))
	m.history = newHistory(counter)
	m.connectionsRefused = counter("zwsbridge_connections_refused_total", "TCP connections that were not served because too many are "+
		"open: address = of one address, connections = in all, descriptors = in all, for the file descriptors there are.", "listener", "reason")
	m.acceptErrors = counter("zwsbridge_accept_errors_total", "Connections that could not be accepted because no file descriptor was left.", "listener")
	m.stalled = counter("zwsbridge_connections_stalled_total", "Connections that were closed because their clients read nothing of a response.", "listener")
	m.all = []prometheus.Collector{m.sessions, m.started, m.ended, m.refusals, m.logins, m.loginQueue, m.loginWait, m.messages,
		m.bytes, m.dropped, m.handshake, m.backendHandshake, m.connectionsRefused, m.acceptErrors, m.stalled, newBuild()}
	m.all = append(m.all, m.login, m.authenticator, m.reloadOK, m.reloadTime)
	m.all = append(m.all, m.history.all()...)
	return m
}

// Handler serves the metrics to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Authenticator makes the counters of the decisions of an authenticator, which are 0 before the first one. An empty name
// is for logins that none decides.
func (m *Metrics) Authenticator(name string) {
	for _, status := range []zap.Status{zap.OK, zap.Temporary, zap.Refused, zap.Internal} {
		m.logins.WithLabelValues(name, strconv.Itoa(int(status)))
	}
}

// Login counts a decision of the ZAP handler, and how long it took; authenticator is empty if none
// decided.
func (m *Metrics) Login(authenticator string, status zap.Status, took time.Duration) {
	code := strconv.Itoa(int(status))
	m.logins.WithLabelValues(authenticator, code).Inc()
	m.authenticator.WithLabelValues(authenticator, code).Observe(took.Seconds())
}

// Judged counts how long a login took in all: with the time that it has waited for others, and that
// a refusal is held back.
func (m *Metrics) Judged(status zap.Status, took time.Duration) {
	m.login.WithLabelValues(strconv.Itoa(int(status))).Observe(took.Seconds())
}

// Reloaded counts a reload of the configuration. err is why it has failed; nil if it has not.
func (m *Metrics) Reloaded(err error) {
	m.reloadOK.Set(oneIf(err == nil))
	if err == nil {
		m.reloadTime.SetToCurrentTime()
		m.reloadFailure.Store(nil)
		return
	}
	m.reloadFailure.Store(&ReloadFailure{time.Now(), err})
}

// LoginWaits counts a login among those that wait for a free processor, until the function that
// it returns is called.
func (m *Metrics) LoginWaits() (done func()) {
	m.loginQueue.Inc()
	start := time.Now()
	return func() {
		m.loginQueue.Dec()
		m.loginWait.Observe(time.Since(start).Seconds())
	}
}

// Refused counts a client that was refused on the route at path, or on [NoRoute].
func (m *Metrics) Refused(path string, cause *zws.CloseError) {
	m.refusals.WithLabelValues(path, codeLabel(cause)).Inc()
}

// codeLabel returns the code of cause as a label. A client can close with any code, also
// with one that only the bridge uses: beyond those of RFC 6455, section 7.4.1, that counts
// as 1000.
func codeLabel(cause *zws.CloseError) string {
	code := cause.Code
	if errors.Is(cause, zws.ErrPeerClosed) && (code < 1000 || code > 1015) {
		code = zws.CodeNormal
	}
	return strconv.Itoa(int(code))
}

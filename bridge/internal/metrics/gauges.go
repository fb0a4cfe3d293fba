package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is asked at each scrape for what can be looked up, so that nothing has to be
// counted twice.
type Source interface {
	Gauges() Gauges
}

// Gauges are the present state of a bridge.
type Gauges struct {
	Connections int                  // WebSocket connections, including those that log in
	Listeners   map[string]Open      // by name
	Queues      map[string]Queue     // by the path of the route
	Backends    map[BackendState]int // connections to backends and inbound backends
	Waiting     map[string]int       // messages that nobody can take at present, by the path of the route
	Subscribed  map[string]int64     // bytes of subscriptions, by the path of the route
	Logins      Logins               // limits on refused logins
	History     map[string]History   // of routes with a history, by path
	Finders     map[Finder]Found     // what finds endpoints
	// CertificateExpiry is when the first certificate of the listener's chain expires; zero = unknown.
	CertificateExpiry time.Time
	UserFiles         map[string]bool // whether the users of an authenticator can be read from their file, by its name
}

// Open are the TCP connections of a listener.
type Open struct{ Now, Most int } // Most is 0 without a limit

// Logins are what the limits on refused logins count. Tracked and Blocked have a value for each of
// address, user and pair.
type Logins struct {
	Tracked, Blocked map[string]int
	Known            int // pairs that have logged in
	Waiting          int // logins that wait until others are decided
}

// Queue is what waits to be written to the clients of a route.
type Queue struct {
	Messages int
	Bytes    int64
}

// History is what a route keeps.
type History struct {
	Messages int
	Bytes    int64
	Queues   int
	Leads    bool // this bridge reads the backends
}

// Finder is a source of endpoints of a route, by the name in the configuration.
type Finder struct{ Route, Name string }

// Found is the state of a Finder.
type Found struct {
	Works     bool
	Endpoints int
}

// BackendState is a state of backends on a route.
type BackendState struct{ Route, State string }

type gauges struct{ source Source }

var (
	connections = prometheus.NewDesc("zwsbridge_connections",
		"WebSocket connections, including those that are logging in.", nil, nil)
	tcpConnections = prometheus.NewDesc("zwsbridge_tcp_connections",
		"TCP connections of every kind, WebSockets or not.", []string{"listener"}, nil)
	maxTCPConnections = prometheus.NewDesc("zwsbridge_max_tcp_connections",
		"How many TCP connections there can be, by the configuration and the file descriptors.", []string{"listener"}, nil)
	queuedMessages = prometheus.NewDesc("zwsbridge_queued_messages",
		"Messages that wait to be written to clients.", []string{"route"}, nil)
	queuedBytes = prometheus.NewDesc("zwsbridge_queued_bytes",
		"Bytes that wait to be written to clients.", []string{"route"}, nil)
	waitingMessages = prometheus.NewDesc("zwsbridge_waiting_messages",
		"Messages that nobody can take at present: no client may have them, or no backend is free.", []string{"route"}, nil)
	subscriptionBytes = prometheus.NewDesc("zwsbridge_subscription_bytes",
		"Bytes of the topics that clients are subscribed to; of PUB and XPUB routes with bind, what the subscriptions of backends count.", []string{"route"}, nil)
	historyMessages = prometheus.NewDesc("zwsbridge_history_messages",
		"Messages in the history of a route.", []string{"route"}, nil)
	historyBytes = prometheus.NewDesc("zwsbridge_history_bytes",
		"Memory of the history of a route: messages, last values and topics.", []string{"route"}, nil)
	permanentQueues = prometheus.NewDesc("zwsbridge_permanent_queues",
		"Permanent queues of users, with a client or without.", []string{"route"}, nil)
	historyLeader = prometheus.NewDesc("zwsbridge_history_leader",
		"1 if this bridge reads the backends of a route with a history, 0 if another one does by which the history is shared, or none.", []string{"route"}, nil)
	trackedFailures = prometheus.NewDesc("zwsbridge_refused_logins_tracked",
		"Addresses, users and pairs of them with refused logins in the last minute.", []string{"kind"}, nil)
	blockedLogins = prometheus.NewDesc("zwsbridge_refused_logins_blocked",
		"Addresses, users and pairs of them that have reached max_failures.", []string{"kind"}, nil)
	knownPairs = prometheus.NewDesc("zwsbridge_known_logins",
		"Pairs of a user and an address that have logged in within 24 hours.", nil, nil)
	waitingLogins = prometheus.NewDesc("zwsbridge_logins_waiting",
		"Logins that wait until others of their address or user are decided.", nil, nil)
	userFiles = prometheus.NewDesc("zwsbridge_auth_file_readable",
		"1 if the file or directory of an authenticator can be read, 0 if not, so that nobody can log in by it.", []string{"authenticator"}, nil)
	sourceWorks = prometheus.NewDesc("zwsbridge_endpoint_source_up",
		"1 if a source of endpoints works, 0 if it has failed and its last list stays in force.", []string{"route", "source"}, nil)
	sourceEndpoints = prometheus.NewDesc("zwsbridge_endpoint_source_endpoints",
		"Endpoints in the list of a source that is in force.", []string{"route", "source"}, nil)
	certificateExpiry = prometheus.NewDesc("zwsbridge_certificate_expiry_timestamp_seconds",
		"When the TLS certificate of a listener, or an earlier one of its chain, expires, in Unix time.", []string{"listener"}, nil)
	backends = prometheus.NewDesc("zwsbridge_backends",
		"Connections to backends, and inbound backends, by state.", []string{"route", "state"}, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, tcpConnections, maxTCPConnections, queuedMessages, queuedBytes, waitingMessages, subscriptionBytes,
		historyMessages, historyBytes, historyLeader, permanentQueues, trackedFailures, blockedLogins, knownPairs, waitingLogins, userFiles, sourceWorks, sourceEndpoints, backends,
		certificateExpiry} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now := g.source.Gauges()
	gauge(connections, float64(now.Connections))
	for name, l := range now.Listeners {
		gauge(tcpConnections, float64(l.Now), name)
		if l.Most > 0 {
			gauge(maxTCPConnections, float64(l.Most), name)
		}
	}
	for path, q := range now.Queues {
		gauge(queuedMessages, float64(q.Messages), path)
		gauge(queuedBytes, float64(q.Bytes), path)
	}
	for path, n := range now.Waiting {
		gauge(waitingMessages, float64(n), path)
	}
	for path, n := range now.Subscribed {
		gauge(subscriptionBytes, float64(n), path)
	}
	for path, h := range now.History {
		gauge(historyMessages, float64(h.Messages), path)
		gauge(historyBytes, float64(h.Bytes), path)
		gauge(historyLeader, oneIf(h.Leads), path)
		gauge(permanentQueues, float64(h.Queues), path)
	}
	for kind, n := range now.Logins.Tracked {
		gauge(trackedFailures, float64(n), kind)
	}
	for kind, n := range now.Logins.Blocked {
		gauge(blockedLogins, float64(n), kind)
	}
	gauge(knownPairs, float64(now.Logins.Known))
	gauge(waitingLogins, float64(now.Logins.Waiting))
	if t := now.CertificateExpiry; !t.IsZero() {
		gauge(certificateExpiry, float64(t.Unix()), "server")
	}
	for name, readable := range now.UserFiles {
		gauge(userFiles, oneIf(readable), name)
	}
	for f, found := range now.Finders {
		gauge(sourceWorks, oneIf(found.Works), f.Route, f.Name)
		gauge(sourceEndpoints, float64(found.Endpoints), f.Route, f.Name)
	}
	for b, n := range now.Backends {
		gauge(backends, float64(n), b.Route, b.State)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Returned is what a process of clients that lost the bridge reports.
type Returned struct {
	At       []int64        // when each client had data again, earliest first, on the monotonic clock in nanoseconds
	Attempts int            // connections that the clients have tried since they lost theirs
	Failures map[string]int // why attempts failed, and how often
}

// Reconnect connects n clients to the bridge at address and writes a line to out as soon as all of
// them have data. The clients behave as zws.js does when the bridge goes: they come back by its
// back-off and its reading of the server's advice. Once each has lost its connection and has data
// again, or limit after the first loss, Reconnect writes a [Returned] in JSON.
func Reconnect(address string, secure bool, n int, limit time.Duration, out io.Writer) error {
	crowd := &reconnecting{srv: &Server{Address: address, TLS: secure}, clients: n, has: make(map[int]bool), lost: make(chan struct{}), all: make(chan struct{})}
	crowd.result.Failures = make(map[string]int)
	places := make(chan struct{}, 64) // for clients that log in for the first time
	for i := range n {
		go crowd.client(i, places)
	}
	<-crowd.all
	crowd.mu.Lock()
	crowd.all, crowd.again = make(chan struct{}), true
	clear(crowd.has)
	crowd.mu.Unlock()
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	<-crowd.lost
	select {
	case <-crowd.all:
	case <-time.After(limit):
	}
	crowd.mu.Lock()
	defer crowd.mu.Unlock()
	slices.Sort(crowd.result.At)
	return json.NewEncoder(out).Encode(crowd.result)
}

// reconnecting is a crowd of clients that come back.
type reconnecting struct {
	srv     *Server
	clients int

	mu     sync.Mutex
	again  bool          // each client has had data once
	has    map[int]bool  // the clients that have some, or some again
	all    chan struct{} // closed when all clients are in has
	lost   chan struct{} // closed by the first client that loses the bridge
	result Returned
}

// sources is how many addresses the clients connect from: each has 28,000 ports for them, and a
// port stays in use for a minute after its connection.
const sources = 32

// client connects and comes back until the process ends or the bridge refuses it for good.
func (r *reconnecting) client(i int, places chan struct{}) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%sources))}
	var b backoff
	places <- struct{}{}
	leave := sync.OnceFunc(func() { <-places })
	for {
		err := r.connection(from, &b, leave, func() { r.arrived(i) })
		var end closeError
		errors.As(err, &end)
		r.failed(err)
		if end.final() {
			return
		}
		time.Sleep(b.next(end.code, end.reason))
	}
}

// connection connects once and returns why the connection has ended. It calls loggedIn when the bridge
// has accepted the login, and hasData when the first message is there.
func (r *reconnecting) connection(from *net.TCPAddr, b *backoff, loggedIn, hasData func()) error {
	c, err := dial(&net.Dialer{LocalAddr: from, Timeout: handshakeTimeout}, r.srv, "/sub", plainSubprotocol, handshakeTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := plainHandshake(c, "SUB", ""); err != nil {
		return err
	}
	b.ready = time.Now()
	loggedIn()
	if err := c.Send(OpBinary, "\x00\x01"+Topic); err != nil {
		return err
	}
	c.SetDeadline(time.Time{})
	for first := true; ; first = false {
		if _, err := c.Receive(); err != nil {
			return err
		}
		if first {
			hasData()
		}
	}
}

// arrived counts a client that has data.
func (r *reconnecting) arrived(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.has[i] {
		return
	}
	r.has[i] = true
	if r.again {
		r.result.At = append(r.result.At, clock())
	}
	if len(r.has) == r.clients {
		close(r.all)
	}
}

// failed counts a connection that ended or was not made. Before all clients have had data a failure
// is only tried again.
func (r *reconnecting) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.again {
		return
	}
	select {
	case <-r.lost:
	default:
		close(r.lost)
	}
	r.result.Failures[failureText(err)]++
	r.result.Attempts++
}

// ports are the numbers that differ between errors of the same kind.
var ports = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:\d+`)

func failureText(err error) string { return ports.ReplaceAllString(err.Error(), "ADDRESS") }

// The rule by which zws.js comes back (zws/js/zws/timers.js and options.js).
const (
	handshakeTimeout = 30 * time.Second
	firstInterval    = 250 * time.Millisecond
	longestInterval  = 30 * time.Second
	stableTime       = 10 * time.Second
	codeTooMany      = 4429
)

var (
	advicePattern = regexp.MustCompile(`; retry in (\d+)s$`)
	finalCodes    = []int{1002, 1003, 1007, 1009, 4400, 4401, 4403, 4404, 4406, 4409, 4500, 4502}
)

// backoff is a client's memory of its failures.
type backoff struct {
	failures int
	ready    time.Time // when it was logged in last; zero if not since the last failure
}

// next returns how long the client waits after a connection that ended with a code and a reason; 0 and
// "" if it had none. The server's advice counts, and up to half as long in addition; without one the
// client waits between half of the interval and the whole, which doubles until a connection was stable.
func (b *backoff) next(code int, reason string) time.Duration {
	if !b.ready.IsZero() && time.Since(b.ready) >= stableTime {
		b.failures = 0
	}
	b.ready = time.Time{}
	random := rand.Float64()
	if advice := advicePattern.FindStringSubmatch(reason); advice != nil {
		seconds, _ := strconv.Atoi(advice[1]) // matched: it is a number
		return time.Duration(float64(seconds) * (1 + random/2) * float64(time.Second))
	}
	interval := longestInterval
	if code != codeTooMany {
		interval = min(firstInterval<<min(b.failures, 10), longestInterval)
		b.failures++
	}
	return time.Duration(float64(interval) * (1 + random) / 2)
}

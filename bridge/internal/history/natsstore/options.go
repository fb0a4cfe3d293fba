package natsstore

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// Options configure a Share.
type Options struct {
	Server Server
	// Name is what the streams and buckets of the bridges that share begin with, and Route the
	// path of the route.
	Name, Route string
	// Replicas is on how many servers NATS keeps them. 0 means 1.
	Replicas int
	// Lease is how long a leader that is not heard of stays the leader. 0 means 3 s.
	Lease time.Duration
	// Bridge names this bridge to operators and to the others. It is different for each.
	Bridge string
	// Bounds are those of the route's history.
	Bounds Bounds
	// Log is the copy of this bridge (history.Options.Replica).
	Log *history.Log
	// Deliver adds a batch to Log and delivers its messages. It is called in the order of the
	// stream, by one goroutine.
	Deliver func(history.Batch) error
	// Operate, if not nil, does, while this bridge leads, what an operator has asked of another one
	// (Share.Operate), and returns the result. Share.Close waits for it.
	Operate func(request []byte) (reply []byte)
	Logger  *slog.Logger
}

// Bounds are the part of the options that can change.
type Bounds struct {
	Topics   [][]byte
	MaxBytes int64
	MaxAge   time.Duration // 0: not bounded
	QueueAge time.Duration // 0: not bounded
}

// waiting is how many bytes can wait for NATS.
func (b Bounds) waiting() int64 { return max(b.MaxBytes, minWaiting) }

// Server is how NATS is reached.
type Server struct {
	URLs        []string
	Credentials string // a .creds file
	User        string
	Password    string // a file
	CA          string
	Cert, Key   string
}

const (
	defaultLease  = 3 * time.Second
	reconnectWait = 100 * time.Millisecond
	dialTimeout   = 2 * time.Second
)

// connect connects in the background; changed is called when a connection is made or lost, and failed
// when none could be made, or another error has no caller.
func (o *Options) connect(changed func(), failed func(error)) (*nats.Conn, error) {
	s := &o.Server
	options := []nats.Option{
		nats.Name("zwsbridge " + o.Route),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.Timeout(dialTimeout),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait, 2*reconnectWait),
		// A password can be corrected, and servers can be started with the wrong ones for a while.
		nats.IgnoreAuthErrorAbort(),
		// What could not be written is written again by what knows whether it was.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(o.Lease / 2), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { changed() }),
		nats.ReconnectHandler(func(*nats.Conn) { changed() }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { changed() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { failed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed(err) }),
	}
	if s.Credentials != "" {
		options = append(options, nats.UserCredentials(s.Credentials))
	}
	if s.User != "" {
		options = append(options, nats.UserInfoHandler(func() (string, string) { return s.User, s.password(o.Logger) }))
	}
	if s.CA != "" {
		options = append(options, nats.RootCAs(s.CA))
	}
	if s.Cert != "" {
		options = append(options, nats.ClientCert(s.Cert, s.Key))
	}
	return nats.Connect(strings.Join(s.URLs, ","), options...)
}

// password reads the password, for each connection.
func (s *Server) password(logger *slog.Logger) string {
	if s.Password == "" {
		return ""
	}
	text, err := os.ReadFile(s.Password)
	if err != nil {
		logger.Error("history: the password for NATS cannot be read", "error", err.Error())
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r")
}

var (
	errConnection = errors.New("no connection to NATS")
	errNoLeader   = errors.New("no bridge reads the backends and writes to NATS")

	// ErrLoading is the error in the state of a log whose stream is being read.
	ErrLoading = errors.New("the stream is being read")
)

// escape returns text as a part of the name of a stream or subject: letters, digits and - stay,
// other bytes become _XX. It is different for each text.
func escape(text string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			b.Write([]byte{'_', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// routeName is what the names of a route have.
func routeName(path string) string {
	if name := escape(strings.TrimPrefix(path, "/")); name != "" && strings.HasPrefix(path, "/") {
		return name
	}
	return "_" + escape(path) // no other name begins with an escape of / and ends there
}

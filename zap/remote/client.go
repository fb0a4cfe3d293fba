package remote

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The defaults of [Options].
const (
	DefaultTimeout    = 5 * time.Second
	DefaultMaxPending = 1000
)

// Options configures a [Client].
type Options struct {
	// Endpoint is the handler's endpoint: tcp://host:port, ipc:///path or ipc://@name.
	Endpoint string
	// Security authenticates us to the handler; nil means [zmtp.Null]. An endpoint that is
	// neither ipc nor loopback requires [zmtp.Curve].
	Security zmtp.ClientSecurity
	// Timeout limits a request, including the time to connect if necessary; 0 means
	// [DefaultTimeout].
	Timeout time.Duration
	// MaxPending is how many requests may wait for replies at the same time; 0 means
	// [DefaultMaxPending]. Further requests fail at once.
	MaxPending int
}

// Client is a [zap.Handler] that asks a remote one with a DEALER socket: all requests use one
// connection concurrently and are matched to replies by their ids. It is safe for concurrent
// use.
//
// The client connects for the first request, and again for the first one after the connection
// was lost. It returns the handler's 200, 300 or 500. A 400 becomes a [zap.PassError], so that
// a chain continues. A malformed reply, a timeout and a lost connection are errors, status 300;
// a request is never sent twice.
type Client struct {
	o      Options
	prefix string // of the request ids, unique to this Client
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	link    *link  // nil before the first request and after a loss
	last    uint64 // number of the last request
	pending int
	running sync.WaitGroup // Add under mu, and only while ctx is not done
}

// New checks the options and returns a client, which the caller closes. It does not connect, so
// that the handler may start later.
func New(o Options) (*Client, error) {
	local, err := isLocal(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("zap handler: %w", err)
	}
	if o.Security == nil {
		o.Security = zmtp.Null{}
	}
	if name := o.Security.Name(); !local && name != zap.CURVE {
		return nil, fmt.Errorf("zap handler: endpoint %s is neither ipc nor loopback: requires CURVE, not %s", o.Endpoint, name)
	}
	if o.Timeout < 0 || o.MaxPending < 0 {
		return nil, fmt.Errorf("zap handler: timeout %v and %d pending requests: must not be negative", o.Timeout, o.MaxPending)
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxPending = cmp.Or(o.MaxPending, DefaultMaxPending)
	c := &Client{o: o, prefix: rand.Text()[:8]}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close closes the connection and waits for its goroutines. Pending requests fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// Authenticate implements [zap.Handler].
func (c *Client) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	guard := zap.GuardOf(ctx)
	if err := guard.Enter(ctx); err != nil {
		return nil, err
	}
	defer guard.Leave()
	timeout := fmt.Errorf("no reply within %v: %w", c.o.Timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, timeout)
	defer cancel()
	link, id, err := c.enter()
	if err != nil {
		return nil, fmt.Errorf("zap handler %s: %w", c.o.Endpoint, err)
	}
	defer c.leave()
	reply, err := link.ask(ctx, id, req)
	switch {
	case err != nil:
		return nil, fmt.Errorf("zap handler %s: %w", c.o.Endpoint, err)
	case reply.Status == zap.Refused:
		return nil, zap.Pass("refused by the ZAP handler at %s: %q", c.o.Endpoint, reply.Text)
	}
	return reply, nil
}

// Guarded implements [zap.Guarded]: the time to wait for other logins is not that of the handler.
func (c *Client) Guarded() {}

// enter counts a request and returns its id and the connection, which may not be established
// yet.
func (c *Client) enter() (*link, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return nil, "", errors.New("the client is closed")
	case c.pending == c.o.MaxPending:
		return nil, "", fmt.Errorf("%d requests are pending", c.pending)
	}
	c.pending++
	c.last++
	if c.link == nil || !c.link.usable() {
		c.link = newLink(c.ctx, c.o)
		c.running.Go(c.link.run)
	}
	return c.link, fmt.Sprintf("%s-%d", c.prefix, c.last), nil
}

func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending--
}

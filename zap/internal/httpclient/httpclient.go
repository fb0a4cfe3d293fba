package httpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap/internal/fair"
)

// The defaults of [Options].
const (
	DefaultTimeout     = 5 * time.Second
	DefaultConnections = 64
	DefaultMaxBody     = 64 << 10
)

// maxHeader is the limit on a response's header in bytes.
const maxHeader = 64 << 10

// idleTimeout is how long an unused connection is kept open.
const idleTimeout = 90 * time.Second

// Options configures [HTTP] and [New].
type Options struct {
	// TLS verifies the service and holds our client certificate; nil means the system's
	// certificate authorities and no certificate.
	TLS *tls.Config
	// Timeout limits a request, including the wait for a connection and the response's
	// body; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Connections is how many requests may be in flight at the same time, each on a
	// connection that is kept open afterwards; further requests wait. 0 means
	// [DefaultConnections] for [New]. For [HTTP] it means no limit, and a connection that
	// is closed after each request.
	Connections int
	// MaxBody is the limit on a response's body in bytes; 0 means [DefaultMaxBody].
	MaxBody int64
	// Proxy uses the proxies that the environment names.
	Proxy bool
	// Transport replaces the network in tests.
	Transport http.RoundTripper
}

// HTTP returns a client that follows no redirects: it returns the redirect itself as the
// response. Reading more than MaxBody bytes of a body is an error.
func HTTP(o Options) *http.Client {
	transport := o.Transport
	if transport == nil {
		t := &http.Transport{
			TLSClientConfig:        o.TLS,
			MaxConnsPerHost:        o.Connections,
			MaxIdleConnsPerHost:    o.Connections,
			DisableKeepAlives:      o.Connections == 0,
			IdleConnTimeout:        idleTimeout,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
			Protocols:              new(http.Protocols),
		}
		t.Protocols.SetHTTP1(true)
		if o.Proxy {
			t.Proxy = http.ProxyFromEnvironment
		}
		transport = t
	}
	return &http.Client{
		Timeout:       cmp.Or(o.Timeout, DefaultTimeout),
		Transport:     limited{transport, cmp.Or(o.MaxBody, DefaultMaxBody)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// limited is a RoundTripper with a limit on bodies.
type limited struct {
	http.RoundTripper
	maxBody int64
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{http.MaxBytesReader(nil, resp.Body, l.maxBody)}
	}
	return resp, err
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (l limited) CloseIdleConnections() {
	if c, ok := l.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// limitedBody replaces the error of http.MaxBytesReader, which speaks of a request.
type limitedBody struct{ io.ReadCloser }

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = fmt.Errorf("response body exceeds %d bytes", e.Limit)
	}
	return n, err
}

// ValidURL reports whether text is an http:// or https:// URL with a host and without a
// fragment.
func ValidURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Fragment == ""
}

// Client sends requests to one service over HTTP/1.1, without a proxy unless Options say
// otherwise. It is safe for concurrent use.
type Client struct {
	client  *http.Client
	timeout time.Duration
	slots   *fair.Slots // for requests in flight

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // Add under mu, and only while not closed
}

// ErrClosed is returned by a [Client] after Close.
var ErrClosed = errors.New("HTTP client is closed")

// New returns a client, which the caller closes. It does not connect. A negative timeout or
// number of connections is an error.
func New(o Options) (*Client, error) {
	if o.Timeout < 0 || o.Connections < 0 {
		return nil, fmt.Errorf("timeout %v and %d connections: must not be negative", o.Timeout, o.Connections)
	}
	o.Connections = cmp.Or(o.Connections, DefaultConnections)
	c := HTTP(o)
	timeout := c.Timeout
	c.Timeout = 0 // Do sets a deadline, which gives a better error
	return &Client{client: c, timeout: timeout, slots: fair.New(o.Connections)}, nil
}

// Close waits for the requests in flight and closes the connections. Later requests fail with
// [ErrClosed].
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
	c.client.CloseIdleConnections()
	return nil
}

// Do sends a request, within the timeout and the request's context, and returns the status
// and the whole body of the response. Errors do not contain the URL, whose query may hold a
// secret.
func (c *Client) Do(req *http.Request) (status int, body []byte, err error) {
	if err := c.enter(); err != nil {
		return 0, nil, err
	}
	defer c.running.Done()
	timeout := fmt.Errorf("no response within %v: %w", c.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(req.Context(), c.timeout, timeout)
	defer cancel()
	if err := c.slots.Acquire(ctx); err != nil {
		return 0, nil, err
	}
	defer c.slots.Release()
	req = req.WithContext(ctx)
	// Allows net/http to repeat the request if a kept connection turns out to be dead. A
	// header without values is not sent.
	req.Header["Idempotency-Key"] = nil
	status, body, err = c.do(req)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return status, body, err
}

func (c *Client) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.running.Add(1)
	return nil
}

func (c *Client) do(req *http.Request) (int, []byte, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("response with status %d: %w", resp.StatusCode, err)
	}
	return resp.StatusCode, body, nil
}

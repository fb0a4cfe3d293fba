// Package httpclient asks HTTP services that decide on logins: in bounded time, over
// connections that are kept, and with everything bounded that the service sends.
package httpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// The defaults of [Options].
const (
	DefaultTimeout     = 5 * time.Second
	DefaultConnections = 64
)

// What a service may send, in octets.
const (
	MaxBody   = 64 << 10
	maxHeader = 64 << 10
)

// idleTimeout is how long a connection is kept that nobody uses.
const idleTimeout = 90 * time.Second

// Options describe a [Client].
type Options struct {
	// TLS verifies the service and shows it our certificate; nil means the system's
	// authorities and no certificate.
	TLS *tls.Config
	// Timeout is how long one question may take, the wait for a connection included; 0
	// means [DefaultTimeout].
	Timeout time.Duration
	// Connections is how many questions may be under way at the same time, each over a
	// connection of its own; 0 means [DefaultConnections]. The next wait.
	Connections int
}

// Client asks over HTTP/1.1. It follows no redirect: a service that answers with one has
// not decided. It uses no proxy. It is safe for concurrent use.
type Client struct {
	client  http.Client
	timeout time.Duration

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // Add under mu, and only while not closed
}

// ErrClosed is what a closed [Client] answers.
var ErrClosed = errors.New("this client is closed")

// New makes a client, which the caller closes.
func New(o Options) (*Client, error) {
	if o.Timeout < 0 || o.Connections < 0 {
		return nil, fmt.Errorf("timeout %v and %d connections: neither may be negative", o.Timeout, o.Connections)
	}
	timeout, connections := cmp.Or(o.Timeout, DefaultTimeout), cmp.Or(o.Connections, DefaultConnections)
	return &Client{
		timeout: timeout,
		client: http.Client{
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
				TLSClientConfig:        o.TLS,
				MaxConnsPerHost:        connections,
				MaxIdleConnsPerHost:    connections,
				IdleConnTimeout:        idleTimeout,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeader,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close waits for the questions that are under way and closes the connections. Later
// questions fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
	c.client.CloseIdleConnections()
	return nil
}

// Do sends a question, whose context it bounds by the timeout, and returns the whole
// answer. The error never holds the URL, whose query may be a secret.
func (c *Client) Do(req *http.Request) (status int, body []byte, err error) {
	if err := c.enter(); err != nil {
		return 0, nil, err
	}
	defer c.running.Done()
	late := fmt.Errorf("no answer within %v: %w", c.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(req.Context(), c.timeout, late)
	defer cancel()
	req = req.WithContext(ctx)
	// A question may be asked again if a kept connection turns out to be dead. A value of
	// no elements says so to package http and is not sent.
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
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("answer of status %d: %w", resp.StatusCode, err)
	case len(body) > MaxBody:
		return 0, nil, fmt.Errorf("answer of status %d with more than %d octets", resp.StatusCode, MaxBody)
	}
	return resp.StatusCode, body, nil
}

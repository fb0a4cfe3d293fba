package adminclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer limits an answer, in bytes: 100,000 sessions have about 40 MB.
const maxAnswer = 256 << 20

// Options say where a bridge is, and who asks.
type Options struct {
	// URL is the operators' interface, as http://host:port or https://host; Socket is the path of
	// admin.socket. One of them is given.
	URL    string
	Socket string
	// Token is the admin token or that of a login; User and Password are a login. Without either,
	// the client sends no credentials.
	Token    string
	User     string
	Password string
	TLS      *tls.Config // for https; nil means the certificates of the system
	Timeout  time.Duration
}

// Client asks one bridge. It may be used concurrently.
type Client struct {
	http *http.Client
	base string
	o    Options
}

// New returns a client. It does not connect.
func New(o Options) *Client {
	c := &Client{base: strings.TrimSuffix(o.URL, "/"), o: o}
	t := &http.Transport{TLSClientConfig: o.TLS, DisableKeepAlives: true} // no proxy of the environment
	if o.Socket != "" {
		c.base = "http://localhost"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.Socket)
		}
	}
	c.http = &http.Client{Transport: t, Timeout: o.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // it would take the credentials elsewhere
	}}
	return c
}

// Error is an answer that is not a success.
type Error struct {
	Path   string
	Status int
	Text   string // of the bridge, or of a proxy in front of it
}

func (e *Error) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %d %s: %s", e.Path, e.Status, http.StatusText(e.Status), e.Text))
}

// Refused reports whether the bridge does not take the credentials, or does not permit the
// request to them.
func (e *Error) Refused() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests
}

// Summary is the bridge as a whole: the part of /summary that the commands print.
type Summary struct {
	Version        string    `json:"version"`
	Since          time.Time `json:"since"`
	Connections    int       `json:"connections"`
	MaxConnections int       `json:"max_connections"` // 0 = no limit
	Draining       int       `json:"draining"`        // connections that the process before has left
	Routes         []Route   `json:"routes"`
}

// Route counts what a route has done since the start, and its sessions now.
type Route struct {
	Path        string `json:"path"`
	Socket      string `json:"socket"`
	Sessions    uint64 `json:"sessions"`
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	Dropped     uint64 `json:"dropped"`
	Waiting     uint64 `json:"waiting"`
}

// Summary returns the bridge as a whole.
func (c *Client) Summary(ctx context.Context) (s Summary, err error) {
	return s, c.get(ctx, "/summary", &s)
}

// Readiness is what is wrong with a bridge. Unready: it cannot serve clients.
type Readiness struct {
	Unready  []string `json:"unready,omitempty"`
	Degraded []string `json:"degraded"`
}

// Readiness returns what is wrong with the bridge.
func (c *Client) Readiness(ctx context.Context) (r Readiness, err error) {
	status, body, err := c.do(ctx, http.MethodGet, "/readyz", nil)
	switch {
	case err != nil:
		return r, err
	case status != http.StatusOK && status != http.StatusServiceUnavailable:
		return r, failed("/readyz", status, body)
	}
	return r, decode("/readyz", body, &r)
}

// Probe returns the text of /livez or /readyz; an [Error] unless the status is 200.
func (c *Client) Probe(ctx context.Context, path string) (string, error) {
	status, body, err := c.do(ctx, http.MethodGet, path, nil)
	if err == nil && status != http.StatusOK {
		err = failed(path, status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// pageSize is how many sessions are asked for at a time.
const pageSize = 1000

// Sessions lists the sessions of a user and on a route, oldest first; empty means all.
func (c *Client) Sessions(ctx context.Context, user, route string) ([]json.RawMessage, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"user": user, "route": route} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var list []json.RawMessage
	for {
		var page struct {
			Sessions []json.RawMessage `json:"sessions"`
			Next     string            `json:"next"` // for ?after=; empty if there are no more
		}
		if err := c.get(ctx, "/sessions?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		list = append(list, page.Sessions...)
		if page.Next == "" {
			return list, nil
		}
		query.Set("after", page.Next)
	}
}

// Kick ends the session of that number, or if it is 0 those of the user, and returns how many.
func (c *Client) Kick(ctx context.Context, session uint64, user string) (int, error) {
	var done struct{ Kicked int }
	err := c.post(ctx, "/sessions/kick", struct {
		Session uint64 `json:"session"`
		User    string `json:"user"`
	}{session, user}, &done)
	return done.Kicked, err
}

// Reloaded is what a reload has changed.
type Reloaded struct {
	Changed     []string `json:"changed"`      // keys
	NeedRestart []string `json:"need_restart"` // keys that take effect after a restart
}

// Reload has the bridge read its configuration file again.
func (c *Client) Reload(ctx context.Context) (r Reloaded, err error) {
	return r, c.post(ctx, "/reload", struct{}{}, &r)
}

func (c *Client) get(ctx context.Context, path string, v any) error {
	return c.ask(ctx, http.MethodGet, path, nil, v)
}

func (c *Client) post(ctx context.Context, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.ask(ctx, http.MethodPost, path, text, v)
}

// ask sends a request and decodes the answer.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, v any) error {
	status, answer, err := c.do(ctx, method, path, body)
	path, _, _ = strings.Cut(path, "?")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return failed(path, status, answer)
	}
	return decode(path, answer, v)
}

func failed(path string, status int, body []byte) error {
	return &Error{path, status, strings.TrimSpace(string(body[:min(len(body), 4<<10)]))}
}

func decode(path string, body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s: the answer is not that of a bridge's admin interface: %w", path, err)
	}
	return nil
}

// do sends a request with the login and returns status and body.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	switch {
	case c.o.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	case c.o.User != "":
		req.SetBasicAuth(c.o.User, c.o.Password)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, answer, err
}

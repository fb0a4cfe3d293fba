package jwt

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// How often remote keys are fetched.
const (
	// RefreshInterval is how old they may be: a key that the issuer has removed is
	// removed here by then.
	RefreshInterval = 5 * time.Minute
	// RetryInterval stands in its place while the issuer cannot be reached.
	RetryInterval = 15 * time.Second
	// RefetchInterval is how often tokens with an unknown kid may cause a fetch.
	RefetchInterval = 5 * time.Second
)

// remoteSource is what the keyring calls these keys.
const remoteSource = "remote"

// maxDocument is how many octets a discovery document or a key set may have.
const maxDocument = 1 << 20

// remoteKeys are the keys at a JWKS URL, or where the issuer's discovery document says.
type remoteKeys struct {
	issuer  string // if its discovery document tells the URL
	url     string // else the URL
	client  *http.Client
	timeout time.Duration
	ring    *keyring
	log     *slog.Logger
	ctx     context.Context // of all requests; ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	flight *fetch    // under way; nil if none is
	last   time.Time // when a token last caused one
	err    error     // of the last that ended
}

// fetch is one request that is under way.
type fetch struct {
	done chan struct{} // closed once err is set
	err  error
}

var errNotYet = errors.New("the issuer's keys have not been fetched yet")

// newRemoteKeys begins to fetch, and goes on until close.
func newRemoteKeys(o *Options, ring *keyring, log *slog.Logger) (*remoteKeys, error) {
	r := &remoteKeys{url: o.JWKSURL, timeout: o.Timeout, ring: ring, log: log, err: errNotYet}
	if o.Discovery {
		r.issuer = o.Issuer
	}
	for _, u := range []string{r.url, r.issuer} {
		if err := CheckURL(u); u != "" && err != nil {
			return nil, err
		}
	}
	r.client = newClient(o)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(r.run)
	return r, nil
}

// newClient makes a client that goes nowhere but where it is sent.
func newClient(o *Options) *http.Client {
	c := &http.Client{
		Transport: o.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("redirects are not followed")
		},
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: o.Timeout,
			MaxIdleConns:        1,
			IdleConnTimeout:     time.Minute,
		}
	}
	return c
}

// CheckURL tells why keys cannot be fetched from a URL, or an issuer's document: they are
// by https, and from this machine also by http.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("is no URL of keys: want https://host/path")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s://%s: keys are fetched by https only, by http from loopback", u.Scheme, u.Host)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || host == "localhost"
}

// run fetches the keys, and again when they are old.
func (r *remoteKeys) run() {
	for {
		wait := RefreshInterval
		if err := r.join(r.ctx, false); err != nil && r.ctx.Err() == nil {
			r.log.Error("token keys could not be fetched: those of before stay in force", "error", err)
			wait = RetryInterval
		}
		select {
		case <-time.After(wait):
		case <-r.ctx.Done():
			return
		}
	}
}

// refetch is called for a token whose kid is unknown. It returns nil if the keys are fresh
// now, as far as a request may be made for that, and why they are not if they are not.
func (r *remoteKeys) refetch(ctx context.Context) error { return r.join(ctx, true) }

// join waits for the fetch that is under way, or begins one.
func (r *remoteKeys) join(ctx context.Context, limited bool) error {
	r.mu.Lock()
	f := r.flight
	if f == nil {
		if limited && r.err != errNotYet { // the first fetch is everybody's
			if time.Since(r.last) < RefetchInterval {
				defer r.mu.Unlock()
				return r.err
			}
			r.last = time.Now()
		}
		f = r.start()
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start makes the requests in a goroutine of its own, for all who wait. Lock held on entry.
func (r *remoteKeys) start() *fetch {
	f := &fetch{done: make(chan struct{})}
	r.flight = f
	r.running.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
		defer cancel()
		changed, err := r.fetch(ctx)
		r.mu.Lock()
		r.flight, r.err, f.err = nil, err, err
		r.mu.Unlock()
		close(f.done)
		if changed { // whoever waits for a key does not wait for those who follow
			r.ring.changes.Notify()
		}
	})
	return f
}

// fetch gets the keys and makes them those in force.
func (r *remoteKeys) fetch(ctx context.Context) (changed bool, err error) {
	from := r.url
	if r.issuer != "" {
		if from, err = r.discover(ctx); err != nil {
			return false, err
		}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := r.get(ctx, from, &set); err != nil {
		return false, err
	}
	if set.Keys == nil || len(set.Keys) > MaxKeys {
		return false, fmt.Errorf("%s: no key set, or one of more than %d keys", from, MaxKeys)
	}
	var keys []key
	for _, raw := range set.Keys {
		k, _, err := parseJWK("", raw)
		if err == nil && k.secret() {
			err = errors.New("shared secret in a public key set")
		}
		if err != nil { // sets hold keys for other uses and of newer kinds
			r.log.Debug("remote key that is not used", "url", from, "error", err)
			continue
		}
		keys = append(keys, k)
	}
	if changed = r.ring.set(remoteSource, keys); changed {
		r.log.Info("token keys changed", "url", from, "keys", len(keys))
	}
	return changed, nil
}

// discover reads where the keys are from the issuer's own document (OpenID Connect
// Discovery 1.0, section 4).
func (r *remoteKeys) discover(ctx context.Context) (string, error) {
	at := strings.TrimSuffix(r.issuer, "/") + "/.well-known/openid-configuration"
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := r.get(ctx, at, &document); err != nil {
		return "", err
	}
	if document.Issuer != r.issuer { // section 4.3
		return "", fmt.Errorf("%s: is the document of issuer %.100q, want %q", at, document.Issuer, r.issuer)
	}
	if err := CheckURL(document.JWKSURI); err != nil {
		return "", fmt.Errorf("%s: jwks_uri: %w", at, err)
	}
	return document.JWKSURI, nil
}

// get reads a JSON document.
func (r *remoteKeys) get(ctx context.Context, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: answers %s", from, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", from, err)
	case len(body) > maxDocument:
		return fmt.Errorf("%s: more than %d octets", from, maxDocument)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: no JSON document of the form that is wanted", from)
	}
	return nil
}

// close ends the fetching and waits for what is under way.
func (r *remoteKeys) close() {
	r.cancel()
	r.running.Wait()
	r.client.CloseIdleConnections()
}

package jwt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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

	"github.com/zwsbridge/zwsbridge/zap/internal/httpclient"
)

// How often remote keys are fetched.
const (
	// RefreshInterval is the time between two fetches, after which a key that the issuer
	// has removed is removed here too.
	RefreshInterval = 5 * time.Minute
	// RetryInterval replaces RefreshInterval while the issuer cannot be reached.
	RetryInterval = 15 * time.Second
	// RefetchInterval is the shortest time between two fetches that are caused by tokens
	// with an unknown kid.
	RefetchInterval = 5 * time.Second
)

// MaxDocument is the limit in bytes on a discovery document, a key set, and every other
// response that a client from [HTTPClient] reads.
const MaxDocument = 1 << 20

// remoteSource is the source of the remote keys in the keyring.
const remoteSource = "remote"

// remoteKeys fetches the keys at a JWKS URL, which may come from a discovery document.
type remoteKeys struct {
	issuer  string // set if its discovery document names the URL
	url     string // set otherwise
	client  *http.Client
	timeout time.Duration
	ring    *keyring
	log     *slog.Logger
	ctx     context.Context // of all requests; ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	current *fetch    // in flight; nil if there is none
	last    time.Time // when a token last caused a fetch
	err     error     // of the last fetch that ended
}

// fetch is one fetch in flight.
type fetch struct {
	done chan struct{} // closed once err is set
	err  error
}

var errNotYet = errors.New("the issuer's keys have not been fetched yet")

// newRemoteKeys starts to fetch the keys, until close.
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
	r.client = newHTTPClient(o.Roots, o.Timeout, o.transport)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(r.run)
	return r, nil
}

// HTTPClient returns a client for requests to a token issuer. It requires TLS 1.2, trusts the
// given roots (nil: those of the system), uses the proxies that the environment names, does
// not follow redirects and limits every response to [MaxDocument] bytes. A timeout of 0 means
// [DefaultTimeout]. It keeps no connections open and need not be closed.
func HTTPClient(roots *x509.CertPool, timeout time.Duration) *http.Client {
	return newHTTPClient(roots, timeout, nil)
}

func newHTTPClient(roots *x509.CertPool, timeout time.Duration, transport http.RoundTripper) *http.Client {
	return httpclient.HTTP(httpclient.Options{
		TLS:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		Timeout:   timeout,
		MaxBody:   MaxDocument,
		Proxy:     true,
		Transport: transport,
	})
}

// CheckURL returns an error if text is not a URL from which keys or an issuer's documents may
// be fetched: it must be an https URL without user information, or an http URL of a loopback
// address.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("not a URL that keys can be fetched from: want https://host/path")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s://%s: keys are fetched over https only, or over http from loopback", u.Scheme, u.Host)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || host == "localhost"
}

// run fetches the keys at every interval.
func (r *remoteKeys) run() {
	for {
		wait := RefreshInterval
		if _, err := r.join(r.ctx, false); err != nil && r.ctx.Err() == nil {
			r.log.Error("cannot fetch token keys, the previous ones stay in force", "error", err)
			wait = RetryInterval
		}
		select {
		case <-time.After(wait):
		case <-r.ctx.Done():
			return
		}
	}
}

// refetch is called for a token whose kid is unknown. It fetches the keys unless they were
// just fetched, and returns why that failed. fresh reports whether the fetch began during the
// call: one that began earlier may lack a key that signed the token.
func (r *remoteKeys) refetch(ctx context.Context) (fresh bool, err error) { return r.join(ctx, true) }

// join waits for the fetch in flight, or starts one. If limited, it starts none within
// RefetchInterval and returns the error of the last one.
func (r *remoteKeys) join(ctx context.Context, limited bool) (started bool, err error) {
	r.mu.Lock()
	f := r.current
	if f == nil {
		if limited && r.err != errNotYet { // the first fetch does not count
			if time.Since(r.last) < RefetchInterval {
				defer r.mu.Unlock()
				return false, r.err
			}
			r.last = time.Now()
		}
		f, started = r.start(), true
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return started, f.err
	case <-ctx.Done():
		return started, context.Cause(ctx)
	}
}

// start fetches the keys in a goroutine, for all callers of join. Lock held on entry.
func (r *remoteKeys) start() *fetch {
	f := &fetch{done: make(chan struct{})}
	r.current = f
	r.running.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
		defer cancel()
		changed, err := r.fetch(ctx)
		r.mu.Lock()
		r.current, r.err, f.err = nil, err, err
		r.mu.Unlock()
		close(f.done)
		if changed { // after close: callers of join do not wait for the callbacks
			r.ring.changes.Notify()
		}
	})
	return f
}

// fetch gets the keys and puts them in force.
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
		return false, fmt.Errorf("%s: no key set, or more than %d keys", from, MaxKeys)
	}
	var keys []key
	for _, raw := range set.Keys {
		k, _, err := parseJWK("", raw)
		if err == nil && k.secret() {
			err = errors.New("shared secret in a public key set")
		}
		if err != nil { // sets also hold keys for other uses and of newer types
			r.log.Debug("remote key ignored", "url", from, "error", err)
			continue
		}
		keys = append(keys, k)
	}
	if changed = r.ring.set(remoteSource, keys); changed {
		r.log.Info("token keys changed", "url", from, "keys", len(keys))
	}
	return changed, nil
}

// discover returns the key set's URL from the issuer's discovery document (OpenID Connect
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
		return "", fmt.Errorf("%s: document of issuer %.100q, want %q", at, document.Issuer, r.issuer)
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
		return fmt.Errorf("%s: status %s, want 200", from, resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: response is not the JSON document that was expected", from)
	}
	return nil
}

// close ends the fetching and waits for the fetch in flight.
func (r *remoteKeys) close() {
	r.cancel()
	r.running.Wait()
}

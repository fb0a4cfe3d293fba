package jwt

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// DefaultTimeout is how long fetching the issuer's keys may take.
const DefaultTimeout = 5 * time.Second

// Options describe an [Authenticator].
type Options struct {
	// Algorithms is the allow-list, of [Algorithms]. Required.
	Algorithms []string

	// Keys are files of keys, or folders of them: PEM, JWK or JWKS. They are read again
	// when they change. The kid is that of the JWK, else the file's name without
	// extension. Files with private keys or shared secrets must be the owner's alone.
	Keys []string
	// DefaultKey is the kid of tokens that name none; empty: the only key, if there is
	// only one.
	DefaultKey string
	// JWKSURL is where the issuer publishes its keys: https, or http on loopback.
	JWKSURL string
	// Discovery has the document at Issuer tell the JWKSURL (OpenID Connect Discovery).
	Discovery bool
	// Roots are the authorities that vouch for the issuer's TLS; nil means the system's.
	Roots *x509.CertPool

	// Issuer is what iss must be; empty: iss is not looked at.
	Issuer string
	// ResourceServerID must be in aud. Required.
	ResourceServerID string
	// ResourceServerType is the type of authorization_details that is for us; empty: they
	// are not read.
	ResourceServerType string

	// ScopePrefix is what our scopes begin with. It is taken as it is; RabbitMQ's is the
	// ResourceServerID and a dot.
	ScopePrefix string
	// ScopeAliases stand for one or more scopes with the prefix.
	ScopeAliases map[string][]string
	// ExtraScopesSource is the claim, by its dotted path, that has scopes beside scope.
	ExtraScopesSource string
	// ReplaceScopes has ExtraScopesSource stand in the place of scope.
	ReplaceScopes bool
	// StrictTopics: a scope without a topic is for none, not for all.
	StrictTopics bool
	// PreferredUsernameClaims are where the user's name is looked for before sub and
	// client_id.
	PreferredUsernameClaims []string

	// Leeway is how far the issuer's clock may be off for exp and nbf; 0 means not at all.
	Leeway time.Duration
	// AllowNoExpiry takes tokens without exp. They are good for ever.
	AllowNoExpiry bool
	// Timeout is how long fetching keys may take; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Logger gets a line when keys change or cannot be read. Nil means slog.Default().
	Logger *slog.Logger

	transport http.RoundTripper // of tests; nil is the network
}

// check says what is wrong with the options.
func (o *Options) check() error {
	for _, alg := range o.Algorithms {
		if !slices.Contains(Algorithms, alg) {
			return fmt.Errorf("jwt: algorithm %q: want one of %s", alg, strings.Join(Algorithms, " "))
		}
	}
	switch {
	case len(o.Algorithms) == 0:
		return errors.New("jwt: no algorithms: want some of " + strings.Join(Algorithms, " "))
	case o.ResourceServerID == "":
		return errors.New("jwt: no resource server id: aud has to hold it")
	case o.Discovery && o.Issuer == "":
		return errors.New("jwt: discovery needs the issuer")
	case len(o.Keys) == 0 && o.JWKSURL == "" && !o.Discovery:
		return errors.New("jwt: no keys: want files, a JWKS URL or discovery")
	case o.JWKSURL != "" && o.Discovery:
		return errors.New("jwt: a JWKS URL and discovery: want one of them")
	case o.Leeway < 0 || o.Timeout < 0:
		return fmt.Errorf("jwt: leeway %v and timeout %v: neither may be negative", o.Leeway, o.Timeout)
	}
	return nil
}

// Authenticator is a [zap.Handler] and a [zap.Revoker] for the tokens of one issuer. Its
// 200 has the user, Expires and Tags in the metadata, the claims for patterns, and the
// rights that the scopes give. It is safe for concurrent use.
type Authenticator struct {
	options Options
	now     func() time.Time // time.Now, except in tests
	ring    *keyring
	remote  *remoteKeys // nil without a URL
	closers []io.Closer
}

// basis is what a login rests on.
type basis struct {
	by    *Authenticator
	key   key
	token *token
}

// New reads the key files and begins to fetch remote keys. A key file that cannot be used
// is an error here; an issuer that cannot be reached is not. The caller closes it.
func New(o Options) (_ *Authenticator, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &Authenticator{options: o, now: time.Now, ring: newKeyring()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, path := range o.Keys {
		w, err := watchFiles(path, a.ring, o.Logger)
		if err != nil {
			return nil, fmt.Errorf("jwt: %w", err)
		}
		a.closers = append(a.closers, w)
	}
	if o.JWKSURL != "" || o.Discovery {
		if a.remote, err = newRemoteKeys(&a.options, a.ring, o.Logger); err != nil {
			return nil, fmt.Errorf("jwt: %w", err)
		}
	}
	return a, nil
}

// Close ends the watching and fetching of keys. It must not be called from a function that
// is registered with OnChange.
func (a *Authenticator) Close() error {
	if a.remote != nil {
		a.remote.close()
	}
	var errs []error
	for _, c := range a.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Authenticate decides on a token.
func (a *Authenticator) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	text, ok := bearer(req)
	if !ok {
		return nil, zap.Pass("no token")
	}
	return a.judge(ctx, text, nil)
}

// OnChange has f called after the keys have changed.
func (a *Authenticator) OnChange(f func()) (stop func()) { return a.ring.changes.OnChange(f) }

// Revoked tells whether the key that the login rests on is no longer in force, or whether
// the token means something else after a reload: to other options, another reply.
func (a *Authenticator) Revoked(reply *zap.Reply) bool {
	g, ok := reply.Basis.(basis)
	if !ok {
		return true
	}
	// After a reload the issuer's keys are not here at once. Once they are, OnChange has
	// this asked again.
	fetching := a.remote != nil && !a.ring.has(remoteSource)
	if !fetching && !a.ring.holds(g.key) {
		return true
	}
	if g.by == a {
		return false
	}
	if !a.ours(g.token) || !slices.Contains(a.options.Algorithms, g.token.alg) {
		return true
	}
	fresh, err := a.reply(g.token, g.key, nil)
	return err != nil || fresh.Status != zap.OK || fresh.UserID != reply.UserID ||
		!slices.Equal(fresh.Metadata, reply.Metadata) || !sameRights(fresh, reply)
}

func sameRights(a, b *zap.Reply) bool {
	p, ok1 := a.Grants[0].(*permissions)
	q, ok2 := b.Grants[0].(*permissions)
	return ok1 && ok2 && p.equal(q)
}

// ours tells whether the token claims to be of our issuer.
func (a *Authenticator) ours(t *token) bool {
	return a.options.Issuer == "" || t.text("iss") == a.options.Issuer
}

// refused is the reply to a token of ours that is no good.
func refused(format string, args ...any) *zap.Reply {
	return &zap.Reply{Status: zap.Refused, Text: "token refused: " + fmt.Sprintf(format, args...)}
}

// judge takes the steps that the package comment lists, and notes each.
func (a *Authenticator) judge(ctx context.Context, text string, note tracer) (*zap.Reply, error) {
	t, err := parseToken(text)
	if err != nil {
		note.note(false, "token", "%v", err)
		return nil, zap.Pass("no JSON Web Token")
	}
	if !a.ours(t) {
		note.note(false, "iss", "is %.100q, this issuer is %q", t.text("iss"), a.options.Issuer)
		return nil, zap.Pass("another issuer's token")
	}
	note.note(true, "iss", "%.100q", t.text("iss"))
	if !slices.Contains(a.options.Algorithms, t.alg) {
		note.note(false, "alg", "is %.20q, allowed are %s", t.alg, strings.Join(a.options.Algorithms, " "))
		if a.options.Issuer == "" {
			return nil, zap.Pass("a token with an algorithm that is not allowed")
		}
		return refused("algorithm %.20q is not allowed", t.alg), nil
	}
	note.note(true, "alg", "%s", t.alg)
	keys, err := a.keys(ctx, t)
	if err != nil {
		note.note(false, "kid", "%.100q: is unknown, and the issuer's keys cannot be fetched: %v", t.kid, err)
		return nil, fmt.Errorf("jwt: unknown key, and the issuer's keys cannot be fetched: %w", err)
	}
	if len(keys) == 0 {
		note.note(false, "kid", "%.100q: is unknown (%d keys are known)", t.kid, a.ring.size())
		return nil, zap.Pass("a token with an unknown key")
	}
	if _, critical := t.header["crit"]; critical { // RFC 7515, section 4.1.11
		note.note(false, "crit", "names extensions, and none is known here")
		return refused("it needs extensions (crit)"), nil
	}
	i := slices.IndexFunc(keys, func(k key) bool { return k.fits(t.alg) && k.verifies(t) })
	if i < 0 {
		note.note(false, "signature", "is not by key %.100q, or that is not for %s", keys[0].kid, t.alg)
		return refused("bad signature"), nil
	}
	note.note(true, "signature", "by key %q", keys[i].kid)
	return a.reply(t, keys[i], note)
}

// keys finds those that may have signed the token, if need be after having fetched them.
func (a *Authenticator) keys(ctx context.Context, t *token) ([]key, error) {
	keys := a.ring.find(t.kid, a.options.DefaultKey)
	if len(keys) > 0 || a.remote == nil {
		return keys, nil
	}
	if err := a.remote.refetch(ctx); err != nil {
		return nil, err
	}
	return a.ring.find(t.kid, a.options.DefaultKey), nil
}

// reply judges the claims of a token whose signature is good.
func (a *Authenticator) reply(t *token, k key, note tracer) (*zap.Reply, error) {
	if err := a.valid(t, note); err != nil {
		return refused("%v", err), nil
	}
	user, claim, err := t.user(a.options.PreferredUsernameClaims)
	if err != nil {
		note.note(false, "user", "%v", err)
		return refused("%v", err), nil
	}
	note.note(true, claim, "%q: the user", user)
	p, err := a.options.collect(t, note)
	if err != nil {
		note.note(false, "scope", "%v", err)
		return refused("%v", err), nil
	}
	reply := &zap.Reply{
		Status: zap.OK,
		Text:   "OK",
		UserID: user,
		Claims: flatten(t.claims),
		Grants: []zap.Grant{p},
		Basis:  basis{a, k, t},
	}
	if end, ok := t.time("exp"); ok {
		expires := strconv.FormatInt(end.Add(a.options.Leeway).Unix(), 10)
		reply.Metadata = append(reply.Metadata, zap.Property{Name: "Expires", Value: expires})
	}
	if tags := p.tags(); len(tags) > 0 {
		reply.Metadata = append(reply.Metadata, zap.Property{Name: "Tags", Value: strings.Join(tags, " ")})
	}
	return reply, nil
}

// valid checks the times and the audience.
func (a *Authenticator) valid(t *token, note tracer) error {
	for _, claim := range []string{"exp", "nbf", "aud"} {
		good, err := a.validClaim(t, claim)
		if err != nil {
			note.note(false, claim, "%v", err)
			return fmt.Errorf("%s %w", claim, err)
		}
		if good != "" {
			note.note(true, claim, "%s", good)
		}
	}
	return nil
}

// validClaim checks one of exp, nbf and aud (RFC 7519, section 4.1) and describes a good one;
// the description of a claim that is missing and may be is empty.
func (a *Authenticator) validClaim(t *token, claim string) (good string, err error) {
	value, present := t.claims[claim]
	if claim == "aud" {
		audience, ok := stringList(value)
		if !ok || !slices.Contains(audience, a.options.ResourceServerID) {
			return "", fmt.Errorf("does not contain %q", a.options.ResourceServerID)
		}
		return fmt.Sprintf("contains %q", a.options.ResourceServerID), nil
	}
	at, ok := t.time(claim)
	switch now := a.now(); {
	case !present && claim == "exp" && !a.options.AllowNoExpiry:
		return "", errors.New("is missing")
	case !present:
		return "", nil
	case !ok:
		return "", errors.New("is not a time in seconds")
	case claim == "exp" && !now.Before(at.Add(a.options.Leeway)):
		return "", fmt.Errorf("has passed: %v", at.UTC())
	case claim == "nbf" && now.Before(at.Add(-a.options.Leeway)):
		return "", fmt.Errorf("has not come yet: %v", at.UTC())
	}
	return at.UTC().String(), nil
}

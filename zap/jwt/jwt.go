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

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
)

// DefaultTimeout is the default of Options.Timeout.
const DefaultTimeout = 5 * time.Second

// Options configures an [Authenticator].
type Options struct {
	// Algorithms is the allow-list, a subset of [Algorithms]. Required.
	Algorithms []string

	// Keys are files, or directories of files, with keys in PEM, JWK or JWKS. They are read
	// again when they change; files of a directory without a valid key are logged. The kid is that of the JWK, or else the file name without its
	// extension. Files with private keys or shared secrets must not be accessible to others.
	Keys []string
	// Private decides which modes such files can have; the zero value is strict.
	Private certs.Private
	// DefaultKey is the kid for tokens without one. Empty means the only key, if there is
	// only one.
	DefaultKey string
	// JWKSURL is the URL of the issuer's keys: https, or http on loopback.
	JWKSURL string
	// Discovery takes the JWKSURL from the issuer's document (OpenID Connect Discovery).
	Discovery bool
	// Roots verify the issuer's TLS certificate; nil means the system's certificate
	// authorities.
	Roots *x509.CertPool

	// Issuer is the required value of iss. Empty means that iss is not checked.
	Issuer string
	// ResourceServerID must be in aud. Required.
	ResourceServerID string
	// AllowNoAudience accepts tokens without aud, as Amazon Cognito issues them for access.
	// A token with an aud must have ResourceServerID in it all the same.
	AllowNoAudience bool
	// ResourceServerType is the type of the authorization_details to use. Empty means that
	// they are ignored.
	ResourceServerType string

	// ScopePrefix is the prefix of our scopes, including any separator; RabbitMQ's is the
	// ResourceServerID followed by a dot.
	ScopePrefix string
	// ScopeAliases maps an alias to one or more scopes with the prefix.
	ScopeAliases map[string][]string
	// ExtraScopesSource is the dotted path of a claim with scopes, in addition to scope.
	ExtraScopesSource string
	// ReplaceScopes uses ExtraScopesSource instead of scope.
	ReplaceScopes bool
	// StrictTopics makes a scope without a topic permit no topics instead of all.
	StrictTopics bool
	// LoginOnly makes a token without scopes for this resource server a login without a grant,
	// so that its rights are those of the route. Without it such a token may do nothing. One
	// with a scope that begins with ScopePrefix, valid or not, is not such a token.
	LoginOnly bool
	// PreferredUsernameClaims are claims to take the user id from, before sub and client_id.
	PreferredUsernameClaims []string

	// Leeway is the tolerance for exp and nbf, for clocks that differ; 0 means none.
	Leeway time.Duration
	// AllowNoExpiry accepts tokens without exp, which never expire.
	AllowNoExpiry bool
	// Timeout limits fetching the keys; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Logger gets a line when keys have changed or cannot be read. Nil means
	// slog.Default().
	Logger *slog.Logger

	transport http.RoundTripper // in tests; nil is the network
}

// check returns an error if the options are invalid.
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
		return errors.New("jwt: no resource server id, which aud must contain")
	case o.Discovery && o.Issuer == "":
		return errors.New("jwt: discovery requires an issuer")
	case len(o.Keys) == 0 && o.JWKSURL == "" && !o.Discovery:
		return errors.New("jwt: no keys: want files, a JWKS URL or discovery")
	case o.JWKSURL != "" && o.Discovery:
		return errors.New("jwt: both a JWKS URL and discovery: want one of them")
	case o.Leeway < 0 || o.Timeout < 0:
		return fmt.Errorf("jwt: leeway %v and timeout %v: must not be negative", o.Leeway, o.Timeout)
	}
	return nil
}

// Authenticator is a [zap.Handler] and a [zap.Revoker] for the tokens of one issuer. Its 200 has
// the user id, the properties Expires and Tags, the token's claims, and a [zap.Grant] from its
// scopes. It is safe for concurrent use.
type Authenticator struct {
	options Options
	now     func() time.Time // time.Now, except in tests
	ring    *keyring
	remote  *remoteKeys // nil without a URL
	closers []io.Closer
}

// basis is what a login depends on.
type basis struct {
	by    *Authenticator
	key   key
	token *token
}

// New reads the key files, starts to fetch remote keys and returns an authenticator, which the
// caller closes. An invalid key file that Keys names is an error; an issuer that cannot be reached is not.
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
		w, err := watchFiles(path, o.Private, a.ring, o.Logger)
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

// Close stops watching and fetching keys. It must not be called from a function that was
// registered with OnChange.
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

// Authenticate implements [zap.Handler].
func (a *Authenticator) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	text, ok := bearer(req)
	if !ok {
		return nil, zap.Pass("no token")
	}
	return a.judge(ctx, text, nil)
}

// Keyless returns an error while no token can be judged, since no key is known: the issuer could not
// be asked yet.
func (a *Authenticator) Keyless() error {
	if a.ring.size() > 0 {
		return nil
	}
	return errors.New("jwt: no keys are known")
}

// Guarded implements [zap.Guarded]: a signature cannot be guessed.
func (a *Authenticator) Guarded() {}

// OnChange registers f to be called after the keys have changed.
func (a *Authenticator) OnChange(f func()) (stop func()) { return a.ring.changes.OnChange(f) }

// Revoked reports whether the login's key was removed, or whether the options after a
// reload would give another reply for its token.
func (a *Authenticator) Revoked(reply *zap.Reply) bool {
	g, ok := reply.Basis.(basis)
	if !ok {
		return true
	}
	// After a reload the issuer's keys are not available at once. OnChange reports when they
	// are, and Revoked is then called again.
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
	return slices.EqualFunc(permissionsOf(a), permissionsOf(b), (*permissions).equal)
}

// permissionsOf returns the grant from the token's scopes; none with LoginOnly. Authorizers
// may have added other grants after it.
func permissionsOf(reply *zap.Reply) []*permissions {
	if len(reply.Grants) > 0 {
		if p, ok := reply.Grants[0].(*permissions); ok {
			return []*permissions{p}
		}
	}
	return nil
}

// ours reports whether the token claims to be from our issuer.
func (a *Authenticator) ours(t *token) bool {
	return a.options.Issuer == "" || t.text("iss") == a.options.Issuer
}

// refused returns the reply to an invalid token of our issuer.
func refused(format string, args ...any) *zap.Reply {
	return &zap.Reply{Status: zap.Refused, Text: "token refused: " + fmt.Sprintf(format, args...)}
}

// judge makes the checks in the package comment and notes the result of each.
func (a *Authenticator) judge(ctx context.Context, text string, note tracer) (*zap.Reply, error) {
	t, err := parseToken(text)
	if err != nil {
		note.note(false, "token", "%v", err)
		return nil, zap.Pass("not a JSON Web Token")
	}
	if !a.ours(t) {
		note.note(false, "iss", "is %.100q, this issuer is %q", t.text("iss"), a.options.Issuer)
		return nil, zap.Pass("token of another issuer")
	}
	note.note(true, "iss", "%.100q", t.text("iss"))
	if !slices.Contains(a.options.Algorithms, t.alg) {
		note.note(false, "alg", "is %.20q, allowed are %s", t.alg, strings.Join(a.options.Algorithms, " "))
		if a.options.Issuer == "" {
			return nil, zap.Pass("token with an algorithm that is not allowed")
		}
		return refused("algorithm %.20q is not allowed", t.alg), nil
	}
	note.note(true, "alg", "%s", t.alg)
	keys, err := a.keys(ctx, t)
	if err != nil {
		note.note(false, "kid", "%.100q is unknown, and the issuer's keys cannot be fetched: %v", t.kid, err)
		return nil, fmt.Errorf("jwt: unknown key, and the issuer's keys cannot be fetched: %w", err)
	}
	if len(keys) == 0 {
		note.note(false, "kid", "%.100q is unknown (%d keys are known)", t.kid, a.ring.size())
		return nil, zap.Pass("token with an unknown key")
	}
	if _, critical := t.header["crit"]; critical { // RFC 7515, section 4.1.11
		note.note(false, "crit", "requires extensions, and none is supported")
		return refused("requires extensions (crit)"), nil
	}
	i := slices.IndexFunc(keys, func(k key) bool { return k.fits(t.alg) && k.verifies(t) })
	if i < 0 {
		note.note(false, "signature", "is not by key %.100q, or the key is not for %s", keys[0].kid, t.alg)
		return refused("bad signature"), nil
	}
	note.note(true, "signature", "by key %q", keys[i].kid)
	return a.reply(t, keys[i], note)
}

// errTooSoon is the error for a token whose key may be newer than the keys at hand.
var errTooSoon = fmt.Errorf("the key may be newer than the last request, and the issuer is asked at most every %v", RefetchInterval)

// keys returns the keys that may have signed the token. It fetches remote keys if there are
// none. While it may not fetch them, the key may be a new one, and no decision can be made;
// without an issuer the token may as well belong to another entry of the chain.
func (a *Authenticator) keys(ctx context.Context, t *token) ([]key, error) {
	keys := a.ring.find(t.kid, a.options.DefaultKey)
	if len(keys) > 0 || a.remote == nil {
		return keys, nil
	}
	fresh, err := a.remote.refetch(ctx)
	if err != nil {
		return nil, err
	}
	keys = a.ring.find(t.kid, a.options.DefaultKey)
	if len(keys) == 0 && !fresh && a.options.Issuer != "" {
		return nil, errTooSoon
	}
	return keys, nil
}

// reply checks the claims of a token with a good signature and returns the reply.
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
	p, scoped, err := a.options.collect(t, note)
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
	if !scoped && a.options.LoginOnly {
		note.note(true, "scope", "no scope for %q: the rights are those of the routes (login_only)", a.options.ResourceServerID)
		reply.Grants = nil
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
		if !present && a.options.AllowNoAudience {
			return "", nil
		}
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

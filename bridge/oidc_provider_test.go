package bridge_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// provider is an OpenID provider that accepts every login without asking, with at most one defect.
type provider struct {
	t      *testing.T
	server *httptest.Server
	key    *ecdsa.PrivateKey
	defect string
	tags   string     // scopes of the access token
	secret string     // of the client; empty = a public client
	asked  url.Values // last request for a code
	sent   url.Values // last request for tokens
}

// The bridge is registered at the provider with this client ID and secret.
const (
	oidcClient = "operators' page"
	oidcSecret = "the client's & secret"
)

// newProvider starts a provider; defect is empty or one of the cases of its methods.
func newProvider(t *testing.T, defect string) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, defect: defect, tags: "zwsbridge.tag:administrator", secret: oidcSecret}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	at := p.server.URL
	document := map[string]any{
		"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "jwks_uri": at + "/keys",
		"end_session_endpoint":                  at + "/end?of=session",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	}
	switch p.defect {
	case "discovery of another issuer":
		document["issuer"] = "https://evil.example"
	case "token endpoint without TLS":
		document["token_endpoint"] = "http://evil.example/token"
	case "authorization endpoint that is a script":
		document["authorization_endpoint"] = "javascript:alert(1)"
	case "oversized discovery":
		document["more"] = strings.Repeat("x", 2<<20)
	case "discovery that is a redirect":
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		return
	case "discovery fails":
		http.Error(w, strings.Repeat("failure ", 10000), http.StatusInternalServerError)
		return
	}
	p.reply(w, http.StatusOK, document)
}

func (p *provider) reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client closes the connection once it has read too much
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.t.Error(err)
	}
	coordinate := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	p.reply(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "x": coordinate(point[1:33]), "y": coordinate(point[33:]),
	}}})
}

// authorize redirects the browser back at once.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.asked = r.URL.Query()
	back, err := url.Parse(p.asked.Get("redirect_uri"))
	if err != nil {
		p.t.Error(err)
	}
	response := url.Values{"code": {"the code"}, "state": {p.asked.Get("state")}, "iss": {p.server.URL}}
	switch p.defect {
	case "access denied":
		response = url.Values{"error": {"access_denied"}, "error_description": {"<b>no</b>"}, "state": {p.asked.Get("state")}}
	case "another state":
		response.Set("state", "forged")
	case "no state":
		response.Del("state")
	case "response of another issuer":
		response.Set("iss", "https://evil.example")
	}
	back.RawQuery = response.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.t.Error(err)
	}
	p.sent = r.PostForm
	user, password, basic := r.BasicAuth()
	if basic != (p.secret != "") || basic && (user != url.QueryEscape(oidcClient) || password != url.QueryEscape(p.secret)) ||
		!basic && (p.sent.Get("client_id") != oidcClient || p.sent.Has("client_secret")) {
		p.t.Errorf("the client authenticates as %q", user)
	}
	challenge := sha256.Sum256([]byte(p.sent.Get("code_verifier")))
	if p.asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		p.t.Error("code_verifier does not match code_challenge (RFC 7636)")
	}
	switch p.defect {
	case "expired code":
		p.reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	case "unknown client":
		p.reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	case "token endpoint fails":
		http.Error(w, "failure", http.StatusBadGateway)
		return
	case "token endpoint that is a redirect":
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	case "token endpoint that hangs":
		<-r.Context().Done()
		return
	}
	access := p.access()
	response := map[string]any{"token_type": "Bearer", "access_token": access, "expires_in": 3600, "id_token": p.identity(access)}
	switch p.defect {
	case "oversized token response":
		response["more"] = strings.Repeat("x", 2<<20)
	case "short lifetime":
		response["expires_in"] = 1
	case "token of type DPoP":
		response["token_type"] = "DPoP"
	case "token of type N_A":
		response["token_type"] = "N_A"
	case "token of type BEARER":
		response["token_type"] = "bEARER"
	}
	p.reply(w, http.StatusOK, response)
}

// access returns an access token.
func (p *provider) access() string {
	claims := map[string]any{"iss": p.server.URL, "aud": "zwsbridge", "sub": "carol", "exp": time.Now().Add(time.Hour).Unix(), "scope": p.tags}
	if p.defect == "access token for another audience" {
		claims["aud"] = "portal"
	}
	return p.sign(claims, p.key)
}

// identity returns the ID token that belongs to an access token.
func (p *provider) identity(access string) string {
	hash := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": p.server.URL, "aud": oidcClient, "sub": "carol", "nonce": p.asked.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2]),
	}
	key := p.key
	switch p.defect {
	case "no ID token":
		return ""
	case "wrong nonce":
		claims["nonce"] = "of another login"
	case "no nonce":
		delete(claims, "nonce")
	case "ID token for another client":
		claims["aud"] = "portal"
	case "ID token of another issuer":
		claims["iss"] = "https://evil.example"
	case "expired ID token":
		claims["exp"] = time.Now().Add(-time.Minute).Unix()
	case "ID token for another access token":
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	case "azp of another client":
		claims["azp"] = "portal"
	case "an azp that is not a string":
		claims["azp"] = []string{oidcClient}
	case "an empty azp":
		claims["azp"] = ""
	case "several audiences without azp":
		claims["aud"] = []string{oidcClient, "portal"}
	case "several audiences, azp of another client":
		claims["aud"], claims["azp"] = []string{oidcClient, "portal"}, "portal"
	case "several audiences with our azp":
		claims["aud"], claims["azp"] = []string{oidcClient, "portal"}, oidcClient
	case "our azp":
		claims["azp"] = oidcClient
	case "another sub":
		claims["sub"] = "dave"
	case "no sub":
		delete(claims, "sub")
	case "iat far ahead":
		claims["iat"] = time.Now().Add(10 * time.Minute).Unix()
	case "iat a little ahead":
		claims["iat"] = time.Now().Add(time.Minute).Unix()
	case "no iat":
		delete(claims, "iat")
	case "unsigned ID token":
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(p.payload(claims)) + "."
	case "unknown key":
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			p.t.Error(err)
		}
	}
	return p.sign(claims, key)
}

func (p *provider) sign(claims map[string]any, key *ecdsa.PrivateKey) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, nil)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	token, err := signer.Sign(p.payload(claims))
	if err != nil {
		p.t.Error(err)
		return ""
	}
	text, err := token.CompactSerialize()
	if err != nil {
		p.t.Error(err)
	}
	return text
}

func (p *provider) payload(claims map[string]any) []byte {
	text, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	return text
}

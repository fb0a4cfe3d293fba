package bridge_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// issuer makes tokens that a bridge of startJWT accepts.
type issuer struct {
	t   *testing.T
	key *jwt.SigningKey
	dir string // that the bridge reads keys from
}

// startJWT starts a bridge that accepts only tokens, by the keys in the directory jwt, and writes
// the key "first" there. zapLines are additional lines of [zap], and more follows at the end.
func startJWT(t *testing.T, zapLines, more string) (*issuer, string, *bridge.Bridge) {
	t.Helper()
	i := &issuer{t: t}
	url, b := startIn(t, func(dir string) string {
		i.dir = filepath.Join(dir, "jwt")
		if err := os.Mkdir(i.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		i.key = i.newKey("first")
		return `
[zap]
` + zapLines + `
chain = [ { authn = "sso" } ]
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
keys = ["jwt"]
issuer = "https://idp.example"
resource_server_id = "zwsbridge"
` + more
	})
	return i, url, b
}

// newKey writes another key to the directory.
func (i *issuer) newKey(kid string) *jwt.SigningKey {
	i.t.Helper()
	k, err := jwt.GenerateKey(kid, "ES256")
	if err == nil {
		err = k.Write(i.keyFile(kid))
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return k
}

// keyFile returns the file of a key.
func (i *issuer) keyFile(kid string) string { return filepath.Join(i.dir, kid+".pem") }

// token returns a token of ann with scopes. more are names and values of additional claims.
func (i *issuer) token(scope string, more ...any) string {
	i.t.Helper()
	claims := map[string]any{
		"iss": "https://idp.example", "aud": "zwsbridge", "sub": "ann",
		"exp": time.Now().Add(time.Hour).Unix(), "scope": scope,
	}
	for n := 0; n < len(more); n += 2 {
		claims[more[n].(string)] = more[n+1]
	}
	token, err := i.key.Sign(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

// TestTokenRoutes checks that a token is accepted on the routes that its scopes name and on no
// other.
func TestTokenRoutes(t *testing.T) {
	sockets := map[zmtp.SocketType]struct{ backend, client zmtp.SocketType }{
		zmtp.SUB: {zmtp.PUB, zmtp.SUB}, zmtp.PULL: {zmtp.PUSH, zmtp.PULL}, zmtp.PUSH: {zmtp.PULL, zmtp.PUSH},
		zmtp.DEALER: {zmtp.ROUTER, zmtp.DEALER}, zmtp.PAIR: {zmtp.PAIR, zmtp.PAIR},
	}
	var routes strings.Builder
	for socket, s := range sockets {
		routes.WriteString(routeTo("/"+string(socket), socket, silent(t, s.backend)))
		routes.WriteString(routeTo("/in/"+string(socket), socket, silent(t, s.backend), `domain = "house-1"`))
	}
	i, url, _ := startJWT(t, "", routes.String())
	for _, c := range []struct{ scope, open string }{ // open: the socket types whose routes accept the token
		{"", ""},
		{"zwsbridge.configure:*/* zwsbridge.tag:administrator openid read:*/*", ""},
		{"zwsbridge.read:*/*", "SUB PULL DEALER PAIR"},
		{"zwsbridge.write:*/*", "PUSH DEALER"},
		{"zwsbridge.read:*/* zwsbridge.write:*/*", "SUB PULL PUSH DEALER PAIR"},
		{"zwsbridge.read:global/SUB", "SUB"},
		{"zwsbridge.read:global/sub", ""},
		{"zwsbridge.read:global/*/a/b", ""},
		{"zwsbridge.read:house%2D1/in%2F*", ""},
		{"zwsbridge.read:global/P*/topic zwsbridge.write:global/PU*", "PULL PUSH PAIR"},
	} {
		for socket, s := range sockets {
			want := strings.Contains(" "+c.open+" ", " "+string(socket)+" ")
			conn, err := zws.Dial(t.Context(), url+"/"+string(socket), bearerLogin(i.token(c.scope), s.client))
			if (err == nil) != want {
				t.Errorf("%q on a %s route: %v, want accepted: %v", c.scope, socket, err, want)
			}
			if err == nil {
				conn.Close()
			} else if cause := zws.Cause(err); cause.Code != 4403 {
				t.Errorf("%q on a %s route: %v, want 4403", c.scope, socket, err)
			}
		}
	}
	// A route with its own domain and a slash in its path.
	connect(t, url+"/in/SUB", bearerLogin(i.token("zwsbridge.read:house%2D1/in%2F*"), zmtp.SUB)).Close()
	if got := refusal(t, url+"/in/SUB", bearerLogin(i.token("zwsbridge.read:house%2D1/in%252F* zwsbridge.read:global/*"), zmtp.SUB)); got.Code != 4403 {
		t.Errorf("a token of another domain: %v, want 4403", got)
	}
	if got := refusal(t, url+"/SUB", zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: "ann", Password: "x"}, HandshakeTimeout: time.Minute}); got.Code != 4400 {
		t.Errorf("a password: %v, want 4400", got)
	}
}

// TestTokenTopics checks that subscribing, receiving and sending require both a scope and a rule of
// the route.
func TestTokenTopics(t *testing.T) {
	devices := publisher(t, message("house/ann/temp", "21"))
	ruled := publisher(t, message("house/ann/temp", "21"))
	rules := `allow = [ { user = "*", subscribe = ["house/{claim.groups}/"], send = ["set/{user}/"] } ]`
	i, url, _ := startJWT(t, "", routeTo("/devices", "SUB", devices)+routeTo("/ruled", "SUB", ruled, rules)+
		routeTo("/strict", "DEALER", silent(t, zmtp.ROUTER), rules))

	c := connect(t, url+"/devices", bearerLogin(i.token("zwsbridge.read:global/devices/house%2F*"), zmtp.SUB))
	if err := c.Subscribe(t.Context(), []byte("house/")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "house/ann/temp" {
		t.Fatalf("%q, %v", m, err)
	}
	for _, d := range []struct{ name, path, token, topic string }{
		{"a topic outside the scope", "/devices", i.token("zwsbridge.read:global/devices/house%2Fann*"), "house/bob"},
		{"a prefix wider than the scope", "/devices", i.token("zwsbridge.read:global/devices/house%2Fann*"), "house/"},
		{"allowed by the scope and by no rule", "/ruled", i.token("zwsbridge.read:*/*", "groups", []string{"bob"}), "house/ann/"},
		{"allowed by a rule and by no scope", "/ruled", i.token("zwsbridge.read:global/ruled/house%2Fbob*", "groups", []string{"ann", "bob"}), "house/ann/"},
	} {
		c := connect(t, url+d.path, bearerLogin(d.token, zmtp.SUB))
		if err := c.Subscribe(t.Context(), []byte(d.topic)); err != nil {
			t.Fatal(err)
		}
		if got := sessionEnd(t, c); got.Code != 4403 {
			t.Errorf("%s: %v, want 4403", d.name, got)
		}
	}
	c = connect(t, url+"/ruled", bearerLogin(i.token("zwsbridge.read:*/*", "groups", []string{"bob", "ann"}), zmtp.SUB))
	if err := c.Subscribe(t.Context(), []byte("house/ann/")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "house/ann/temp" {
		t.Fatalf("a rule for one of several groups: %q, %v", m, err)
	}
	for topic, scope := range map[string]string{
		"set/ann/x": "zwsbridge.read:*/*",                     // no right to send
		"set/bob/x": "zwsbridge.write:*/*",                    // not allowed by the rules
		"set/ann/y": "zwsbridge.write:global/strict/set%2F*x", // not allowed by the scope
	} {
		c := connect(t, url+"/strict", bearerLogin(i.token(scope, "groups", []string{"g"}), zmtp.DEALER))
		if err := c.Send(t.Context(), message(topic)); err != nil {
			t.Fatal(err)
		}
		if got := sessionEnd(t, c); got.Code != 4403 {
			t.Errorf("sending %s with %s: %v, want 4403", topic, scope, got)
		}
	}
}

// TestTokenTransports checks how clients without BEARER can send a token. PLAIN and Basic allow 255
// bytes (24/ZMTP-PLAIN), which hardly leaves room for a scope. The short token has none: 4403, a
// refusal by the route, shows that the login was accepted.
func TestTokenTransports(t *testing.T) {
	i, url, _ := startJWT(t, "", routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	long := i.token("zwsbridge.read:global/d")
	short, err := i.key.Sign(map[string]any{"iss": "https://idp.example", "aud": "zwsbridge", "sub": "a", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil || len(short) > 255 || len(long) <= 255 {
		t.Fatalf("tokens of %d and %d bytes, %v", len(short), len(long), err)
	}
	basic := func(user, password string) http.Header {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
	}
	for name, c := range map[string]struct {
		header   http.Header
		security zmtp.ClientSecurity
		want     zws.Code // 0: accepted
	}{
		"Authorization: Bearer":     {http.Header{"Authorization": {"Bearer " + long}}, nil, 0},
		"cookie":                    {http.Header{"Cookie": {"zws_token=" + long}}, nil, 0},
		"PLAIN":                     {nil, zmtp.Plain{Password: short}, 4403},
		"Basic":                     {basic("", short), nil, 4403},
		"Basic, too long":           {basic("", long), nil, 4400},
		"PLAIN with a user name":    {nil, zmtp.Plain{User: "a", Password: short}, 4400},
		"Basic with a user name":    {basic("a", short), nil, 4400},
		"PLAIN, token as user name": {nil, zmtp.Plain{User: short}, 4400},
		"Bearer with another text":  {http.Header{"Authorization": {"Bearer x.y.z"}}, nil, 4400},
	} {
		o := zws.DialOptions{SocketType: zmtp.SUB, Header: c.header, Security: c.security, HandshakeTimeout: time.Minute}
		if c.want != 0 {
			if got := refusal(t, url+"/d", o); got.Code != c.want {
				t.Errorf("%s: %v, want %d", name, got, c.want)
			}
			continue
		}
		conn, err := zws.Dial(t.Context(), url+"/d", o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close()
	}
}

// TestTokenRenewal checks that another token of the same user changes the rights of a live session,
// and that a removed key ends the sessions of its tokens.
func TestTokenRenewal(t *testing.T) {
	endpoint := publisher(t, message("b/temp", "21"))
	i, url, b := startJWT(t, "", routeTo("/d", "SUB", endpoint))
	c := connect(t, url+"/d", bearerLogin(i.token("zwsbridge.read:global/d/a*"), zmtp.SUB))
	if err := c.Renew(t.Context(), i.token("zwsbridge.read:global/d/b*")); err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe(t.Context(), []byte("b")); err != nil { // allowed by the new token only
		t.Fatal(err)
	}
	if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "b/temp" {
		t.Fatalf("%q, %v", m, err)
	}
	none := connect(t, url+"/d", bearerLogin(i.token("zwsbridge.read:global/d"), zmtp.SUB))
	if err := none.Renew(t.Context(), i.token("zwsbridge.read:global/other")); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, none); got.Code != 4403 {
		t.Errorf("renewal with a token that does not allow the route: %v, want 4403", got)
	}
	expired := connect(t, url+"/d", bearerLogin(i.token("zwsbridge.read:global/d"), zmtp.SUB))
	if err := expired.Renew(t.Context(), i.token("zwsbridge.read:global/d", "exp", time.Now().Add(-time.Second).Unix())); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, expired); got.Code != 4401 {
		t.Errorf("renewal with an expired token: %v, want 4401", got)
	}
	for _, want := range []bridge.Refusal{{Code: 4401, Error: "token refused: "}, {Code: 4403}} {
		want.Kind, want.User, want.Address, want.Route = "renewal", "ann", "127.0.0.1", "/d"
		want.Mechanism, want.Dialect = "BEARER", "ZWS2.0/BEARER"
		expectRefusal(t, b, want)
	}

	first := i.key
	i.key = i.newKey("second")
	var other *zws.Client
	eventually(t, "a login with the new key in the directory", func() (ok bool) {
		var err error
		if other, err = zws.Dial(t.Context(), url+"/d", bearerLogin(i.token("zwsbridge.read:*/*"), zmtp.SUB)); err == nil {
			return true
		}
		if code := zws.Cause(err).Code; code != 4400 && code != 4429 {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // fewer logins
		return false
	})
	defer other.Close()
	if err := os.Remove(i.keyFile("first")); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, c); got.Code != 4401 {
		t.Errorf("after the key was removed: %v, want 4401", got)
	}
	if list := b.Sessions(); len(list) != 1 {
		t.Errorf("%d sessions left, want one, with the other key", len(list))
	}
	i.key = first
	if got := refusal(t, url+"/d", bearerLogin(i.token("zwsbridge.read:*/*"), zmtp.SUB)); got.Code != 4400 {
		t.Errorf("login with the removed key: %v, want 4400", got)
	}
}

// TestTokenZAPListen checks that a native server that asks at zap.listen is told the user and
// the expiry of a token, and that a token without rights in the server's domain is refused.
func TestTokenZAPListen(t *testing.T) {
	i, _, _ := startJWT(t, `listen = ["ipc://zap"]`, routeTo("/d", "SUB", silent(t, zmtp.PUB), `domain = "house"`))
	server, err := remote.New(remote.Options{Endpoint: "ipc://" + filepath.Join(filepath.Dir(i.dir), "zap")})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for scope, want := range map[string]zap.Status{
		"zwsbridge.read:house/elsewhere zwsbridge.tag:monitoring": zap.OK,
		"zwsbridge.read:global/*":                                 zap.Refused,
		"":                                                        zap.Refused,
	} {
		reply := zap.Decide(t.Context(), server, &zap.Request{Domain: "house", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(i.token(scope))}})
		if reply.Status != want {
			t.Errorf("%q: %+v, want %d", scope, reply, want)
		}
		if want != zap.OK {
			continue
		}
		if m := reply.Metadata; reply.UserID != "ann" || m.Get("Expires") == "" || m.Get("Tags") != "monitoring" {
			t.Errorf("%q: %+v", scope, reply)
		}
		if _, ok := reply.Metadata.Lookup("Subscribe"); ok {
			t.Errorf("a server without routes is told rights on routes: %+v", reply.Metadata)
		}
	}
}

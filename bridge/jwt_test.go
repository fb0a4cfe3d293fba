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

// issuer makes tokens that a bridge of tokensOnly takes.
type issuer struct {
	t   *testing.T
	key *jwt.SigningKey
	dir string // of its keys
}

// tokensOnly is a bridge that takes tokens by the keys in the folder jwt, and writes its
// keys there. keys are further lines of [zap], and more what follows all this.
func tokensOnly(t *testing.T, keys, more string) (*issuer, string, *bridge.Bridge) {
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
` + keys + `
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

// newKey puts another key into the folder.
func (i *issuer) newKey(kid string) *jwt.SigningKey {
	i.t.Helper()
	k, err := jwt.GenerateKey(kid, "ES256")
	if err == nil {
		err = k.Write(i.file(kid))
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return k
}

func (i *issuer) file(kid string) string { return filepath.Join(i.dir, kid+".pem") }

// token is ann's, with scopes and further claims.
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

// TestTokenAttach: a token opens the routes that its scopes name, and no other.
func TestTokenAttach(t *testing.T) {
	sockets := map[zmtp.SocketType]struct{ behind, front zmtp.SocketType }{
		zmtp.SUB: {zmtp.PUB, zmtp.SUB}, zmtp.PULL: {zmtp.PUSH, zmtp.PULL}, zmtp.PUSH: {zmtp.PULL, zmtp.PUSH},
		zmtp.DEALER: {zmtp.ROUTER, zmtp.DEALER}, zmtp.PAIR: {zmtp.PAIR, zmtp.PAIR},
	}
	var routes strings.Builder
	for socket, s := range sockets {
		routes.WriteString(routeTo("/"+string(socket), socket, silent(t, s.behind)))
		routes.WriteString(routeTo("/in/"+string(socket), socket, silent(t, s.behind), `domain = "house-1"`))
	}
	i, url, _ := tokensOnly(t, "", routes.String())
	for _, c := range []struct{ scope, open string }{ // the sockets of the routes that open
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
			conn, err := zws.Dial(t.Context(), url+"/"+string(socket), byToken(i.token(c.scope), s.front))
			if (err == nil) != want {
				t.Errorf("%q on a %s route: %v, want it open: %v", c.scope, socket, err, want)
			}
			if err == nil {
				conn.Close()
			} else if cause := zws.Cause(err); cause.Code != 4403 {
				t.Errorf("%q on a %s route: %v, want 4403", c.scope, socket, err)
			}
		}
	}
	// A domain of its own, and slashes in the route's path.
	connect(t, url+"/in/SUB", byToken(i.token("zwsbridge.read:house%2D1/in%2F*"), zmtp.SUB)).Close()
	if got := refusal(t, url+"/in/SUB", byToken(i.token("zwsbridge.read:house%2D1/in%252F* zwsbridge.read:global/*"), zmtp.SUB)); got.Code != 4403 {
		t.Errorf("another domain's token: %v, want 4403", got)
	}
	if got := refusal(t, url+"/SUB", zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: "ann", Password: "x"}, HandshakeTimeout: time.Minute}); got.Code != 4400 {
		t.Errorf("a password: %v, want 4400", got)
	}
}

// TestTokenTopics: subscribing, receiving and sending go as far as the scopes and the
// route's rules, both.
func TestTokenTopics(t *testing.T) {
	devices := publisher(t, message("house/ann/temp", "21"))
	ruled := publisher(t, message("house/ann/temp", "21"))
	rules := `allow = [ { user = "*", subscribe = ["house/{claim.groups}/"], send = ["set/{user}/"] } ]`
	i, url, _ := tokensOnly(t, "", routeTo("/devices", "SUB", devices)+routeTo("/ruled", "SUB", ruled, rules)+
		routeTo("/strict", "DEALER", silent(t, zmtp.ROUTER), rules))

	c := connect(t, url+"/devices", byToken(i.token("zwsbridge.read:global/devices/house%2F*"), zmtp.SUB))
	if err := c.Subscribe([]byte("house/")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Recv(); err != nil || string(m[0]) != "house/ann/temp" {
		t.Fatalf("%q, %v", m, err)
	}
	for _, d := range []struct{ name, path, token, topic string }{
		{"a topic beyond the scope", "/devices", i.token("zwsbridge.read:global/devices/house%2Fann*"), "house/bob"},
		{"a prefix wider than the scope", "/devices", i.token("zwsbridge.read:global/devices/house%2Fann*"), "house/"},
		{"what the scope allows and no rule", "/ruled", i.token("zwsbridge.read:*/*", "groups", []string{"bob"}), "house/ann/"},
		{"what a rule allows and no scope", "/ruled", i.token("zwsbridge.read:global/ruled/house%2Fbob*", "groups", []string{"ann", "bob"}), "house/ann/"},
	} {
		c := connect(t, url+d.path, byToken(d.token, zmtp.SUB))
		if err := c.Subscribe([]byte(d.topic)); err != nil {
			t.Fatal(err)
		}
		if got := ended(t, c); got.Code != 4403 {
			t.Errorf("%s: %v, want 4403", d.name, got)
		}
	}
	c = connect(t, url+"/ruled", byToken(i.token("zwsbridge.read:*/*", "groups", []string{"bob", "ann"}), zmtp.SUB))
	if err := c.Subscribe([]byte("house/ann/")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Recv(); err != nil || string(m[0]) != "house/ann/temp" {
		t.Fatalf("by one of several groups: %q, %v", m, err)
	}
	for topic, scope := range map[string]string{
		"set/ann/x": "zwsbridge.read:*/*",                     // may not send
		"set/bob/x": "zwsbridge.write:*/*",                    // not by the rules
		"set/ann/y": "zwsbridge.write:global/strict/set%2F*x", // not by the scope
	} {
		c := connect(t, url+"/strict", byToken(i.token(scope, "groups", []string{"g"}), zmtp.DEALER))
		if err := c.Send(message(topic)); err != nil {
			t.Fatal(err)
		}
		if got := ended(t, c); got.Code != 4403 {
			t.Errorf("sending %s with %s: %v, want 4403", topic, scope, got)
		}
	}
}

// TestTokenCarriers: the ways in for those who speak no BEARER. PLAIN and Basic take 255
// octets, as 24/ZMTP-PLAIN does: a token that fits has hardly room for a scope, so that to be
// refused the route, and not the login, shows that it was taken.
func TestTokenCarriers(t *testing.T) {
	i, url, _ := tokensOnly(t, "", routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	long := i.token("zwsbridge.read:global/d")
	short, err := i.key.Sign(map[string]any{"iss": "https://idp.example", "aud": "zwsbridge", "sub": "a", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil || len(short) > 255 || len(long) <= 255 {
		t.Fatalf("tokens of %d and %d octets, %v", len(short), len(long), err)
	}
	basic := func(user, password string) http.Header {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
	}
	for name, c := range map[string]struct {
		header   http.Header
		security zmtp.ClientSecurity
		want     zws.Code // 0: it comes in
	}{
		"Authorization: Bearer":   {http.Header{"Authorization": {"Bearer " + long}}, nil, 0},
		"cookie":                  {http.Header{"Cookie": {"zws_token=" + long}}, nil, 0},
		"PLAIN":                   {nil, zmtp.Plain{Password: short}, 4403},
		"Basic":                   {basic("", short), nil, 4403},
		"Basic, too long":         {basic("", long), nil, 4400},
		"PLAIN with a user name":  {nil, zmtp.Plain{User: "a", Password: short}, 4400},
		"Basic with a user name":  {basic("a", short), nil, 4400},
		"PLAIN as the user name":  {nil, zmtp.Plain{User: short}, 4400},
		"Bearer that is no token": {http.Header{"Authorization": {"Bearer x.y.z"}}, nil, 4400},
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

// TestTokenRenewed: another token of the same user changes the rights of a live session,
// and a removed key ends the sessions of its tokens.
func TestTokenRenewed(t *testing.T) {
	endpoint := publisher(t, message("b/temp", "21"))
	i, url, b := tokensOnly(t, "", routeTo("/d", "SUB", endpoint))
	c := connect(t, url+"/d", byToken(i.token("zwsbridge.read:global/d/a*"), zmtp.SUB))
	if err := c.Renew(i.token("zwsbridge.read:global/d/b*")); err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe([]byte("b")); err != nil { // which only the new token allows
		t.Fatal(err)
	}
	if m, err := c.Recv(); err != nil || string(m[0]) != "b/temp" {
		t.Fatalf("%q, %v", m, err)
	}
	none := connect(t, url+"/d", byToken(i.token("zwsbridge.read:global/d"), zmtp.SUB))
	if err := none.Renew(i.token("zwsbridge.read:global/other")); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, none); got.Code != 4403 {
		t.Errorf("a renewal that does not allow the route: %v, want 4403", got)
	}
	expired := connect(t, url+"/d", byToken(i.token("zwsbridge.read:global/d"), zmtp.SUB))
	if err := expired.Renew(i.token("zwsbridge.read:global/d", "exp", time.Now().Add(-time.Second).Unix())); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, expired); got.Code != 4401 {
		t.Errorf("a renewal by an expired token: %v, want 4401", got)
	}

	first := i.key
	i.key = i.newKey("second")
	var other *zws.Client
	for { // the folder is read soon
		var err error
		if other, err = zws.Dial(t.Context(), url+"/d", byToken(i.token("zwsbridge.read:*/*"), zmtp.SUB)); err == nil {
			break
		}
		if code := zws.Cause(err).Code; code != 4400 && code != 4429 {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	defer other.Close()
	if err := os.Remove(i.file("first")); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, c); got.Code != 4401 {
		t.Errorf("after the key is gone: %v, want 4401", got)
	}
	if list := b.Sessions(); len(list) != 1 {
		t.Errorf("%d sessions left, want that of the other key", len(list))
	}
	i.key = first
	if got := refusal(t, url+"/d", byToken(i.token("zwsbridge.read:*/*"), zmtp.SUB)); got.Code != 4400 {
		t.Errorf("a new login by it: %v, want 4400", got)
	}
}

// TestTokenNative: a native server that asks on zap.listen hears who it is and until when,
// and refuses those who may do nothing in its domain.
func TestTokenNative(t *testing.T) {
	i, _, _ := tokensOnly(t, `listen = ["ipc://zap"]`, routeTo("/d", "SUB", silent(t, zmtp.PUB), `domain = "house"`))
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
		if _, told := reply.Metadata.Lookup("Subscribe"); told {
			t.Errorf("rights of routes are told to a server that has none: %+v", reply.Metadata)
		}
	}
}

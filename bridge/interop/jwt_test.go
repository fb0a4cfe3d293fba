//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// identityProvider is a running oidc-provider.
type identityProvider struct{ *socket }

// startProvider runs one with the clients ann and bob.
func startProvider(t *testing.T) identityProvider {
	t.Helper()
	return identityProvider{start(t, "oidc.mjs").open(t, command{})}
}

// issuer returns its URL, below which its discovery document is.
func (p identityProvider) issuer() string { return p.endpoint }

// token requests a token by client credentials.
func (p identityProvider) token(client, audience string, life time.Duration, scope string) string {
	p.t.Helper()
	p.process.write(command{Do: "token", Socket: p.number, Options: map[string]any{
		"client": client, "audience": audience, "ttl": int(life.Seconds()), "scope": scope,
	}})
	return p.wait("token").Frames[0]
}

// rotate makes the provider sign with a new key, and publish it beside the older keys if keep is
// true, or alone.
func (p identityProvider) rotate(alg string, keep bool) {
	p.t.Helper()
	p.process.write(command{Do: "rotate", Socket: p.number, Options: map[string]any{"alg": alg, "keep": keep}})
	p.wait("rotated")
}

// dialBearer logs in with a token as a SUB.
func dialBearer(t *testing.T, url, token string) (*zws.Client, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return zws.Dial(ctx, url, zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Bearer{Token: token}, HandshakeTimeout: patience})
}

// mustLogin is like dialBearer, for a token that has to be accepted. It retries, because the
// bridge limits how often it fetches keys.
func mustLogin(t *testing.T, url, token string) *zws.Client {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		c, err := dialBearer(t, url, token)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// closeCode returns the close code of err, or 0.
func closeCode(err error) int {
	if cause, ok := errors.AsType[*zws.CloseError](err); ok {
		return int(cause.Code)
	}
	return 0
}

// closeCodeAtEnd receives until the session ends and returns the close code. The client has to be
// read all the time: otherwise it answers no pings, and an answer to a connection that the bridge
// has closed would hide the close code.
func closeCodeAtEnd(c *zws.Client) <-chan int {
	code := make(chan int, 1)
	go func() {
		for {
			if _, err := c.Recv(context.Background()); err != nil {
				code <- closeCode(err)
				return
			}
		}
	}()
	return code
}

// TestIdentityProvider logs in with tokens of a foreign provider, which grant what their scopes
// say, and rotates its keys while sessions are open.
func TestIdentityProvider(t *testing.T) {
	need(t, "npm")
	const (
		devices = "zwsbridge.read:global/devices"
		other   = "zwsbridge.read:global/other"
	)
	provider := startProvider(t)
	libzmq := start(t, "libzmq.mjs")
	pub := libzmq.bind(t, "PUB", nil)
	url := newHome(t).bridge(fmt.Sprintf(`
[server]
max_failures = 10000
[zap]
chain = [ { authn = "sso" } ]
[auth.sso]
type = "jwt"
algorithms = ["RS256", "ES256"]
issuer = %q
discovery = true
resource_server_id = "zwsbridge"
[[route]]
path = "/devices"
socket = "SUB"
connect = [%q]
`, provider.issuer(), pub.endpoint)) + "devices"

	old := mustLogin(t, url, provider.token("ann", "zwsbridge", time.Hour, devices))
	expectDelivery(t, pub, old)
	for _, c := range []struct {
		name, token string
		code        int
	}{
		{"another audience", provider.token("ann", "portal", time.Hour, devices), 4400},
		{"another route", provider.token("ann", "zwsbridge", time.Hour, other), 4403},
		{"no route", provider.token("ann", "zwsbridge", time.Hour, "zwsbridge.tag:monitoring"), 4403},
	} {
		if client, err := dialBearer(t, url, c.token); closeCode(err) != c.code {
			t.Errorf("%s: %v, %v, want %d", c.name, client, err, c.code)
		}
	}
	short := mustLogin(t, url, provider.token("bob", "zwsbridge", 2*time.Second, devices))
	if code := <-closeCodeAtEnd(short); code != 4401 {
		t.Errorf("at the end of a token's life: %d, want 4401", code)
	}

	provider.rotate("ES256", true)
	renewed := provider.token("ann", "zwsbridge", time.Hour, devices)
	young := mustLogin(t, url, renewed)
	expectDelivery(t, pub, young)
	expectDelivery(t, pub, old)
	if err := old.Renew(t.Context(), renewed); err != nil {
		t.Fatal(err)
	}
	expectDelivery(t, pub, old) // reads the answer
	older := mustLogin(t, url, provider.token("bob", "zwsbridge", time.Hour, devices))
	ends := []<-chan int{closeCodeAtEnd(old), closeCodeAtEnd(young), closeCodeAtEnd(older)}

	provider.rotate("RS256", false)
	mustLogin(t, url, provider.token("ann", "zwsbridge", time.Hour, devices))
	for _, end := range ends {
		if code := <-end; code != 4401 {
			t.Errorf("after the key is withdrawn: %d, want 4401", code)
		}
	}
	// Until the issuer may be asked again, the key could be newer than what is known: 4300.
	client, err := dialBearer(t, url, renewed)
	for closeCode(err) == 4300 {
		time.Sleep(jwt.RefetchInterval / 10)
		client, err = dialBearer(t, url, renewed)
	}
	if closeCode(err) != 4400 {
		t.Errorf("a token by a key that is withdrawn: %v, %v, want 4400", client, err)
	}
}

// expectDelivery publishes until the client receives a message: a PUB does not report when a
// subscription has arrived.
func expectDelivery(t *testing.T, pub *socket, c *zws.Client) {
	t.Helper()
	if err := c.Subscribe(t.Context(), []byte("temp")); err != nil {
		t.Fatal(err)
	}
	received := make(chan error, 1)
	go func() {
		_, err := c.Recv(t.Context())
		received <- err
	}()
	for {
		pub.send("temp", "21")
		select {
		case err := <-received:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestJose judges tokens that npm jose makes in this run. testdata of zap/jwt keeps a copy of one
// run for the tests that do not need Node.
func TestJose(t *testing.T) {
	need(t, "npm")
	text, err := exec.CommandContext(t.Context(), "node", "peers/tokens.mjs").Output()
	if err != nil {
		t.Fatal(err)
	}
	type vector struct{ Name, Token string }
	var made struct {
		Issuer             string
		JWKS               json.RawMessage
		Take, Refuse, Pass []vector
	}
	if err := json.Unmarshal(text, &made); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, made.JWKS, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := jwt.New(jwt.Options{
		Algorithms: jwt.Algorithms, Keys: []string{file}, Issuer: made.Issuer, ResourceServerID: "zwsbridge",
		// The tokens are made for a fixed time years away, so only what does not depend on the
		// time is compared.
		Leeway: 100 * 365 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ask := func(v vector) string {
		reply, err := a.Authenticate(t.Context(), &zap.Request{Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(v.Token)}})
		switch {
		case errors.Is(err, zap.ErrPass):
			return "pass"
		case err != nil:
			return err.Error()
		}
		return fmt.Sprint(reply.Status)
	}
	timely := map[string]bool{"expired this second": true, "expired by a second": true, "valid from the next second": true}
	for want, list := range map[string][]vector{"200": made.Take, "400": made.Refuse, "pass": made.Pass} {
		for _, v := range list {
			if got := ask(v); got != want && !timely[v.Name] {
				t.Errorf("%s: %s, want %s", v.Name, got, want)
			}
		}
	}
}

package bridge_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// canary is a credential that nothing may repeat. It has the form of a token.
const canary = "eyJjYW5hcnki.OiJzZWNyZXQi.c2lnbmF0dXJl"

// leaked reports whether text contains the canary, a third of it, or one of its encodings.
func leaked(text string) bool {
	forms := strings.Split(canary, ".")
	forms = append(forms, url.QueryEscape(canary), hex.EncodeToString([]byte(canary))[:30])
	for _, user := range []string{"", ":", "alice:", "a:"} {
		// From its fourth byte on, base64 does not depend on what comes before.
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user + canary))[8:40])
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// raw sends an upgrade request with the headers, and then the frames, and returns everything
// that comes back until the connection ends or is silent for a moment.
func raw(t *testing.T, address, target string, headers []string, frames ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", target, address)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n")
	_, _ = conn.Write(b.Bytes())
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var header strings.Builder // of the answer
	answer := bufio.NewReader(conn)
	for {
		line, err := answer.ReadString('\n')
		// A client needs to see its subprotocol again, or it cannot be told the reason.
		if !strings.HasPrefix(line, "Sec-WebSocket-Protocol: ") {
			header.WriteString(line)
		}
		if err != nil || line == "\r\n" {
			break
		}
	}
	b.Reset()
	for _, f := range frames {
		kind := byte(0x82)
		if strings.HasPrefix(f, "{") {
			kind = 0x81
		}
		// A mask of zeros leaves the payload as it is.
		if len(f) < 126 {
			b.Write([]byte{kind, 0x80 | byte(len(f)), 0, 0, 0, 0})
		} else {
			b.Write([]byte{kind, 0x80 | 126, byte(len(f) >> 8), byte(len(f)), 0, 0, 0, 0})
		}
		b.WriteString(f)
	}
	_, _ = conn.Write(b.Bytes())
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	rest, _ := io.ReadAll(answer)
	return header.String() + string(rest)
}

// carriers are the ways in which a client sends a credential, and in which it gets that wrong.
var carriers = []struct {
	name     string
	target   string // "" = the route
	protocol string
	headers  []string
	frames   []string
}{
	{name: "Bearer", headers: []string{"Authorization: Bearer " + canary}},
	{name: "Bearer for a dialect with a mechanism", protocol: "ZWS2.0/BEARER", headers: []string{"Authorization: Bearer " + canary}},
	{name: "Basic", headers: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+canary))}},
	{name: "Basic with the password as user", headers: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(canary+":"))}},
	{name: "Basic that is not base64", headers: []string{"Authorization: Basic alice:" + canary}},
	{name: "Basic that is too long", headers: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+strings.Repeat(canary, 9)))}},
	{name: "without a scheme", headers: []string{"Authorization: " + canary}},
	{name: "an unknown scheme", headers: []string{"Authorization: Digest response=" + canary}},
	{name: "two headers", headers: []string{"Authorization: Bearer " + canary, "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+canary))}},
	{name: "of a proxy", headers: []string{"Proxy-Authorization: Bearer " + canary, "X-Forwarded-Access-Token: " + canary}},
	{name: "cookie", headers: []string{"Cookie: zws_token=" + canary}},
	{name: "cookie, malformed", headers: []string{`Cookie: zws_token="` + canary + `; ;=`}},
	{name: "cookie and header", headers: []string{"Cookie: zws_token=" + canary, "Authorization: Bearer " + canary}},
	{name: "cookie of a page from elsewhere", headers: []string{"Cookie: zws_token=" + canary, "Origin: https://evil.example"}},
	{name: "query", target: "/d?access_token=" + canary},
	{name: "query of an unknown route", target: "/none?access_token=" + canary},
	{name: "query, malformed", target: "/d?access_token=" + canary + "%zz;&="},
	{name: "user and password in the URL", target: "http://alice:" + canary + "@127.0.0.1/d"},
	{name: "subprotocol", protocol: canary},
	{name: "subprotocol beside a dialect", protocol: "ZWS2.0, " + canary},
	{name: "subprotocol with a mechanism", protocol: "ZWS2.0/" + canary},
	{name: "subprotocol of Kubernetes", protocol: "base64url.bearer.authorization.k8s.io." + canary},
	{name: "JSON token", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","token":"` + canary + `"}`}},
	{name: "JSON password", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","user":"alice","password":"` + canary + `"}`}},
	{name: "JSON password as user", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","user":"` + canary + `","password":""}`}},
	{name: "JSON, truncated", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","user":"alice","password":"` + canary}},
	{name: "JSON, wrong type", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","user":"alice","password":["` + canary + `"]}`}},
	{name: "JSON, unknown key", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","user":"alice","passwort":"` + canary + `"}`}},
	{name: "JSON, two values", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","token":"` + canary + `"} "` + canary + `"`}},
	{name: "JSON, token twice", protocol: "ZWSJSON1.0", frames: []string{`{"op":"login","token":"` + canary + `","token":"` + canary + `"}`}},
	{name: "HELLO with a wrong length", protocol: "ZWS2.0/PLAIN", frames: []string{"\x02\x05HELLO\x05alice\xff" + canary}},
	{name: "HELLO without a user", protocol: "ZWS2.0/PLAIN", frames: []string{"\x02\x05HELLO" + canary}},
	{name: "HELLO that is an unknown command", protocol: "ZWS2.0/PLAIN", frames: []string{"\x02\x26" + canary}},
	{name: "a message instead of HELLO", protocol: "ZWS2.0/BEARER", frames: []string{"\x00" + canary}},
}

// TestCredentialsStayPrivate: whatever carries a credential, and whatever judges it, no log line
// of any level, no answer and no page for operators repeats it.
func TestCredentialsStayPrivate(t *testing.T) {
	for name, chain := range map[string]string{
		"htpasswd":                    usersOnly,
		"HTTP service, unreachable":   "[zap]\nchain = [{ authn = \"x\" }]\n[auth.x]\ntype = \"http\"\nmethod = \"GET\"\nuser_path = \"http://127.0.0.1:1/user\"\nvhost_path = \"http://127.0.0.1:1/vhost\"\n",
		"token endpoint, unreachable": "[zap]\nchain = [{ authn = \"x\" }]\n[auth.x]\ntype = \"token-endpoint\"\nurl = \"http://127.0.0.1:1/validate\"\n",
		"ZAP handler, unreachable":    "[zap]\ntimeout = \"100ms\"\nchain = [{ authn = \"x\" }]\n[auth.x]\ntype = \"zap\"\nendpoint = \"ipc://@zwsbridge-none\"\n",
		"tokens":                      "[zap]\nchain = [{ authn = \"x\" }]\n[auth.x]\ntype = \"jwt\"\nalgorithms = [\"HS256\"]\nresource_server_id = \"zwsbridge\"\nkeys = \"key.json\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, queryToken := range []bool{true, false} {
				privacy(t, fmt.Sprintf("[server]\nquery_token = %v\nmax_failures = 0\n[admin]\ntoken_file = \"admin.token\"\n%s", queryToken, chain))
			}
		})
	}
}

func privacy(t *testing.T, chain string) {
	address, b, log := startLogging(t, func(dir string) string {
		must(t, os.WriteFile(filepath.Join(dir, "admin.token"), []byte("an admin token"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "key.json"), []byte(`{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`), 0o600))
		return chain + routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["PLAIN", "BEARER", "NULL"]`)
	})
	check := func(name, answer string) {
		t.Helper()
		if leaked(answer) {
			t.Errorf("%s: the answer repeats the credential: %q", name, answer)
		}
	}
	host := strings.TrimPrefix(address, "ws://")
	for _, c := range carriers {
		target, protocol := cmp.Or(c.target, "/d"), cmp.Or(c.protocol, "ZWS2.0")
		headers := append(slices.Clone(c.headers), "Sec-WebSocket-Protocol: "+protocol)
		check(c.name, raw(t, host, target, headers, c.frames...))
	}
	for name, o := range map[string]zws.DialOptions{
		"PLAIN":                       {SocketType: zmtp.SUB, Security: zmtp.Plain{User: "alice", Password: canary}},
		"PLAIN with a token":          {SocketType: zmtp.SUB, Security: zmtp.Plain{Password: canary}},
		"PLAIN, the password as user": {SocketType: zmtp.SUB, Security: zmtp.Plain{User: canary}},
		"BEARER":                      {SocketType: zmtp.SUB, Security: zmtp.Bearer{Token: canary}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if c, err := zws.Dial(ctx, address+"/d", o); err == nil {
			c.Close()
			t.Errorf("%s: accepted", name)
		} else {
			check(name, err.Error())
		}
		o.SocketType = ""
		if m, err := zws.DialMux(ctx, address+"/d", o); err == nil {
			m.Close()
			t.Errorf("%s, multiplexed: accepted", name)
		} else {
			check(name+", multiplexed", err.Error())
		}
		cancel()
	}
	operators(t, b, check)
	log.mu.Lock()
	defer log.mu.Unlock()
	for line := range strings.Lines(log.text.String()) {
		if leaked(line) {
			t.Errorf("the log repeats the credential: %s", line)
		}
	}
}

// operators tries the same at the operators' interface, and reads what it shows.
func operators(t *testing.T, b *bridge.Bridge, check func(name, answer string)) {
	server := httptest.NewServer(b.Admin())
	defer server.Close()
	do := func(method, path, body string, headers ...string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		must(t, err)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		check(method+" "+path, fmt.Sprint(resp.Header)+string(text))
	}
	const form = "application/x-www-form-urlencoded"
	for _, path := range []string{"/sessions", "/summary", "/metrics", "/backends", "/"} {
		do("GET", path, "", "Authorization", "Bearer "+canary)
		do("GET", path, "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("alice:"+canary)))
		do("GET", path, "", "Authorization", canary)
		do("GET", path+"?access_token="+canary, "", "Cookie", "zws_admin="+canary)
		do("GET", path, "", "Authorization", "Bearer an admin token")
	}
	do("POST", "/login", "user=alice&password="+canary, "Content-Type", form)
	do("POST", "/login", "token="+canary, "Content-Type", form)
	do("POST", "/login", "access_token="+canary, "Content-Type", form)
	do("POST", "/login", "user=alice&password="+canary+"%zz", "Content-Type", form)
	do("GET", "/login/oidc/callback?code="+canary+"&state=x", "", "Cookie", "zws_admin_login="+canary)
}

package bridge_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCodeLabels checks which close codes are counted. Codes that clients invent must not become
// labels.
func TestCodeLabels(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/d", "DEALER", echoRouter(t))+
		routeTo("/mute", "DEALER", unresponsive(t), `connect_timeout = "1m"`))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()

	const login, object = "\x01\x05PLAIN\x05alice\x0ealice's secret", `{"op":"login","user":"alice","password":"alice's secret"}`
	open := func(protocol string, kind int, messages ...string) *websocket.Conn {
		d := websocket.Dialer{Subprotocols: []string{protocol}}
		ws, _, err := d.DialContext(t.Context(), url+"/d", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		for _, m := range messages {
			if err := ws.WriteMessage(kind, []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := ws.ReadMessage(); err != nil { // ready
			t.Fatal(err)
		}
		return ws
	}
	for _, code := range []int{1001, 3999, 4502} {
		ws := open("ZWSJSON1.0", websocket.TextMessage, object)
		if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	// A channel that the client closes before it is open, with an unknown code.
	open("ZWSMUX1.0", websocket.BinaryMessage, login,
		"\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05/mute", "\x07\x00\x00\x00\x01\xff\xff")
	for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-WebSocket-Version": "8"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", strings.Replace(url, "ws", "http", 1)+"/d", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {"ZWSJSON1.0"}}
		r.Header.Set(name, value)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}

	for _, want := range []string{
		`zwsbridge_session_ends_total{code="1000",route="/d"} 2`,
		`zwsbridge_session_ends_total{code="1001",route="/d"} 1`,
		`zwsbridge_refusals_total{code="1000",route="/mute"} 1`,
		`zwsbridge_refusals_total{code="1002",route="/d"} 1`,
		`zwsbridge_refusals_total{code="4403",route="/d"} 1`,
	} {
		// Sessions end shortly after their clients.
		eventually(t, want, func() bool { return strings.Contains(metrics(t, admin.URL), want+"\n") })
	}
	text := metrics(t, admin.URL)
	for line := range strings.Lines(text) {
		for _, code := range []int{3999, 4502, 65535, 1011} {
			counted := !strings.HasSuffix(line, " 0\n") || code == 3999 || code == 65535 // unknown ones have no counter at all
			if strings.Contains(line, fmt.Sprintf(`code="%d"`, code)) && counted {
				t.Errorf("/metrics contains %s", line)
			}
		}
	}
}

// TestDropReasons checks that messages that backends drop are counted by their reason.
func TestDropReasons(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/router", "ROUTER", silent(t, zmtp.DEALER)))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	c := connect(t, url+"/router", plainLogin("alice", zmtp.DEALER))
	if err := c.Send(t.Context(), message("nobody", "hello")); err != nil {
		t.Fatal(err)
	}
	const path = `,route="/router"} `
	eventually(t, "an unroutable message", func() bool {
		return strings.Contains(metrics(t, admin.URL), `zwsbridge_dropped_total{reason="unroutable"`+path+"1\n")
	})
	for _, reason := range []string{"slow-client", "backend-full", "unasked"} {
		if want := fmt.Sprintf("zwsbridge_dropped_total{reason=%q%s0\n", reason, path); !strings.Contains(metrics(t, admin.URL), want) {
			t.Errorf("/metrics does not contain %s", want)
		}
	}
}

// metrics returns the text of /metrics.
func metrics(t *testing.T, admin string) string {
	t.Helper()
	resp, err := http.Get(admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReloadMetrics checks that a reload that failed is seen until one succeeds.
func TestReloadMetrics(t *testing.T) {
	var dir string
	text := "[admin]\n" + usersOnly + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	_, b := startIn(t, func(d string) string { dir = d; return text })
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	check := func(when string, successful float64) (at float64) {
		t.Helper()
		all := scrape(t, admin.URL)
		if got := all["zwsbridge_config_last_reload_successful"]; got != successful {
			t.Errorf("%s: zwsbridge_config_last_reload_successful %v, want %v", when, got, successful)
		}
		return all["zwsbridge_config_last_reload_success_timestamp_seconds"]
	}
	first := check("at the start", 1)
	b.ReloadFailed(errors.New("bridge.toml:7: unknown key"))
	if at := check("after a reload that failed", 0); at != first || first == 0 {
		t.Errorf("the last success was at %v, then at %v without another", first, at)
	}
	reload(t, b, dir, text)
	if at := check("after a reload that succeeded", 1); at <= first {
		t.Errorf("the last success was at %v, still at %v after another", first, at)
	}
}

// TestCertificateExpiryMetric checks that the expiry is asked for at each scrape, and that there is
// no such metric while it is not known.
func TestCertificateExpiryMetric(t *testing.T) {
	const name = `zwsbridge_certificate_expiry_timestamp_seconds{listener="server"}`
	dir := t.TempDir()
	c := loadConfig(t, dir, "[admin]\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	var expires time.Time
	b, err := bridge.New(c, bridge.Options{Logger: slog.New(slog.DiscardHandler), CertificateExpiry: func() time.Time { return expires }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	if v, ok := scrape(t, admin.URL)[name]; ok {
		t.Errorf("%s %v without a certificate", name, v)
	}
	for _, at := range []int64{1_900_000_000, 1_950_000_000} { // a renewed one
		expires = time.Unix(at, 0)
		if got := scrape(t, admin.URL)[name]; got != float64(at) {
			t.Errorf("%s %v, want %d", name, got, at)
		}
	}
}

// scrape returns the samples of /metrics by name and labels.
func scrape(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	samples := make(map[string]float64)
	for line := range strings.Lines(metrics(t, admin)) {
		i := strings.LastIndexByte(line, ' ')
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64); err == nil && line[0] != '#' {
			samples[line[:i]] = v
		}
	}
	return samples
}

// TestMetricsBeforeEvents checks that counters of events are 0 before the first one: the rate of one that appears
// with it would not show it.
func TestMetricsBeforeEvents(t *testing.T) {
	_, b := start(t, usersOnly+routeTo("/x", "DEALER", silent(t, zmtp.ROUTER)))
	for _, line := range []string{
		`zwsbridge_logins_total{authenticator="users",status="400"} 0`,
		`zwsbridge_refusals_total{code="4400",route="/x"} 0`,
		`zwsbridge_refusals_total{code="4404",route="none"} 0`,
		`zwsbridge_session_ends_total{code="1001",route="/x"} 0`,
	} {
		waitForMetric(t, b, line)
	}
}

package bridge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestMetricsLint applies the checks of `promtool check metrics` to /metrics, after a login, a
// message, a refusal and a dropped message, so that every metric of the bridge has a value.
func TestMetricsLint(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/router", "ROUTER", silent(t, zmtp.DEALER))+
		routeTo("/kept", "SUB", silent(t, zmtp.PUB), "[route.history]", `topics = [""]`))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	connect(t, url+"/router", plainLogin("alice", zmtp.DEALER)) // stays connected, so that its backend is counted
	c := connect(t, url+"/router", plainLogin("alice", zmtp.DEALER))
	if err := c.Send(t.Context(), message("nobody", "hello")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), url+"/router", http.Header{"Origin": {"https://evil.example"}})
	if err == nil {
		ws.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	names := []string{
		"zwsbridge_accept_errors_total", "zwsbridge_authenticator_seconds", "zwsbridge_login_seconds",
		"zwsbridge_config_last_reload_successful", "zwsbridge_config_last_reload_success_timestamp_seconds", "zwsbridge_backend_handshake_seconds", "zwsbridge_backends", "zwsbridge_build_info", "zwsbridge_bytes_total", "zwsbridge_connections",
		"zwsbridge_connections_refused_total", "zwsbridge_connections_stalled_total", "zwsbridge_max_tcp_connections", "zwsbridge_tcp_connections",
		"zwsbridge_dropped_total", "zwsbridge_handshake_seconds", "zwsbridge_login_queue", "zwsbridge_login_wait_seconds",
		"zwsbridge_resumes_total", "zwsbridge_replayed_messages_total", "zwsbridge_queue_takeovers_total", "zwsbridge_queues_in_use_total",
		"zwsbridge_history_bytes", "zwsbridge_history_leader", "zwsbridge_history_messages", "zwsbridge_permanent_queues",
		"zwsbridge_logins_total", "zwsbridge_messages_total",
		"zwsbridge_refused_logins_tracked", "zwsbridge_refused_logins_blocked", "zwsbridge_known_logins", "zwsbridge_logins_waiting",
		"zwsbridge_queued_bytes", "zwsbridge_queued_messages", "zwsbridge_refusals_total", "zwsbridge_session_ends_total",
		"zwsbridge_sessions", "zwsbridge_sessions_total", "zwsbridge_subscription_bytes",
	}
	text := metrics(t, admin.URL)
	for _, name := range names {
		for !strings.Contains(text, "\n"+name) {
			if ctx.Err() != nil {
				t.Fatalf("/metrics does not contain %s:\n%s", name, text)
			}
			time.Sleep(time.Millisecond) // sessions end shortly after their clients
			text = metrics(t, admin.URL)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

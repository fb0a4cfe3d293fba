package bridge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// startKeptAdmin is startKept with an operator who may change.
func startKeptAdmin(t *testing.T, p *press) (string, *operator) {
	url, b := startIn(t, func(dir string) string {
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte("the token\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return usersOnly + fmt.Sprintf(`
[admin]
token_file = "token"
[[route]]
path = "/kept"
socket = "SUB"
connect = [%q]
allow = [ { user = "*", subscribe = ["house/{user}/", "weather"] } ]
[route.history]
topics = ["house/", "weather"]
[[route]]
path = "/live"
socket = "SUB"
connect = [%q]
allow = "all"
`, p.endpoint, silent(t, zmtp.PUB))
	})
	<-p.ready
	server := httptest.NewServer(b.Admin())
	t.Cleanup(server.Close)
	o := &operator{t: t, admin: server.URL}
	o.login(adminToken)
	return url + "/kept", o
}

var adminToken = url.Values{"access_token": {"the token"}}

// list gets a JSON list.
func (o *operator) list(path string) (list []map[string]any) {
	o.t.Helper()
	resp := o.do("GET", path, "", "")
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != 200 {
		o.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return list
}

// change posts JSON and returns the status and the text of the answer.
func (o *operator) change(path, body string) (int, string) {
	o.t.Helper()
	resp := o.do("POST", path, "application/json", body)
	text, err := io.ReadAll(resp.Body)
	must(o.t, err)
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// TestAdminHistory: operators see what routes keep, and have a topic forgotten.
func TestAdminHistory(t *testing.T) {
	p := startPress(t)
	_, o := startKeptAdmin(t, p)
	h := o.list("/history")
	if len(h) != 1 || h[0]["route"] != "/kept" || h[0]["messages"] != 0. || h[0]["oldest"] != nil || h[0]["state"] != "ok" {
		t.Fatalf("an empty history is shown as %v", h)
	}
	begin := h[0]["end"].(float64)
	p.publish("house/alice/t", 1, 3)
	p.publish("weather", 4, 4)
	eventually(t, "4 messages", func() bool { h = o.list("/history"); return h[0]["messages"] == 4. })
	for key, want := range map[string]any{"topics": 2., "last_values": 2., "leader": "this bridge", "missed": 0., "end": begin + 4} {
		if h[0][key] != want {
			t.Errorf("%s is %v, want %v", key, h[0][key], want)
		}
	}
	if len(h[0]["generation"].(string)) != 16 || h[0]["oldest"] == nil || h[0]["newest"] == nil || h[0]["bytes"].(float64) <= 0 {
		t.Errorf("got %v", h[0])
	}
	if metrics := metrics(t, o.admin); !strings.Contains(metrics, `zwsbridge_history_messages{route="/kept"} 4`) ||
		strings.Contains(metrics, `zwsbridge_history_messages{route="/live"}`) {
		t.Error("/metrics: want 4 messages in the history of /kept, and none of /live")
	}
	for _, tc := range []struct {
		body   string
		status int
		answer string
	}{
		{`{"route":"/kept","topic":"house/alice/t"}`, 200, `{"forgotten":true}`},
		{`{"route":"/kept","topic":"house/alice/t"}`, 200, `{"forgotten":false}`},
		{`{"route":"/kept","topic":"\"weat\\x68er\""}`, 200, `{"forgotten":true}`},
		{`{"route":"/live","topic":"weather"}`, 404, `no route with a history has the path "/live"`},
		{`{"route":"/kept"}`, 400, `want {"route"`},
		{`{"route":"/kept","topics":["x"]}`, 400, `want {"route"`},
	} {
		if status, answer := o.change("/history/forget", tc.body); status != tc.status || !strings.HasPrefix(answer, tc.answer) {
			t.Errorf("%s: %d %s, want %d %s", tc.body, status, answer, tc.status, tc.answer)
		}
	}
	if h = o.list("/history"); h[0]["last_values"] != 0. {
		t.Errorf("after forgetting there are %v last values", h[0]["last_values"])
	}
}

// TestAdminQueues: operators see permanent queues and delete them.
func TestAdminQueues(t *testing.T) {
	p := startPress(t)
	kept, o := startKeptAdmin(t, p)
	if q := o.list("/queues"); len(q) != 0 {
		t.Fatalf("there are queues: %v", q)
	}
	c := loginKept(t, kept, `,"queue":"phone"`)
	c.expect("resumed", "")
	c.expect("live", "")
	c.send(`{"op":"subscribe","topic":"house/alice/","last":true}`) // the message can come first
	go p.publish("house/alice/t", 1, 1)
	at := c.expect("message", "1")["at"]
	c.send(fmt.Sprintf(`{"op":"ack","at":%q}`, at))
	eventually(t, "the acknowledgement", func() bool { return o.list("/queues")[0]["waiting"] == 0. })
	if q := o.list("/queues")[0]; q["used"] != true || q["user"] != "alice" || q["name"] != "phone" || q["route"] != "/kept" {
		t.Errorf("a queue with a client is shown as %v", q)
	}
	c.ws.Close()
	eventually(t, "the end of the client", func() bool { return o.list("/queues")[0]["used"] == false })
	p.publish("house/alice/t", 2, 4)
	p.publish("weather", 5, 5)
	eventually(t, "3 messages that wait", func() bool { return o.list("/queues")[0]["waiting"] == 3. })
	if q := o.list("/queues")[0]; q["last_seen"] == nil {
		t.Errorf("a queue without a client is shown as %v", q)
	}

	c = loginKept(t, kept, `,"queue":"phone"`)
	for _, op := range []string{"resumed", "message", "message", "message", "live"} {
		c.expect(op, "")
	}
	for _, tc := range []struct {
		body   string
		status int
		answer string
	}{
		{`{"route":"/kept","user":"alice"}`, 400, `want {"route"`},
		{`{"route":"/live","user":"alice","name":"phone"}`, 404, `no route`},
		{`{"route":"/kept","user":"alice","name":""}`, 200, `{"deleted":false}`},
		{`{"route":"/kept","user":"alice","name":"phone"}`, 200, `{"deleted":true}`},
	} {
		if status, answer := o.change("/queues/delete", tc.body); status != tc.status || !strings.HasPrefix(answer, tc.answer) {
			t.Errorf("%s: %d %s, want %d %s", tc.body, status, answer, tc.status, tc.answer)
		}
	}
	if code := c.refusal(); code != int(zws.CodeExpired) { // as if an administrator had ended its session
		t.Errorf("the client of a deleted queue ends with %d, want 4401", code)
	}
	if q := o.list("/queues"); len(q) != 0 {
		t.Errorf("after its deletion the queue is listed: %v", q)
	}
}

// TestAdminHistoryPermission: those who may look do not change.
func TestAdminHistoryPermission(t *testing.T) {
	admin, _, _, _ := startAdmin(t)
	for tags, want := range map[string][2]int{"monitoring": {200, 403}, "administrator": {200, 404}, "other": {401, 401}} {
		o := &operator{t: t, admin: admin}
		o.login(url.Values{"access_token": {"carol " + tags}})
		for path, body := range map[string]string{"/queues/delete": `{"route":"/d","user":"a","name":""}`, "/history/forget": `{"route":"/d","topic":""}`} {
			if status, _ := o.change(path, body); status != want[1] {
				t.Errorf("%s: %s: %d, want %d", tags, path, status, want[1])
			}
			if resp := o.do("POST", path, "text/plain", body); want[1] == 404 && resp.StatusCode != 415 {
				t.Errorf("%s as text: %s, want 415", path, resp.Status)
			}
		}
		for _, path := range []string{"/history", "/queues"} {
			if resp := o.do("GET", path, "", ""); resp.StatusCode != want[0] {
				t.Errorf("%s: %s: %s, want %d", tags, path, resp.Status, want[0])
			}
		}
	}
}

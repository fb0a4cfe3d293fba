package bridge_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// pusher is a PUB that has taken a subscription and publishes what it is given.
func pusher(t *testing.T) (endpoint string, say func(m ...string)) {
	t.Helper()
	conns := make(chan *zmtp.Conn, 100)
	endpoint = listen(t, zmtp.PUB, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		if _, err := c.ReadMessage(); err != nil { // the subscription
			return
		}
		conns <- c
		for {
			if _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	})
	return endpoint, func(m ...string) {
		c := <-conns
		must(t, c.Write(message(m...)))
		conns <- c
	}
}

// startEndpointsAdmin serves the SUB route /d to first, whose operators may connect allowed.
func startEndpointsAdmin(t *testing.T, first string, allowed ...string) (url string, o *operator, b *bridge.Bridge, reloadWith func(more string)) {
	t.Helper()
	var dir string
	text := func(more string) string {
		return usersOnly + "[admin]\ntoken_file = \"token\"\n" +
			routeTo("/d", "SUB", first, fmt.Sprintf("endpoints_allowed = %q\n%s", allowed, more)) +
			routeTo("/p", "PAIR", silent(t, zmtp.PAIR), `endpoints_allowed = ["tcp://127.0.0.1:*"]`) +
			fmt.Sprintf("[[route]]\npath = \"/b\"\nsocket = \"PULL\"\nmechanism = \"NULL\"\ninsecure_null = true\nbind = [%q]\nbind_domain = \"devices\"\n", unusedEndpoint(t))
	}
	fixed := strings.ReplaceAll(text("MORE"), `" "`, `", "`)
	url, b = startIn(t, func(d string) string {
		dir = d
		must(t, os.WriteFile(filepath.Join(dir, "token"), []byte("the token\n"), 0o600))
		return strings.Replace(fixed, "MORE", "", 1)
	})
	server := httptest.NewServer(b.Admin())
	t.Cleanup(server.Close)
	o = &operator{t: t, admin: server.URL}
	o.login(adminToken)
	return url, o, b, func(more string) { reload(t, b, dir, strings.Replace(fixed, "MORE", more, 1)) }
}

// onRoute lists the endpoints of /d with their sources and states.
func (o *operator) onRoute() (list []string) {
	for _, b := range o.list("/backends") {
		if b["route"] == "/d" {
			list = append(list, fmt.Sprint(b["address"], " ", b["source"], " ", b["state"]))
		}
	}
	return list
}

// TestAdminConnect: operators connect and disconnect endpoints, sessions stay and hear the new
// ones; a reload keeps what was connected and brings back what the file names.
func TestAdminConnect(t *testing.T) {
	first, sayFirst := pusher(t)
	second, saySecond := pusher(t)
	url, o, _, reloadWith := startEndpointsAdmin(t, first, first, second)
	alice := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	must(t, alice.Subscribe(t.Context(), []byte("a")))
	hears := func(want string) {
		t.Helper()
		m, err := alice.Recv(t.Context())
		must(t, err)
		if string(m[1]) != want {
			t.Fatalf("got %q, want %q", m, want)
		}
	}
	sayFirst("a", "1")
	hears("1")
	change := func(what, endpoint, want string) {
		t.Helper()
		if status, answer := o.change("/routes/"+what, fmt.Sprintf(`{"route":"/d","endpoint":%q}`, endpoint)); status != 200 || answer != want {
			t.Fatalf("%s %s: %d %s, want %s", what, endpoint, status, answer, want)
		}
	}
	shows := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprint(want), func() bool { return fmt.Sprint(o.onRoute()) == fmt.Sprint(want) })
	}
	change("connect", second, `{"connected":true}`)
	saySecond("a", "2")
	hears("2")
	shows(first+" file ready", second+" admin ready")
	change("connect", second, `{"connected":false}`)
	change("disconnect", first, `{"disconnected":true}`)
	change("disconnect", first, `{"disconnected":false}`)
	shows(second + " admin ready")
	reloadWith(`share = "none"`) // another route, with the same path
	shows(first+" file idle", second+" admin idle")
	alice = connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	reloadWith(`share = "none"` + "\nready = \"none\"")
	shows(first+" file ready", second+" admin ready")
	change("disconnect", second, `{"disconnected":true}`)
	shows(first + " file ready")
	reloadWith(`share = "none"`)
	shows(first + " file ready")
	if n := len(o.sessions()); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// TestAdminOneObject checks that every request that changes something is refused, and changes nothing,
// if anything but space follows its JSON object.
func TestAdminOneObject(t *testing.T) {
	first := silent(t, zmtp.PUB)
	url, o, b, _ := startEndpointsAdmin(t, first, first, "tcp://127.0.0.1:*")
	connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	for path, body := range map[string]string{
		"/sessions/kick":     `{"user":"alice"}`,
		"/routes/connect":    `{"route":"/d","endpoint":"tcp://127.0.0.1:1"}`,
		"/routes/disconnect": fmt.Sprintf(`{"route":"/d","endpoint":%q}`, first),
		"/queues/delete":     `{"route":"/d","user":"alice","name":""}`,
		"/history/forget":    `{"route":"/d","topic":"a"}`,
	} {
		for _, after := range []string{body, "]", "x", " null"} {
			if status, answer := o.change(path, body+after); status != 400 || !strings.HasPrefix(answer, "want {") {
				t.Errorf("%s: %s: %d %s, want 400", path, body+after, status, answer)
			}
		}
	}
	if n := len(b.Sessions()); n != 1 || fmt.Sprint(o.onRoute()) != fmt.Sprint([]string{first + " file ready"}) {
		t.Errorf("%d sessions, backends %v: want that nothing has changed", n, o.onRoute())
	}
	if status, answer := o.change("/sessions/kick", "{\"user\":\"alice\"} \n"); status != 200 {
		t.Errorf("with space at the end: %d %s, want 200", status, answer)
	}
}

// TestAdminCanDisconnect checks that operators are offered to disconnect what they may disconnect.
func TestAdminCanDisconnect(t *testing.T) {
	first := silent(t, zmtp.PUB)
	for allowed, want := range map[string]bool{first: true, "tcp://127.0.0.1:1": false} {
		_, o, _, _ := startEndpointsAdmin(t, first, allowed)
		offered := slices.ContainsFunc(o.list("/backends"), func(b map[string]any) bool {
			return b["route"] == "/d" && b["can_disconnect"] == true
		})
		status, _ := o.change("/routes/disconnect", fmt.Sprintf(`{"route":"/d","endpoint":%q}`, first))
		if offered != want || (status == 200) != want {
			t.Errorf("%s listed: offered %v, status %d, want %v", allowed, offered, status, want)
		}
	}
}

// TestAdminConnectRefused: what operators may not connect, and which operators may not.
func TestAdminConnectRefused(t *testing.T) {
	first := silent(t, zmtp.PUB)
	_, o, _, _ := startEndpointsAdmin(t, first, "tcp://127.0.0.1:1")
	for body, want := range map[string]string{
		`{"route":"/d","endpoint":"tcp://127.0.0.1:2"}`:                                                         "403 endpoint \"tcp://127.0.0.1:2\" of route /d: endpoints_allowed of the route does not list",
		fmt.Sprintf(`{"route":"/d","endpoint":%q}`, first):                                                      "403 ",
		`{"route":"/none","endpoint":"tcp://127.0.0.1:1"}`:                                                      "404 no route has the path",
		`{"route":"/p","endpoint":"tcp://127.0.0.1:1"}`:                                                         "400 endpoint \"tcp://127.0.0.1:1\" of route /p: the route would have 2 endpoints",
		`{"route":"/b","endpoint":"tcp://127.0.0.1:1"}`:                                                         "400 endpoint \"tcp://127.0.0.1:1\" of route /b: backends connect to this route",
		`{"route":"/d","endpoint":"tcp://127.0.0.1:1","server_key":"too few"}`:                                  "400 want {",
		`{"route":"/d","endpoint":"tcp://127.0.0.1:1","server_key":"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"}`: "400 endpoint \"tcp://127.0.0.1:1\" of route /d: it has a server_key, and the mechanism of the route is not CURVE",
		`{"path":"/d"}`: "400 want {",
	} {
		if status, answer := o.change("/routes/connect", body); !strings.HasPrefix(fmt.Sprint(status, " ", answer), want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
	if status, _ := o.change("/routes/disconnect", fmt.Sprintf(`{"route":"/d","endpoint":%q}`, first)); status != 403 {
		t.Errorf("disconnecting what is not listed: %d, want 403", status)
	}
	const body = `{"route":"/d","endpoint":"tcp://127.0.0.1:1"}`
	for _, path := range []string{"/routes/connect", "/routes/disconnect"} {
		if resp := o.do("POST", path, "text/plain", body); resp.StatusCode != 415 {
			t.Errorf("%s as a form could send it: %s, want 415", path, resp.Status)
		}
		if resp := o.do("POST", path, "application/json", body, "Origin", "https://elsewhere.example"); resp.StatusCode != 403 {
			t.Errorf("%s from another page: %s, want 403", path, resp.Status)
		}
	}
	admin, _, _, _ := startAdmin(t)
	reader := &operator{t: t, admin: admin}
	for _, path := range []string{"/routes/connect", "/routes/disconnect"} {
		if resp := reader.do("POST", path, "application/json", body, "Authorization", "Bearer carol monitoring"); resp.StatusCode != 403 {
			t.Errorf("%s by an operator who may only read: %s, want 403", path, resp.Status)
		}
	}
}

// TestAdminConnectReload: what operators have connected ends with a reload after which they could
// not connect it: by PLAIN to another machine, or a second backend of a PAIR.
func TestAdminConnectReload(t *testing.T) {
	first := silent(t, zmtp.PUB)
	const far = "tcp://house7.invalid:5556"
	_, o, _, reloadWith := startEndpointsAdmin(t, first, far)
	addresses := func(path string) (list []string) {
		for _, b := range o.list("/backends") {
			if b["route"] == path {
				list = append(list, fmt.Sprint(b["address"]))
			}
		}
		return list
	}
	change := func(what, path, endpoint string) {
		t.Helper()
		if status, answer := o.change("/routes/"+what, fmt.Sprintf(`{"route":%q,"endpoint":%q}`, path, endpoint)); status != 200 {
			t.Fatalf("%s %s: %d %s", what, endpoint, status, answer)
		}
	}
	pair := addresses("/p")[0]
	change("connect", "/d", far)
	change("disconnect", "/p", pair)
	change("connect", "/p", "tcp://127.0.0.1:1")
	if d, p := fmt.Sprint(addresses("/d")), fmt.Sprint(addresses("/p")); d != fmt.Sprint([]string{first, far}) || p != "[tcp://127.0.0.1:1]" {
		t.Fatalf("connected to %s and %s", d, p)
	}
	reloadWith("mechanism = \"PLAIN\"\nusername = \"bridge\"\npassword_file = \"token\"")
	if d, p := fmt.Sprint(addresses("/d")), fmt.Sprint(addresses("/p")); d != fmt.Sprint([]string{first}) || p != fmt.Sprint([]string{pair}) {
		t.Errorf("after the reload connected to %s and %s, want what the configuration names", d, p)
	}
}

package bridge_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// backendsFile writes a list of endpoints to a file, as a program would that replaces it.
func backendsFile(t *testing.T, file string, endpoints ...string) {
	t.Helper()
	text, err := json.Marshal(append([]string{}, endpoints...))
	must(t, err)
	must(t, os.WriteFile(file+".new", text, 0o644))
	must(t, os.Rename(file+".new", file))
}

// getsAll reads until each of these messages has come.
func getsAll(t *testing.T, c *zws.Client, want ...string) {
	t.Helper()
	missing := make(map[string]bool)
	for _, m := range want {
		missing[m] = true
	}
	for len(missing) > 0 {
		m, err := c.Recv(t.Context())
		if err != nil {
			t.Fatalf("%v, and %v was not heard", err, missing)
		}
		delete(missing, string(m[0]))
	}
}

// startFound starts a bridge with a route to what connect_file lists and operators.
func startFound(t *testing.T, socket string, lines ...string) (url, file string, o *operator, reload func(lines ...string)) {
	t.Helper()
	text := func(lines []string) string {
		return usersOnly + "[admin]\ntoken_file = \"token\"\n" +
			fmt.Sprintf("[[route]]\npath = \"/found\"\nsocket = %q\nconnect_file = \"backends.json\"\n%s\n", socket, strings.Join(lines, "\n"))
	}
	var in string
	url, b := startIn(t, func(dir string) string {
		in = dir
		must(t, os.WriteFile(filepath.Join(dir, "token"), []byte("the token\n"), 0o600))
		return text(lines)
	})
	server := httptest.NewServer(b.Admin())
	t.Cleanup(server.Close)
	o = &operator{t: t, admin: server.URL}
	o.login(adminToken)
	return url + "/found", filepath.Join(in, "backends.json"), o, func(lines ...string) {
		t.Helper()
		must(t, b.Reload(loadConfig(t, in, text(lines))))
	}
}

// endpoints returns the addresses that operators see, with their states and sources.
func (o *operator) endpoints() string {
	var list []string
	for _, b := range o.list("/backends") {
		list = append(list, fmt.Sprint(b["address"], " ", b["state"], " ", b["source"]))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// TestConnectFile: backends come and go with a watched file while a client stays; a file that
// cannot be used changes nothing, and operators see it.
func TestConnectFile(t *testing.T) {
	url, file, o, _ := startFound(t, "SUB")
	first, second := publisher(t, message("first")), publisher(t, message("second"))

	if e := refusal(t, url, plainLogin("alice", zmtp.SUB)); e.Code != zws.CodeBackendLost {
		t.Errorf("without a file: %v, want 4503", e)
	}
	eventually(t, "the failure among the backends", func() bool { return o.endpoints() == file+" source failed connect_file" })
	if r := readyz(t, o.admin); r.Status != 200 || !slices.Contains(r.Degraded, "source failed: /found "+file) {
		t.Errorf("/readyz: %+v", r)
	}

	backendsFile(t, file, first)
	eventually(t, "the first", func() bool { return o.endpoints() == first+" ready connect_file" })
	c := connect(t, url, plainLogin("alice", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), []byte("")))
	getsAll(t, c, "first")
	backendsFile(t, file, first, second)
	getsAll(t, c, "second", "first")
	backendsFile(t, file, second)
	eventually(t, "only the second", func() bool { return o.endpoints() == second+" ready connect_file" })

	must(t, os.WriteFile(file, []byte(`["`+first+`"`), 0o644))
	eventually(t, "the failure", func() bool { return strings.Contains(o.endpoints(), file+" source failed connect_file") })
	if got := o.endpoints(); !strings.Contains(got, second+" ready connect_file") {
		t.Errorf("a broken file has changed the backends: %s", got)
	}
	sources := o.list("/sources")
	if len(sources) != 1 || sources[0]["endpoints"] != 1. || !strings.Contains(fmt.Sprint(sources[0]["error"]), "unexpected end") {
		t.Errorf("/sources: %v", sources)
	}
	for _, line := range []string{`zwsbridge_endpoint_source_up{route="/found",source="` + file + `"} 0`, `zwsbridge_endpoint_source_endpoints{route="/found",source="` + file + `"} 1`} {
		if !strings.Contains(metrics(t, o.admin), line) {
			t.Errorf("/metrics does not contain %s", line)
		}
	}
	getsAll(t, c, "second")

	backendsFile(t, file)
	eventually(t, "none", func() bool { return o.endpoints() == "" })
	backendsFile(t, file, first)
	getsAll(t, c, "first")
}

// TestConnectFileDedicated: the same on a route where each client has its own connections.
func TestConnectFileDedicated(t *testing.T) {
	url, file, o, _ := startFound(t, "DEALER")
	first, second := startPeer(t, zmtp.DEALER), startPeer(t, zmtp.DEALER)
	backendsFile(t, file, first.endpoint)
	eventually(t, "the list", func() bool { return fmt.Sprint(o.list("/sources")[0]["endpoints"]) == "1" })
	c := connect(t, url, plainLogin("alice", zmtp.DEALER))
	must(t, c.Send(t.Context(), message("a")))
	if m := <-first.messages; string(m[0]) != "a" {
		t.Errorf("got %q", m)
	}
	backendsFile(t, file, second.endpoint)
	eventually(t, "the second", func() bool { return o.endpoints() == second.endpoint+" ready connect_file" })
	must(t, c.Send(t.Context(), message("b")))
	if m := <-second.messages; string(m[0]) != "b" {
		t.Errorf("got %q", m)
	}
	getsAll(t, c, "a", "b")
}

// TestReloadSources: a reload that adds, changes and removes sources ends no session.
func TestReloadSources(t *testing.T) {
	url, file, o, reload := startFound(t, "SUB")
	first, second := publisher(t, message("first")), publisher(t, message("second"))
	backendsFile(t, file, first)
	eventually(t, "the first", func() bool { return o.endpoints() == first+" ready connect_file" })
	c := connect(t, url, plainLogin("alice", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), []byte("")))
	getsAll(t, c, "first")

	// .invalid has no records (RFC 6761), or no server answers: no endpoint either way.
	reload(fmt.Sprintf("connect = [%q, \"srv://_zmtp._tcp.invalid\"]", second))
	getsAll(t, c, "second", "first")
	if got := o.list("/sources"); len(got) != 2 || got[1]["address"] != "srv://_zmtp._tcp.invalid" || got[1]["source"] != "srv" {
		t.Errorf("/sources: %v", got)
	}
	reload("ready = \"all\"")
	eventually(t, "the first alone", func() bool { return o.endpoints() == first+" ready connect_file" })
	getsAll(t, c, "first")
	if got := o.list("/sources"); len(got) != 1 {
		t.Errorf("/sources: %v", got)
	}
}

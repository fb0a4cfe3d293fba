package bridge_test

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestGapOfInboundBackend lets inbound backends leave and come back: the history has a gap where one that
// was away joins, and none where one joins for the first time.
func TestGapOfInboundBackend(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, _ := startIn(t, func(dir string) string {
		return controllersConfig(t, dir, zmtp.SUB, endpoint, `ready = "none"`, "[route.history]", `topics = ["house/"]`)
	})
	url += "/c"
	device := func(user string) *zmtp.Conn {
		t.Helper()
		c, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: user, Password: user + "'s secret"}, zmtp.Options{SocketType: zmtp.PUB})
		must(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = c.ReadMessage() // the subscription
		must(t, err)
		return c
	}
	page := loginKept(t, url, `,"history":true`)
	page.send(`{"op":"subscribe","topic":"house/"}`)
	page.send(`{"op":"ping"}`)
	page.expect("pong", "") // so the bridge has read the subscription; that of the history comes to devices before it
	number := 0
	publish := func(c *zmtp.Conn) (at string) {
		t.Helper()
		number++
		must(t, c.Write(message("house/t", fmt.Sprint(number))))
		return page.expect("message", fmt.Sprint(number))["at"].(string)
	}
	// resume returns whether a client that resumes is told of a gap.
	resume := func(at string) bool {
		t.Helper()
		c := loginKept(t, url, `,"history":true`)
		defer c.ws.Close()
		c.send(fmt.Sprintf(`{"op":"resume","topics":["house/"],"at":%q}`, at))
		m := c.expect("resumed", "")
		if m["recovered"] != true {
			t.Errorf("%v, want recovered", m)
		}
		return m["gap"].(bool)
	}

	stove := device("stove")
	first := publish(stove)
	lamp := device("lamp")
	publish(lamp)
	stove.Close()
	left := publish(lamp)
	if resume(first) {
		t.Error("a gap before one that was away has come back")
	}
	stove = device("stove")
	if m := page.expect("resumed", ""); m["recovered"] != true || m["gap"] != true {
		t.Errorf("%v, want recovered with a gap", m)
	}
	back := publish(stove)
	if !resume(left) {
		t.Error("no gap where one that was away has come back")
	}
	if resume(back) {
		t.Error("a gap after it")
	}
	// A second connection of the same user does not replace the first one; when that leaves, it may have.
	second := device("lamp")
	at := publish(second)
	lamp.Close()
	page.expect("resumed", "")
	if !resume(at) {
		t.Error("no gap where a connection was overtaken by another of the same user")
	}
}

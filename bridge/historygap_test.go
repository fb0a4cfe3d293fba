package bridge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// startGreeter starts a PUB that publishes one message on each connection: name and the number of the
// connection.
func startGreeter(t *testing.T, name string) (endpoint string) {
	var n atomic.Int64
	return listen(t, zmtp.PUB, zap.PLAIN, always(zap.OK), func(c *zmtp.Conn) {
		if _, err := c.ReadMessage(); err != nil { // the subscription
			return
		}
		if c.Write(message("house/alice/t", fmt.Sprintf("%s %d", name, n.Add(1)))) == nil {
			_, _ = c.ReadMessage() // the end
		}
	})
}

// TestHistoryGapOnReload checks what a client that resumes is told after a reload: a backend that
// was added has left no gap, and one where the bridge has logged in again has.
func TestHistoryGapOnReload(t *testing.T) {
	one, two := startGreeter(t, "one"), startGreeter(t, "two")
	var dir string
	text := func(user, connect string) string {
		return usersOnly + fmt.Sprintf("[[route]]\npath = \"/kept\"\nsocket = \"SUB\"\nconnect = [%s]\nmechanism = \"PLAIN\"\n"+
			"username = %q\npassword_file = \"password\"\n[route.history]\ntopics = [\"house/\"]\n", connect, user)
	}
	url, b := startIn(t, func(d string) string {
		dir = d
		must(t, os.WriteFile(filepath.Join(d, "password"), []byte("secret"), 0o600))
		return text("first", fmt.Sprintf("%q", one))
	})
	url += "/kept"
	at := ""
	resume := func(newest string, gap bool) {
		t.Helper()
		waitKept(t, url, "house/", newest)
		c := loginKept(t, url, `,"history":true`)
		defer c.ws.Close()
		c.send(`{"op":"resume","topics":["house/"],"at":"` + at + `"}`)
		if m := c.expect("resumed", ""); at != "" && (m["recovered"] != true || m["gap"] != gap) {
			t.Errorf("up to %q: %v, want recovered, gap %v", newest, m, gap)
		}
		at = c.expect("message", newest)["at"].(string)
	}
	resume("one 1", false)
	both := fmt.Sprintf("%q, %q", one, two)
	reload(t, b, dir, text("first", both))
	resume("two 1", false)
	reload(t, b, dir, text("second", fmt.Sprintf("%q", one)))
	resume("one 2", true)
}

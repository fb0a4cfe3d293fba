package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// behind is a client that has resumed and has room for a few messages only.
type behind struct {
	*zws.MuxChannel
	t         *testing.T
	bridge    *bridge.Bridge
	dir, text string // of its configuration

	mu sync.Mutex
	// told has what the client was notified of.
	told []string
}

// newBehind publishes 2000 messages, in turn of weather and of house/alice/t, and returns a client that
// has read the first of them.
func newBehind(t *testing.T) (*behind, *press) {
	p := startPress(t)
	text := usersOnly + fmt.Sprintf(behindRoute, p.endpoint)
	c := &behind{t: t}
	url, b := startIn(t, func(dir string) string { c.dir = dir; return text })
	url, c.bridge, c.text = url+"/kept", b, text
	<-p.ready
	for n := 1; n <= 2000; n += 2 {
		p.publish("weather", n, n)
		p.publish("house/alice/t", n+1, n+1)
	}
	waitKept(t, url, "house/alice/t", "2000")
	o := plainLogin("alice", "")
	o.Notify = func(n zws.Notification) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case n.Resumed != nil:
			c.told = append(c.told, fmt.Sprintf("resumed %v", n.Resumed.Recovered))
		case n.Unsubscribed != nil:
			c.told = append(c.told, "unsubscribed "+string(n.Unsubscribed))
		}
	}
	m, err := zws.DialMux(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	c.MuxChannel = openMux(t, m, zws.ChannelOptions{Route: "/kept", SocketType: zmtp.SUB, History: true, Window: 300})
	if err := c.Resume(t.Context(), "", []byte("weather"), []byte("house/alice/")); err != nil {
		t.Fatal(err)
	}
	if topic, n := c.read(); topic != "weather" || n != 1 {
		t.Fatalf("the first message is %s %d", topic, n)
	}
	return c, p
}

func (c *behind) read() (topic string, number int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	m, err := c.Recv(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	number, _ = strconv.Atoi(string(m[1]))
	return string(m[0]), number
}

func (c *behind) wasTold(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(strings.Join(c.told, ", "), what)
}

// inFlight is how many messages a client with such a window can have been sent before a reload.
const inFlight = 20

const behindRoute = `
[[route]]
path = "/kept"
socket = "SUB"
connect = [%q]
allow = [ { user = "*", subscribe = ["house/{user}/", "weather"] } ]
on_full = "replay"
[route.history]
topics = ["house/", "weather"]
`

// TestRightsWhileBehind: a client that is behind gets nothing that its rights as of now refuse.
func TestRightsWhileBehind(t *testing.T) {
	c, _ := newBehind(t)
	reload(t, c.bridge, c.dir, strings.Replace(c.text, `, "weather"] } ]`, `] } ]`, 1))
	for want := 2; want <= 2000; {
		topic, n := c.read()
		switch {
		case topic == "weather" && n > inFlight:
			t.Fatalf("got weather %d, which is not allowed any more", n)
		case topic != "weather" && n != want:
			t.Fatalf("got %s %d, want %d", topic, n, want)
		case topic != "weather":
			want += 2
		}
	}
	eventually(t, "the end of the subscription", func() bool { return c.wasTold("unsubscribed weather") })
}

// TestReloadWhileBehind: a client that is behind goes on when bounds are lowered or topics change, and
// is told what is missing.
func TestReloadWhileBehind(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		complete       bool
	}{
		{"topics", `topics = ["house/", "weather"]`, `topics = ["house/"]`, true},
		{"bytes", `[route.history]`, "[route.history]\nmax_bytes = \"2KiB\"", false},
		{"queue", `on_full = "replay"`, "on_full = \"replay\"\nhigh_water_mark = 1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, p := newBehind(t)
			reload(t, c.bridge, c.dir, strings.Replace(c.text, tc.old, tc.new, 1))
			go p.publish("house/alice/t", 2001, 2001)
			last := 1
			for last < 2001 {
				_, n := c.read()
				if n <= last || tc.complete && n != last+1 {
					t.Fatalf("got %d after %d", n, last)
				}
				last = n
			}
			if lost := c.wasTold("resumed false, resumed false"); lost == tc.complete {
				t.Errorf("told: %v", c.told) // the first is the answer to no position
			}
		})
	}
	t.Run("no history", func(t *testing.T) {
		c, _ := newBehind(t)
		text, _, _ := strings.Cut(strings.Replace(c.text, `on_full = "replay"`, "", 1), "[route.history]")
		reload(t, c.bridge, c.dir, text)
		for {
			_, err := c.Recv(t.Context())
			if end, ok := errors.AsType[*zws.CloseError](err); ok && end.Code == zws.CodeGoingAway {
				return
			}
			if err != nil {
				t.Fatalf("the channel ends with %v, want 1001", err)
			}
		}
	})
}

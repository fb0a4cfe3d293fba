package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReloadLimits raises and lowers max_message and max_frames: sessions and the connections to
// backends stay, and the new limits count on both, also for inbound backends.
func TestReloadLimits(t *testing.T) {
	bound := unusedEndpoint(t)
	dealers := echoRouter(t)
	var dir string
	text := func(bytes, frames int) string {
		return fmt.Sprintf("[server]\nmax_message = \"%dB\"\nmax_frames = %d\n", bytes, frames) +
			bindConfig(zmtp.PULL, bound, `ready = "none"`) + routeTo("/r", "DEALER", dealers)
	}
	url, b := startIn(t, func(d string) string { dir = d; return text(1000, 3) })
	large := strings.Repeat("m", 5000)
	dealer := connect(t, url+"/r", plainLogin("alice", zmtp.DEALER))
	channel := openMux(t, dialMux(t, url+"/r", "alice"), zws.ChannelOptions{Route: "/r"})
	page := dialJSON(t, url+"/r")
	page.send(loginObject("alice"))
	page.next()
	puller := connect(t, url+"/d", plainLogin("alice", zmtp.PULL))
	backend := dialBackend(t, bound, zmtp.PUSH)
	passes := func(to interface{ Write(...zmtp.Message) error }, c zws.Socket, m zmtp.Message) {
		t.Helper()
		if to != nil {
			must(t, to.Write(m))
		} else {
			must(t, c.Send(t.Context(), m))
		}
		got, err := c.Recv(t.Context())
		must(t, err)
		if len(got) != len(m) || string(got[0]) != string(m[0]) {
			t.Fatalf("got %d frames, want %d of what was sent", len(got), len(m))
		}
	}
	passes(nil, dealer, message("small"))
	passes(backend, puller, message("small"))

	reload(t, b, dir, text(20_000, 10))
	for range 2 {
		passes(nil, dealer, message(large, "2", "3", "4", "5"))
		passes(nil, channel, message(large, "2", "3", "4", "5"))
		passes(backend, puller, message(large, "2", "3", "4", "5"))
		page.send(`{"op":"send","frames":["` + large + `"]}`)
		page.next()
	}
	passes(backend, puller, message("1"))
	if n := len(b.Sessions()); n != 5 {
		t.Errorf("%d sessions, want 5", n)
	}
	for _, s := range b.Backends() {
		if s.Reconnects > 0 {
			t.Errorf("backend connected again: %+v", s)
		}
	}

	reload(t, b, dir, text(1000, 3))
	must(t, backend.Write(message(large), message("after it")))
	if m, err := puller.Recv(t.Context()); err != nil || string(m[0]) != "after it" {
		t.Errorf("got %.20q and %v, want the message after the one that is too large", m, err)
	}
	must(t, dealer.Send(t.Context(), message(large)))
	if got := sessionEnd(t, dealer); got.Code != 1009 {
		t.Errorf("%v, want 1009", got)
	}
}

// TestReloadSlowClients changes on_full and flush of a route: its session stays, and the new ones
// count.
func TestReloadSlowClients(t *testing.T) {
	pub := startPress(t)
	var dir string
	text := func(lines ...string) string { return usersOnly + routeTo("/d", "SUB", pub.endpoint, lines...) }
	url, b := startIn(t, func(d string) string { dir = d; return text(`flush = "900ms"`) })
	c := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), nil))
	pub.out <- message("waits", "for a moment")
	reload(t, b, dir, text(`flush = "1ms"`, `on_full = "disconnect"`, "high_water_mark = 10"))
	pub.out <- message("does not")
	for _, want := range []string{"waits", "does not"} {
		m, err := c.Recv(t.Context())
		must(t, err)
		if string(m[0]) != want {
			t.Fatalf("got %q, want %q", m, want)
		}
	}
	stop := time.After(time.Minute)
	for large := message("large", strings.Repeat("x", 100_000)); len(b.Sessions()) > 0; {
		select {
		case pub.out <- large:
		case <-stop:
			t.Fatal("a client that does not read is not disconnected")
		}
	}
	for {
		if _, err := c.Recv(t.Context()); err != nil {
			if got := zws.Cause(err); got.Code != 4508 {
				t.Errorf("%v, want 4508", got)
			}
			return
		}
	}
}

package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestTooLargeMessage has a backend publish messages over max_message between others. Clients lose
// those alone, the connection to the backend lasts, and who has subscribed to them is told.
func TestTooLargeMessage(t *testing.T) {
	big := strings.Repeat("x", 60_000)
	publications := make(chan zmtp.Message)
	pub := listen(t, zmtp.PUB, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		go func() {
			for {
				if _, err := c.ReadMessage(); err != nil {
					return
				}
			}
		}()
		for m := range publications {
			if c.Write(m) != nil {
				return
			}
		}
	})
	defer close(publications)
	url, b := start(t, usersOnly+"[server]\nmax_message = \"1KiB\"\n"+
		routeTo("/d", "SUB", pub, `allow = [ { user = "*", subscribe = ["small/", "big/", "end"] } ]`))
	lost := make(chan zws.Notification, 100)
	o := plainLogin("alice", zmtp.SUB)
	o.Notify = func(n zws.Notification) { lost <- n }
	wants, other := connect(t, url+"/d", o), connect(t, url+"/d", plainLogin("bob", zmtp.SUB))
	page := dialJSON(t, url+"/d")
	page.send(loginObject("alice"))
	page.read() // ready
	page.send(`{"op":"subscribe","topic":"small/"}`)
	page.send(`{"op":"subscribe","topic":"big/"}`)
	page.send(`{"op":"subscribe","topic":"end"}`)
	channel := openMux(t, dialMux(t, url+"/d", "alice"), zws.ChannelOptions{Route: "/d", SocketType: zmtp.SUB, Subscribe: [][]byte{[]byte("small/"), []byte("end")}})
	must(t, wants.Subscribe(t.Context(), []byte("big/"), []byte("small/"), []byte("end")))
	must(t, other.Subscribe(t.Context(), []byte("small/"), []byte("end")))

	// A message shows that the subscriptions have arrived: "end" was the last of each client.
	next := func(c zws.Socket) zmtp.Message {
		t.Helper()
		for {
			m, err := c.Recv(t.Context())
			must(t, err)
			if string(m[1]) != "sync" {
				return m
			}
		}
	}
	synced, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-synced:
				return
			case <-time.After(5 * time.Millisecond):
				publications <- message("end", "sync")
			}
		}
	}()
	for _, c := range []zws.Socket{wants, other, channel} {
		_, err := c.Recv(t.Context())
		must(t, err)
	}
	page.next()
	close(synced)
	<-stopped
	for i := range 20 {
		publications <- message("big/1", big)
		publications <- message("big/2"+big, "")
		publications <- message("small/1", fmt.Sprint(i))
	}
	publications <- message("end", "")
	for _, c := range []zws.Socket{wants, other, channel} {
		for i := range 20 {
			m := next(c)
			if string(m[0]) != "small/1" || string(m[1]) != fmt.Sprint(i) {
				t.Fatalf("got %.20q, want small/1 and %d", m, i)
			}
		}
		if m := next(c); string(m[0]) != "end" {
			t.Errorf("got %.20q, want the end", m)
		}
	}
	for n := uint64(0); n < 40; {
		n += (<-lost).Lost
	}
	for n := 0.0; n < 40; {
		if o := page.read(); o["op"] == "lost" {
			n += o["count"].(float64)
		}
	}
	waitForMetric(t, b, `zwsbridge_dropped_total{reason="too-large",route="/d"} 40`)
	for _, backend := range b.Backends() {
		if backend.State != "ready" || backend.Reconnects != 0 {
			t.Errorf("%+v, want a connection that lasts", backend)
		}
	}
}

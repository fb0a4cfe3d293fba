package bridge_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestSentBeforeTheEnd checks that whatever a client sends before it closes its channel or connection reaches
// the backend, which takes nothing until the client has closed.
func TestSentBeforeTheEnd(t *testing.T) {
	const messages = 50
	sendAll := func(t *testing.T, send func(m zmtp.Message) error) {
		t.Helper()
		for i := range messages {
			if err := send(message(strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	sendOn := func(t *testing.T, url string) (*zws.MuxClient, *zws.MuxChannel) {
		m := dialMux(t, url, "alice")
		c := openMux(t, m, zws.ChannelOptions{Route: "/jobs"})
		sendAll(t, func(m zmtp.Message) error { return c.Send(t.Context(), m) })
		return m, c
	}
	clients := map[string]func(t *testing.T, url string){
		"ZWS2.0": func(t *testing.T, url string) {
			c := connect(t, url, plainLogin("alice", zmtp.PUSH))
			sendAll(t, func(m zmtp.Message) error { return c.Send(t.Context(), m) })
			must(t, c.Close())
		},
		"JSON": func(t *testing.T, url string) {
			c := dialJSON(t, url)
			c.send(loginObject("alice"))
			c.next()
			sendAll(t, func(m zmtp.Message) error {
				c.send(`{"op":"send","frames":["` + string(m[0]) + `"]}`)
				return nil
			})
			must(t, c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "")))
		},
		"a channel": func(t *testing.T, url string) {
			_, c := sendOn(t, url)
			must(t, c.Close())
		},
		"a connection with a channel": func(t *testing.T, url string) {
			m, _ := sendOn(t, url)
			go m.Close()
		},
	}
	for name, run := range clients {
		t.Run(name, func(t *testing.T) {
			endpoint := unusedEndpoint(t)
			url, b := start(t, usersOnly+routeTo("/jobs", "PUSH", endpoint, `ready = "none"`, "high_water_mark = 2", `reconnect = "10ms..10ms"`))
			run(t, url+"/jobs")
			jobs := make(chan zmtp.Message, 1)
			_, stop := listenAt(t, endpoint, zmtp.PULL, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
				for {
					m, err := c.ReadMessage()
					if err != nil {
						return
					}
					select {
					case jobs <- m:
					case <-t.Context().Done():
						return
					}
				}
			})
			defer stop()
			for i := range messages {
				select {
				case m := <-jobs:
					if string(m[0]) != strconv.Itoa(i) {
						t.Fatalf("got %q, want %d", m, i)
					}
				case <-time.After(time.Minute):
					t.Fatalf("message %d has not arrived", i)
				}
			}
			if name != "a channel" { // whose connection stays
				eventually(t, "no session is left", func() bool { return len(b.Sessions()) == 0 })
			}
		})
	}
}

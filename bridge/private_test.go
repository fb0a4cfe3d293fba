package bridge_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestPrivateStreamsApart: clients that do not read, and clients whose backend does not, do not keep
// other clients with private connections from their answers. Nothing of theirs is lost.
func TestPrivateStreamsApart(t *testing.T) {
	const misbehaving, messages = 3, 1500 // of 10 kB: more than fits in all buffers
	big := make([]byte, 10<<10)
	release := make(chan struct{})
	endpoint := listen(t, zmtp.ROUTER, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err == nil && string(m[0]) == "deaf" {
				<-release
			}
			if err != nil || c.Write(m) != nil {
				return
			}
		}
	})
	url, b := start(t, usersOnly+"[server]\nwrite_timeout = \"1h\"\n"+routeTo("/d", zmtp.DEALER, endpoint, "high_water_mark = 100"))
	var running sync.WaitGroup
	defer running.Wait()
	var bad []*zws.Client
	for i := range 2 * misbehaving {
		c := connect(t, url+"/d", plainLogin("alice", zmtp.DEALER))
		bad = append(bad, c)
		running.Go(func() {
			if i < misbehaving && c.Send(t.Context(), zmtp.Message{[]byte("deaf")}) != nil {
				t.Error("the client cannot send")
			}
			for n := range messages {
				if c.Send(t.Context(), zmtp.Message{fmt.Append(nil, n), big}) != nil {
					t.Error("the client cannot send")
					return
				}
			}
		})
	}
	good := connect(t, url+"/d", plainLogin("bob", zmtp.DEALER))
	trips := 0
	trip := func() {
		trips++
		must(t, good.Send(t.Context(), zmtp.Message{fmt.Append(nil, trips)}))
		if m, err := good.Recv(t.Context()); err != nil || string(m[0]) != fmt.Sprint(trips) {
			t.Fatalf("answer %d: %q, %v", trips, m, err)
		}
	}
	eventually(t, "all queues of clients that do not read to be full", func() bool {
		trip()
		full := 0
		for _, s := range b.Sessions() {
			if s.Messages >= 99 {
				full++
			}
		}
		return full == misbehaving
	})
	for range 100 {
		trip()
	}
	close(release)
	for i, c := range bad {
		if i < misbehaving {
			if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "deaf" {
				t.Fatalf("client %d: %.20q, %v", i, m, err)
			}
		}
		for n := range messages {
			if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != fmt.Sprint(n) {
				t.Fatalf("client %d, message %d: %.20q, %v", i, n, m, err)
			}
		}
	}
	trip()
}

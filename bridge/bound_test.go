package bridge_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// channelBytes returns what waits for the channels of all multiplexed connections, and what
// these connections hold.
func channelBytes(b *bridge.Bridge) (queued, held int64) {
	for _, s := range b.Sessions() {
		if s.Dialect == "ZWSMUX1.0" {
			queued += s.Bytes
			held += s.Held
		}
	}
	return queued, held
}

// TestConnectionBytes: what a client with many channels does not read stays within
// max_connection_bytes and a message for each channel, whatever on_full is, while a client that
// reads gets everything. A lower limit takes effect at once.
func TestConnectionBytes(t *testing.T) {
	const channels, rounds, each, size = 40, 40, 10, 10_000
	const message = 2*size + 100   // one that waits, and what is beside it
	const chunk = 64<<10 + message // what is being put
	for _, policy := range []string{"drop-oldest", "drop-newest", "conflate", "disconnect"} {
		t.Run(policy, func(t *testing.T) {
			round := make(chan bool)
			endpoint := listen(t, zmtp.PUB, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
				if _, err := c.ReadMessage(); err != nil { // the subscription
					return
				}
				n := 0
				for range round {
					for range each {
						if c.Write(zmtp.Message{fmt.Append([]byte("a"), n), make([]byte, size)}) != nil {
							return
						}
						n++
					}
				}
			})
			defer close(round)
			text := func(limit string) string {
				return "[server]\nmax_connection_bytes = \"" + limit + "\"\n" + usersOnly + routeTo("/d", "SUB", endpoint, "on_full = \""+policy+"\"")
			}
			var dir string
			url, b := startIn(t, func(d string) string { dir = d; return text("1MiB") })
			attentive := connect(t, url+"/d", plainLogin("bob", zmtp.SUB))
			must(t, attentive.Subscribe(t.Context(), []byte("a")))
			m := dialMux(t, url+"/d", "alice")
			var unread []*zws.MuxChannel
			for range channels {
				unread = append(unread, openMux(t, m, zws.ChannelOptions{Route: "/d", Subscribe: [][]byte{[]byte("a")}, Window: 1}))
			}
			most := int64(0)
			for n := range rounds {
				round <- true
				for i := range each {
					got, err := attentive.Recv(t.Context())
					if want := fmt.Sprint("a", n*each+i); err != nil || string(got[0]) != want {
						t.Fatalf("the client that reads gets %.20q, %v, want %s", got, err, want)
					}
				}
				_, held := channelBytes(b)
				if most = max(most, held); held > 1<<20+channels*message+chunk {
					t.Fatalf("%d bytes are held", held)
				}
			}
			if most < 1<<19 {
				t.Errorf("only %d bytes were held", most)
			}
			eventually(t, "held_bytes to be as much as waits for the channels, and more", func() bool {
				queued, held := channelBytes(b)
				return queued <= held && (held > 0 || policy == "disconnect")
			})
			reload(t, b, dir, text("200KiB"))
			queued, held := channelBytes(b)
			if policy != "drop-newest" && held > 200<<10+channels*message+chunk { // that drops nothing which waits
				t.Errorf("after the reload %d bytes wait, %d are held", queued, held)
			}
			ended := 0
			for _, c := range unread {
				for {
					_, err := c.Recv(t.Context())
					if err != nil && zws.Cause(err).Code == zws.CodeTooSlow {
						ended++
					} else if err != nil {
						t.Error(err)
					} else if policy == "disconnect" {
						continue // until it ends
					}
					break
				}
			}
			if want := map[string]int{"disconnect": channels}[policy]; ended != want {
				t.Errorf("%d channels ended with 4508, want %d", ended, want)
			}
		})
	}
}

// TestConnectionBytesBlock: where all channels block, backends wait at max_connection_bytes. The
// fullest channel ends after write_timeout without credit, and the others go on.
func TestConnectionBytesBlock(t *testing.T) {
	const channels, size = 4, 10_000
	flood := listen(t, zmtp.ROUTER, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		for c.Write(zmtp.Message{make([]byte, size)}) == nil {
		}
	})
	url, b := start(t, "[server]\nmax_connection_bytes = \"1MiB\"\nwrite_timeout = \"200ms\"\n"+usersOnly+
		routeTo("/flood", "DEALER", flood, `high_water_bytes = "310KiB"`)+routeTo("/echo", "DEALER", echoRouter(t)))
	m := dialMux(t, url+"/echo", "alice")
	echo := openMux(t, m, zws.ChannelOptions{Route: "/echo"})
	var unread []*zws.MuxChannel
	for range channels {
		unread = append(unread, openMux(t, m, zws.ChannelOptions{Route: "/flood", Window: 1}))
	}
	eventually(t, "a channel less", func() bool {
		queued, held := channelBytes(b)
		if held > 1<<20+channels*(size+300) {
			t.Fatalf("%d bytes wait, %d are held", queued, held)
		}
		if err := echo.Send(t.Context(), message("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := echo.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(b.Sessions()) == 1+1+channels-1
	})
	var mu sync.Mutex
	ended := 0
	var reading sync.WaitGroup
	for _, c := range unread {
		reading.Go(func() {
			for range 100 { // about 1 MB: more than what waited
				if _, err := c.Recv(t.Context()); err != nil {
					closed, _ := errors.AsType[*zws.CloseError](err)
					if closed == nil || closed.Code != zws.CodeTooSlow {
						t.Error(err)
					}
					mu.Lock()
					ended++
					mu.Unlock()
					return
				}
			}
			c.Close()
		})
	}
	reading.Wait()
	if ended != 1 {
		t.Errorf("%d channels ended, want 1", ended)
	}
}

// TestConnectionBytesSent: what a client sends on many channels whose backends are away stays
// within max_connection_bytes and a message for each channel.
func TestConnectionBytesSent(t *testing.T) {
	const channels, size = 20, 20_000
	url, b := start(t, "[server]\nmax_connection_bytes = \"200KiB\"\n"+usersOnly+
		routeTo("/away", "DEALER", "tcp://127.0.0.1:1", `ready = "none"`)+routeTo("/echo", "DEALER", echoRouter(t)))
	m := dialMux(t, url+"/echo", "alice")
	echo := openMux(t, m, zws.ChannelOptions{Route: "/echo"})
	for range channels {
		away := openMux(t, m, zws.ChannelOptions{Route: "/away"})
		go func() {
			for away.Send(t.Context(), zmtp.Message{make([]byte, size)}) == nil {
			}
		}()
	}
	eventually(t, "the limit to be reached", func() bool {
		_, held := channelBytes(b)
		return held >= 200<<10
	})
	for range 50 {
		must(t, echo.Send(t.Context(), message("a")))
		_, err := echo.Recv(t.Context())
		must(t, err)
		if _, held := channelBytes(b); held > 200<<10+channels*size {
			t.Fatalf("%d bytes are held", held)
		}
	}
}

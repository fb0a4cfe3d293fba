package zws_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// historyClient is what Client and MuxChannel have in common for a history.
type historyClient interface {
	zws.Socket
	History() bool
	Position() string
	Published() time.Time
	Resume(ctx context.Context, position string, topics ...[]byte) error
	SubscribeLast(ctx context.Context, topics ...[]byte) error
	Ack(ctx context.Context) error
}

// historyDialers connect to a server, asking for history, and if queue is not nil for that.
var historyDialers = map[string]func(t *testing.T, s *server, queue *string, notify func(zws.Notification)) historyClient{
	"NULL": func(t *testing.T, s *server, queue *string, notify func(zws.Notification)) historyClient {
		return dialHistory(t, s, zws.DialOptions{Security: zmtp.Null{}, History: true, Queue: queue, Notify: notify})
	},
	"BEARER": func(t *testing.T, s *server, queue *string, notify func(zws.Notification)) historyClient {
		return dialHistory(t, s, zws.DialOptions{Security: zmtp.Bearer{Token: "t"}, Alias: true, History: queue == nil, Queue: queue, Notify: notify})
	},
	"CURVE": func(t *testing.T, s *server, queue *string, notify func(zws.Notification)) historyClient {
		public, secret := keyPair()
		return dialHistory(t, s, zws.DialOptions{
			Security: zmtp.Curve{Public: public, Secret: secret, ServerKey: historianKey}, History: true, Queue: queue, Notify: notify,
		})
	},
	"MUX": func(t *testing.T, s *server, queue *string, notify func(zws.Notification)) historyClient {
		m, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{Notify: notify})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		c, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/a", SocketType: zmtp.SUB, History: true, Queue: queue})
		if err != nil {
			t.Fatal(err)
		}
		return c
	},
}

func dialHistory(t *testing.T, s *server, o zws.DialOptions) *zws.Client {
	t.Helper()
	o.SocketType = zmtp.SUB
	c, err := zws.Dial(t.Context(), s.url(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestClientHistory: positions, times, resume and last values, in all dialects of the client.
func TestClientHistory(t *testing.T) {
	for name, dial := range historyDialers {
		t.Run(name, func(t *testing.T) {
			h := newHistorian()
			notes := make(chan string, 100)
			c := dial(t, h.serve(t, true), nil, func(n zws.Notification) {
				switch {
				case n.Resumed != nil:
					notes <- fmt.Sprintf("%+v", *n.Resumed)
				case n.Live:
					notes <- "live"
				}
			})
			out := <-h.out
			if !c.History() || c.Position() != "" {
				t.Errorf("history %v, position %q", c.History(), c.Position())
			}
			if err := c.Resume(t.Context(), "cDA", []byte("a/"), nil); err != nil {
				t.Fatal(err)
			}
			if err := c.SubscribeLast(t.Context(), []byte("b"), []byte("c")); err != nil {
				t.Fatal(err)
			}
			h.expect(t, `resume ["a/" ""] at "p0"`, `last ["b"] at ""`, `last ["c"] at ""`)
			out.put(replay)
			recv := func(frames, position string, published time.Time) {
				t.Helper()
				m, err := c.Recv(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprintf("%s", [][]byte(m)); got != frames || c.Position() != position || !c.Published().Equal(published) {
					t.Errorf("received %s at %q of %v; want %s at %q of %v", got, c.Position(), c.Published(), frames, position, published)
				}
			}
			recv("[a 1]", "cDE", when)
			recv("[a 2]", "cP8", time.Time{})
			recv("[b]", "cP8", time.Time{})
			out.put(func(b *zws.Batch) { b.Live([]byte("p3")); b.Message(message("x"), nil) })
			recv("[x]", "cDM", time.Time{})
			var got []string
			for range 5 {
				got = append(got, <-notes)
			}
			if want := "{Recovered:true Gap:false} live {Recovered:false Gap:true} live live"; strings.Join(got, " ") != want {
				t.Errorf("notifications %q, want %s", got, want)
			}
			if err := c.Ack(t.Context()); err != nil { // does nothing without a queue
				t.Fatal(err)
			}
			if err := c.Subscribe(t.Context(), []byte("y")); err != nil {
				t.Fatal(err)
			}
			h.expect(t, `["\x01y"]`)
		})
	}
}

// TestClientQueue: a client with a queue acknowledges.
func TestClientQueue(t *testing.T) {
	for name, dial := range historyDialers {
		t.Run(name, func(t *testing.T) {
			h := newHistorian()
			queue := "mine"
			c := dial(t, h.serve(t, true), &queue, nil)
			out := <-h.out
			if l := out.channel.Login(); !l.History || l.Queue == nil || *l.Queue != queue {
				t.Errorf("login: history %v, queue %v", l.History, l.Queue)
			}
			out.put(replay)
			for range 2 {
				if _, err := c.Recv(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			h.expect(t, `ack [] at "p1"`)
			if err := c.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.expect(t, `ack [] at "p\xff"`)
		})
	}
}

// TestClientWithoutHistory: where the server keeps no history, the client subscribes all the same.
func TestClientWithoutHistory(t *testing.T) {
	for name, dial := range historyDialers {
		t.Run(name, func(t *testing.T) {
			h := newHistorian()
			queue := ""
			c := dial(t, h.serve(t, false), &queue, nil)
			out := <-h.out
			if c.History() {
				t.Error("there is a history")
			}
			if err := c.Resume(t.Context(), "cDA", []byte("a"), []byte("b")); err != nil {
				t.Fatal(err)
			}
			if err := c.SubscribeLast(t.Context(), []byte("c")); err != nil {
				t.Fatal(err)
			}
			h.expect(t, `["\x01a"]`, `["\x01b"]`, `["\x01c"]`)
			out.put(replay)
			m, err := c.Recv(t.Context())
			if err != nil || string(m[1]) != "1" || !c.Published().IsZero() {
				t.Errorf("received %q of %v, %v", m, c.Published(), err)
			}
			if err := c.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.nothingElse(t)
		})
	}
}

// TestHistoryRenewed: a renewal between leaves positions and requests alone.
func TestHistoryRenewed(t *testing.T) {
	h := newHistorian()
	s := h.serve(t, true)
	renewed := make(chan bool, 1)
	c := dialHistory(t, s, zws.DialOptions{Security: zmtp.Bearer{Token: "t"}, History: true, Notify: func(n zws.Notification) {
		if n.Renewed {
			renewed <- true
		}
	}})
	out := <-h.out
	if err := c.Renew(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if err := c.SubscribeLast(t.Context(), []byte("c")); err != nil {
		t.Fatal(err)
	}
	h.expect(t, `last ["c"] at ""`)
	if l := out.channel.Login(); !l.History {
		t.Error("the renewed login has no history")
	}
	out.put(func(b *zws.Batch) { b.Message(message("x"), []byte("p3")) })
	if _, err := c.Recv(t.Context()); err != nil || c.Position() != "cDM" {
		t.Errorf("position %q, %v", c.Position(), err)
	}
	<-renewed

	p := s.dialJSON(t)
	p.say(`{"op":"login","token":"t","history":true}`)
	p.hear(`{"op":"ready","history":true}`)
	p.say(`{"op":"login","token":"t"}`)
	p.hear(`{"op":"ready","history":true}`)
	p = s.dialJSON(t)
	p.say(`{"op":"login","token":"t","queue":"q"}`)
	p.hear(`{"op":"ready","history":true}`)
	p.say(`{"op":"login","token":"t","queue":"q"}`)
	p.hearError(1002, "history, queue and batch belong to the first login")
}

// TestClientHistoryOptions: what cannot be asked for.
func TestClientHistoryOptions(t *testing.T) {
	h := newHistorian()
	s := h.serve(t, true)
	if _, err := zws.Dial(t.Context(), s.url(), zws.DialOptions{SocketType: zmtp.SUB, History: true}); err == nil || err.Error() != "zws: history needs a mechanism: set Security" {
		t.Error(err)
	}
	long := strings.Repeat("q", 256)
	const want = "zws: queue name of 256 bytes: at most 255 are allowed"
	if _, err := zws.Dial(t.Context(), s.url(), zws.DialOptions{Security: zmtp.Null{}, SocketType: zmtp.SUB, Queue: &long}); err == nil || err.Error() != want {
		t.Error(err)
	}
	m := dialMux(t, s)
	if _, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/a", Queue: &long}); err == nil || err.Error() != want {
		t.Error(err)
	}
	c := dialHistory(t, s, zws.DialOptions{Security: zmtp.Null{}, History: true})
	if err := c.SubscribeLast(t.Context(), make([]byte, 1<<16)); err == nil || err.Error() != "zws: topic of 65536 bytes: at most 65535 are allowed" {
		t.Error(err)
	}
}

package zmtp

import (
	"context"
	"testing"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/plain"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestZMQ4 talks to go-zeromq/zmq4, an independent implementation of ZMTP 3.0, as server and as
// client.
func TestZMQ4(t *testing.T) {
	theirs := map[zap.Mechanism][]zmq4.Option{
		zap.NULL:  nil,
		zap.PLAIN: {zmq4.WithSecurity(plain.Security("alice", "secret"))},
	}
	want := []Message{{[]byte("a"), {}, make([]byte, 70_000)}}
	for _, l := range logins(t)[:2] {
		t.Run(string(l.mechanism)+" dials", func(t *testing.T) {
			listener, err := Listen("tcp://127.0.0.1:0", l.mechanism, l.server, ListenOptions{Options: Options{SocketType: ROUTER}})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dealer := zmq4.NewDealer(ctx, append(theirs[l.mechanism], zmq4.WithID(zmq4.SocketIdentity("panel")))...)
			defer dealer.Close()
			if err := dealer.Dial(listener.Endpoint()); err != nil {
				t.Fatal(err)
			}
			c, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := string(c.Peer().RoutingID()); got != "panel" {
				t.Errorf("routing id %q, want panel", got)
			}
			checkZMQ4(t, c, dealer, want)
		})
		t.Run(string(l.mechanism)+" is dialled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dealer := zmq4.NewDealer(ctx, theirs[l.mechanism]...)
			defer dealer.Close()
			if err := dealer.Listen("tcp://127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			c, err := Dial(t.Context(), "tcp://"+dealer.Addr().String(), l.client, Options{SocketType: DEALER})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			checkZMQ4(t, c, dealer, want)
		})
	}
}

// checkZMQ4 exchanges messages with a DEALER.
func checkZMQ4(t *testing.T, c *Conn, dealer zmq4.Socket, messages []Message) {
	t.Helper()
	for _, m := range messages {
		if err := c.Write(m); err != nil {
			t.Fatal(err)
		}
		got, err := dealer.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if err := dealer.Send(got); err != nil {
			t.Fatal(err)
		}
		back, err := c.ReadMessage()
		if err != nil || len(back) != len(m) || back.Size() != m.Size() {
			t.Errorf("got %d frames, %d bytes, %v; want %d, %d", len(back), back.Size(), err, len(m), m.Size())
		}
	}
}

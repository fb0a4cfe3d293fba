package zmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestLimits checks each limit with what is just allowed and with one more, for every
// mechanism.
func TestLimits(t *testing.T) {
	size := func(n ...int) Message {
		var m Message
		for _, n := range n {
			m = append(m, make([]byte, n))
		}
		return m
	}
	tests := []struct {
		name    string
		message Message
		ok      bool
	}{
		{"frame at the limit", size(1000), true},
		{"frame over the limit", size(1001), false},
		{"message at the limit", size(1000, 500), true},
		{"message over the limit", size(1000, 501), false},
		{"frames at the limit", size(1, 1, 1, 1), true},
		{"frames over the limit", size(1, 1, 1, 1, 1), false},
		{"empty frames over the limit", size(0, 0, 0, 0, 0), false},
	}
	for _, l := range logins(t) {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s, %s", l.mechanism, test.name), func(t *testing.T) {
				c, s, err := overPipe(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER, Limits: hostileLimits})
				if err != nil {
					t.Fatal(err)
				}
				written := make(chan error)
				// Twice, because the count starts again with every message.
				go func() { written <- c.Write(test.message, test.message) }()
				for range 2 {
					_, err = s.ReadMessage()
				}
				if test.ok && err != nil || !test.ok && !errors.Is(err, ErrTooLarge) {
					t.Errorf("got %v", err)
				}
				s.Close()
				<-written
			})
		}
	}
}

// TestSetLimits raises the limits of a connection that waits for a message, and lowers them again.
func TestSetLimits(t *testing.T) {
	for _, l := range logins(t) {
		t.Run(string(l.mechanism), func(t *testing.T) {
			c, s, err := overPipe(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER, Limits: hostileLimits})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			large := Message{make([]byte, hostileLimits.Frame+1), []byte("2"), []byte("3"), []byte("4"), []byte("5")}
			read := make(chan error)
			go func() {
				for range 2 {
					_, err := s.ReadMessage()
					read <- err
				}
			}()
			s.SetLimits(Limits{})
			if err := c.Write(large); err != nil {
				t.Fatal(err)
			}
			if err := <-read; err != nil {
				t.Errorf("after the limits were raised: %v", err)
			}
			s.SetLimits(hostileLimits)
			go c.Write(large)
			if err := <-read; !errors.Is(err, ErrTooLarge) {
				t.Errorf("after they were lowered: %v, want ErrTooLarge", err)
			}
		})
	}
}

// TestHandshakeLimit checks that a READY of exactly the limit is accepted and one byte more is
// not.
func TestHandshakeLimit(t *testing.T) {
	own := Options{SocketType: DEALER}
	bare := len(Command{cmdReady, own.local().Append(nil)}.Append(nil)) + len(zap.Metadata{{Name: "X-Pad"}}.Append(nil))
	for over, want := range []error{nil, ErrTooLarge} {
		o := own
		o.Metadata = zap.Metadata{{Name: "X-Pad", Value: strings.Repeat("x", hostileLimits.Handshake-bare+over)}}
		_, _, err := overPipe(t, logins(t)[0], o, Options{SocketType: DEALER, Limits: hostileLimits})
		if !errors.Is(err, want) {
			t.Errorf("%d over the limit: %v, want %v", over, err, want)
		}
	}
}

// TestCancel checks that a cancelled context ends a handshake at once.
func TestCancel(t *testing.T) {
	cause := errors.New("cancelled by the caller")
	l := logins(t)[0]
	synctest.Test(t, func(t *testing.T) {
		for name, handshake := range map[string]func(context.Context, net.Conn) (*Conn, error){
			"client": func(ctx context.Context, nc net.Conn) (*Conn, error) {
				return Client(ctx, nc, l.client, Options{SocketType: DEALER})
			},
			"server": func(ctx context.Context, nc net.Conn) (*Conn, error) {
				return Server(ctx, nc, l.mechanism, l.server, Options{SocketType: DEALER})
			},
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			a, b := net.Pipe()
			var peer sync.WaitGroup
			peer.Go(func() { io.Copy(io.Discard, b) })
			start := time.Now()
			peer.Go(func() {
				time.Sleep(time.Second)
				cancel(cause)
			})
			c, err := handshake(ctx, a)
			if c != nil || !errors.Is(err, cause) || time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v, want the cause after 1s", name, err, time.Since(start))
			}
			peer.Wait()
			b.Close()
		}
	})
}
